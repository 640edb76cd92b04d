"""The page of a run that goes on in this process: listens to its progress, and pulls its kill switch."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from maul.conduct.progress import PhaseProgress
from maul.conduct.stop import StopSwitch
from maul.core.clock import Clock, SystemClock
from maul.web.app import make_app
from maul.web.server import serving
from maul.web.told import Moment, State, Told

_MOMENTS_MAX = 600
_STEPS_MAX = 200
_AGENT_FIELDS = ("state", "stop_reason", "offered", "ok", "fail", "unknown", "dropped", "withheld", "in_flight")
_LAST_LOOK_S = 1.5
"""Who looks at the page may look once more when the run is over."""
_LOOKS_WITHIN_S = 3.0


class LivePage:
    """A `conduct.progress.Progress` that is served on 127.0.0.1, and a red button."""

    def __init__(self, port: int, on_serving: Callable[[str], None], clock: Clock | None = None) -> None:
        """`port` 0: any free one. `on_serving` is told the page's address."""
        self._port, self._on_serving, self._clock = port, on_serving, clock or SystemClock()
        self._began_ns = self._clock.now_ns()
        self._lock = threading.Lock()
        self._look: PhaseProgress | None = None
        self._moments: deque[Moment] = deque(maxlen=_MOMENTS_MAX)
        self._steps: deque[tuple[float, str]] = deque(maxlen=_STEPS_MAX)
        self._bad_before: tuple[str, int, float] = ("", 0, 0.0)
        self._stop: StopSwitch | None = None
        self._alarm = ("", "")
        self._over = False
        self._asked_ns = 0

    def step(self, says: str) -> None:
        """A line that stays."""
        with self._lock:
            self._steps.append((self._elapsed_s(), says))

    def phase(self, look: PhaseProgress) -> None:
        """Remember the look, and a point of the curves."""
        bad = look.errors + look.dropped
        with self._lock:
            phase, before, at_s = self._bad_before
            lasted_s = look.elapsed_s - at_s
            if phase != look.phase or lasted_s <= 0:
                before, lasted_s = 0, max(look.elapsed_s, 1e-3)
            self._bad_before = (look.phase, bad, look.elapsed_s)
            self._look = look
            bad_per_s = max(0, bad - before) / lasted_s
            moment = Moment(self._elapsed_s(), look.offered_per_s, look.done_per_s, bad_per_s, look.p99_ms)
            self._moments.append(moment)

    def alarm(self, stance: str, says: str) -> None:
        """Remember it for the banner."""
        with self._lock:
            self._alarm = (stance, says)

    def close(self) -> None:
        """The run is over."""
        with self._lock:
            self._over = True

    @contextlib.contextmanager
    def beside(self, stop: StopSwitch) -> Iterator[None]:
        """Serve the page for as long as the block lasts. MachineError when the port cannot be had."""
        self._stop = stop
        with serving(make_app(self.told, lambda who: stop.pull("page", who)), self._port) as url:
            self._on_serving(url)
            try:
                yield
            finally:
                self.close()
                if self._clock.now_ns() - self._asked_ns < _LOOKS_WITHIN_S * 1e9:
                    self._clock.wait(_LAST_LOOK_S)

    def told(self) -> Told:
        """What the page shows now."""
        with self._lock:
            self._asked_ns = self._clock.now_ns()
            look, stop = self._look, self._stop
            stance, waits = self._alarm if not self._over else ("", "")
            steps, moments = list(self._steps), list(self._moments)
            state: State = "over" if self._over else "running" if look is not None else "starting"
        says = ""
        if stop is not None and stop.stopped.is_set():
            says = stop.reason
            state = "over" if state == "over" else "stopping"
        if look is None:
            return Told("", state, says, steps=steps, elapsed_s=self._elapsed_s())
        return Told(
            run="",
            state=state,
            says=says,
            phase=look.phase,
            stance=stance,
            waits=waits,
            elapsed_s=self._elapsed_s(),
            left_s=look.left_s,
            run_left_s=look.run_left_s,
            in_flight=look.in_flight,
            backlog=look.status.get("backlog"),
            dropped=look.dropped,
            withheld=look.status.get("withheld"),
            errors={str(name): int(count) for name, count in look.status.get("errors", {}).items()},
            moments=moments,
            steps=steps,
            agents=[_agent(name, dict(status)) for name, status in look.agents.items()],
            links={name: float(part) for name, part in look.links.items()},
        )

    def _elapsed_s(self) -> float:
        return (self._clock.now_ns() - self._began_ns) / 1e9


def _agent(name: str, status: dict[str, Any]) -> dict[str, Any]:
    return {"name": name} | {field: status[field] for field in _AGENT_FIELDS if field in status}
