"""Ways to end a run: Ctrl-C, twice (the second drops what can be dropped), and the kill switch: at once."""

import signal
import threading
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Literal, Self

from maul.core.clock import Clock, SystemClock
from maul.core.summary import Ending


@dataclass(frozen=True, slots=True)
class Pull:
    """Somebody pulled the kill switch: how, who (as far as one can tell) and when (Unix ns)."""

    how: Literal["file", "signal", "page"]
    who: str
    at_ns: int

    @property
    def says(self) -> str:
        """In words."""
        return f"the kill switch was pulled: {self.who}"


class StopSwitch:
    """A stop that anybody may ask for, with its reason; and the signals SIGINT, SIGTERM and SIGHUP bound to it.

    Before `run_began` a signal raises KeyboardInterrupt: nothing was sent yet, and every `with` on the way out puts
    its own part back. From then on the first signal sets `stopped`, and the second `hurried`: whoever waits for a
    nicety stops waiting. SIGUSR1 pulls the kill switch: all sockets are closed at once.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)

    def __init__(self, clock: Clock | None = None) -> None:
        """Nothing is stopped yet. `clock` tells when the kill switch was pulled."""
        self._clock = clock or SystemClock()
        self.pulled: Pull | None = None
        self.stopped = threading.Event()
        self.hurried = threading.Event()
        self.reason = ""
        self.ending = Ending.COMPLETED
        self._running = False
        self._found: dict[int, object] = {}

    def run_began(self) -> None:
        """From now on signals set events instead of raising."""
        self._running = True

    def stop(self, reason: str, ending: Ending) -> None:
        """Ask everything to stop; the first reason is kept."""
        if not self.stopped.is_set():
            self.reason, self.ending = reason, ending
            self.stopped.set()

    def pull(self, how: Literal["file", "signal", "page"], who: str) -> None:
        """Pull the kill switch: everything ends at once, nothing in flight is waited for. The first pull is kept."""
        if self.pulled is None:
            self.pulled = Pull(how, who, self._clock.now_ns())
            self.stop(self.pulled.says, Ending.GUARD)
            self.hurried.set()  # tidying up is traffic, too

    def until_hurried(self) -> "StopSwitch":
        """A switch for tidying up after a stop: only a second signal sets it."""
        second = StopSwitch()
        second.stopped = second.hurried = self.hurried
        second.reason = "interrupted twice"
        return second

    def __enter__(self) -> Self:
        """Bind the signals. Only the main thread may."""
        for number in self._SIGNALS:
            self._found[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back as they were found."""
        for number, handler in self._found.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        name = signal.Signals(number).name
        if not self._running:
            raise KeyboardInterrupt(name)
        if number == signal.SIGUSR1:
            self.pull("signal", name)
            return
        if self.stopped.is_set():
            self.hurried.set()
        self.stop(f"interrupted by {name}", Ending.INTERRUPTED)
