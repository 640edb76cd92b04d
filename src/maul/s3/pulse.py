"""The sentinel: one connection that stood before the load, one small request per second on it."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from maul.core.clock import Clock, SystemClock
from maul.core.vantage import Attempt, Notice, Question, Vantage
from maul.s3.doorstep import CONNECT_S, Answer, reach_of, request
from maul.s3.knock import Rounds, attempt_of
from maul.s3.own_thread import OwnThread
from maul.s3.tcp_line import Ended, Gate, Line, Stopped

EVERY_S = 1.0
ANSWER_S = 1.0
DIES_MS = 10_000
REOPEN_S = 5.0
LATE_S = 0.25
"""A pulse that this process is later with than this is dropped: it would tell of us, not of the target."""
_TICK_MS = 20.0
"""What the kernel says of when data came is no finer than its ticks."""
_SURVIVED = {"unreachable", "prohibited"}
"""What ICMP says of a connection that stands does not end it."""


@dataclass(frozen=True, slots=True)
class Punctuality:
    """Of a sentinel itself, in seconds. `dropped`: pulses that it was too late to send."""

    late_max_s: float = 0.0
    dropped: int = 0


class Sentinel(OwnThread):
    """Satisfies `Lookout`: a pulse each second on a thread of its own; questions from `IDLE` by knocks on another.

    An answer that takes longer than a second is told as STALLED, again each second while nothing comes, and nothing
    more is sent meanwhile; when it comes after all, that is told. The connection dies by a reset, or when the kernel
    had no acknowledgement for 10 s; a new one is tried 5 s after the last try, but not while `quiet`. A question from
    `SENTINEL` opens it even then. Between its tries a dead sentinel says nothing.
    """

    def __init__(self, who: str, endpoint: str, gates: Mapping[str, Gate], clock: Clock | None = None) -> None:
        """Opens its connection at once. `gates`: by the endpoint's name; questions may name any of them."""
        super().__init__(f"sentinel-{who}")
        self._clock = clock or SystemClock()
        self._gate, self._question = gates[endpoint], Question(Vantage.SENTINEL, who, endpoint)
        self._idle = Rounds(Question(Vantage.IDLE, who, endpoint), gates, every_s=0.0, clock=self._clock)
        self._open_now = False
        self._tried = time.monotonic() - REOPEN_S
        self._stands = threading.Event()
        self.punctuality = Punctuality()
        self._thread.start()

    def stands(self, wait_s: float = 0.0) -> bool:
        """Whether its connection is open, waited for at most so long."""
        return self._stands.wait(wait_s)

    def take(self) -> Sequence[Attempt | Notice]:
        """See `Lookout`."""
        return [*super().take(), *self._idle.take()]

    def ask(self, question: Question) -> bool:
        """See `Lookout`. From `SENTINEL`: open the connection now if it is dead; a pulse is due each second anyway."""
        if question != self._question:
            return self._idle.ask(question)
        with self._changed:
            self._open_now = not self._stands.is_set()
            self._changed.notify()
        return True

    def close(self) -> None:
        """See `Lookout`. Harmless a second time."""
        self._idle.close()
        super().close()

    # -- its thread ------------------------------------------------------------------------------------------------

    def _go(self) -> None:
        while self._may_open():
            line = Line(self._gate, self._wake.fd)
            try:
                self._live(line)
            except Stopped:
                return
            finally:
                self._stands.clear()
                line.close()

    def _may_open(self) -> bool:
        """Wait for the moment to open a connection; False: it is over."""
        with self._changed:
            while not self._over:
                left_s = self._tried + REOPEN_S - time.monotonic()
                if self._open_now or (left_s <= 0 and not self._quiet):
                    self._open_now = False
                    self._tried = time.monotonic()
                    return True
                self._changed.wait(None if self._quiet else left_s)
        return False

    def _live(self, line: Line) -> None:
        """Open it, and let it beat until it dies."""
        took: dict[str, float] = {}
        began_ns = self._clock.now_ns()
        try:
            _open(line, took)
        except Ended as end:
            told = {"reach": end.reach, "says": end.says, "status": 0, "tcp": line.facts(), **took}
            self._came.append(attempt_of(told, self._question, began_ns))
            return
        self._stands.set()
        heart = _Heart(line, self._tell, took)
        due = time.monotonic()
        try:
            while heart.beats and not self._over:
                due = self._punctual(due, heart.waits)
                heart.beat(due)
                due += EVERY_S
        except Ended as end:
            self._tell(line, end.reach, f"{end.says}; the connection that stood is dead")

    def _punctual(self, due: float, busy: bool) -> float:
        """The moment of the next pulse: now, or, when that was missed, a later one."""
        late_s = time.monotonic() - due
        seen = self.punctuality
        missed = 0
        while due + LATE_S < time.monotonic():
            due, missed = due + EVERY_S, missed + 1
        dropped = seen.dropped + (0 if busy else missed)
        self.punctuality = Punctuality(max(seen.late_max_s, late_s), dropped)
        return due

    def _tell(self, line: Line, reach: str, says: str, **took: float) -> None:
        """Of the last second: an answer that was waited for longer began to be missing before."""
        told = {"reach": reach, "says": says, "status": 0, "tcp": line.facts(), **took}
        age_s = min(EVERY_S, took.get("answer_ms", EVERY_S * 1e3) / 1e3)
        self._came.append(attempt_of(told, self._question, self._clock.now_ns() - round(age_s * 1e9)))


def _open(line: Line, took: dict[str, float]) -> None:
    """Connect and handshake; `took`: how long each took, as far as it came. Ended when it did not."""
    try:
        took["connect_ms"] = line.connect(time.monotonic() + CONNECT_S, user_timeout_ms=DIES_MS)
        if line.gate.context is not None:
            took["tls_ms"] = line.secure(time.monotonic() + CONNECT_S)
    except TimeoutError:
        if took:
            raise Ended("stalled", f"connected, but the TLS handshake got no answer within {CONNECT_S:g} s") from None
        raise Ended("timeout", f"the SYN was not answered within {CONNECT_S:g} s") from None


class _Heart:
    """What goes on on a connection that stands. Raises Ended when it dies, Stopped when it is over."""

    def __init__(self, line: Line, tell: Callable[..., None], took: Mapping[str, float]) -> None:
        """`took`: what opening it took, told with the first answer."""
        self.beats = True
        self._line, self._tell, self._took = line, tell, dict(took)
        self._answer: Answer | None = None
        self._sent = 0.0

    @property
    def waits(self) -> bool:
        """Whether a request is out that has no answer yet."""
        return self._answer is not None

    def beat(self, due: float) -> None:
        """One second: send when it is due, unless something is waited for; then listen until the second is over."""
        if self._answer is None:
            self._listen(due)
            if not self.beats:
                return
            self._line.send(request(self._line.gate, keep=True), due + EVERY_S)
            self._answer, self._sent = Answer(bodiless=True), time.monotonic()
        told = self._listen(due + EVERY_S)
        if self._answer is not None:
            told = self._listen(self._sent + ANSWER_S) or told
        if self._answer is not None and not told:
            self._tell(self._line, "stalled", f"no answer for {time.monotonic() - self._sent:.0f} s", **self._opened())

    def _listen(self, until: float) -> bool:
        """Whether something was told of this second."""
        told = False
        while self.beats:
            try:
                data = self._line.receive(until)
            except TimeoutError:
                return told
            except Ended as end:
                if end.reach not in _SURVIVED:
                    raise
                if not told:  # each packet sent again may be answered so
                    self._tell(self._line, end.reach, end.says)
                told = True
                continue
            if not data:
                raise Ended("reset", "it closed the connection")
            if self._answer is not None and self._answer.feed(data):
                self._answered(self._answer)
                told = True
        return told

    def _answered(self, answer: Answer) -> None:
        waited_ms = (time.monotonic() - self._sent) * 1e3
        silent_ms = self._line.silent_ms()  # of this process: the kernel had it all the time
        answer_ms = waited_ms - silent_ms if silent_ms > _TICK_MS else waited_ms
        says = f"HTTP {answer.status}"
        took = {"status": answer.status, "answer_ms": max(0.0, answer_ms), **self._opened()}
        self._tell(self._line, reach_of(answer.status), says, **took)
        self._answer, self.beats = None, not answer.closes

    def _opened(self) -> dict[str, float]:
        took, self._took = self._took, {}
        return took
