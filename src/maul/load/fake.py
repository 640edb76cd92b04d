"""A generator without a target: it plays operations back on a clock that the test moves."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from maul.core.clock import Clock
from maul.core.errors import InternalError
from maul.core.generator import Drained, GeneratorState, GeneratorStatus
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.operation import ErrorClass, Outcome

_NS_PER_S = 1_000_000_000
_AHEAD_NS_MAX = 3600 * _NS_PER_S


class FakeGenerator:
    """Plays a script: operations whose times count from the start (0 stays "never came").

    >>> import numpy as np
    >>> from maul.core.clock import FakeClock
    >>> script = np.zeros(1, OPERATION_DTYPE)
    >>> script["end_ns"] = 5_000_000
    >>> fake = FakeGenerator(script, FakeClock())
    >>> fake.start()
    >>> fake.join(1.0), fake.status().ok
    (True, 1)
    """

    def __init__(self, script: np.ndarray, clock: Clock, *, lease_s: float | None = None) -> None:
        """`script` has OPERATION_DTYPE; an operation is seen as soon as the clock passes its `end_ns`."""
        self._script = np.sort(script, order="end_ns")
        self._clock = clock
        self._lease_ns = None if lease_s is None else int(lease_s * _NS_PER_S)
        self._lease_until_ns = 0
        self._start_ns: int | None = None
        self._began_ns = 0
        self._stop_ns: int | None = None
        self._reason = ""
        self._withheld = np.empty(0, self._script.dtype)
        self._drained = 0
        self.renewals = 0  # for tests of those who should renew

    def start(self, at_ns: int | None = None) -> None:
        """Begin at that moment or now. InternalError when called twice, or when it is more than an hour ahead."""
        if self._start_ns is not None:
            raise InternalError("the engine was started before; make a new one for every run")
        now_ns = self._clock.now_ns()
        if at_ns is not None and at_ns > now_ns + _AHEAD_NS_MAX:
            raise InternalError("a start that is more than an hour from now is too far ahead")
        self._start_ns = now_ns if at_ns is None else at_ns
        self._began_ns = max(now_ns, self._start_ns)
        for script in (self._script, self._withheld):
            for name in ("due_ns", "start_ns", "first_byte_ns", "end_ns"):
                column = script[name]
                # A due time of 0 is the start itself; of the others it means that the moment never came.
                script[name] = np.where((column > 0) | (name == "due_ns"), column + self._start_ns, 0)
        self._script = self._script[self._script["due_ns"] >= self._began_ns]
        self._withheld = self._withheld[self._withheld["due_ns"] >= self._began_ns]
        self._lease_until_ns = now_ns + (self._lease_ns or 0)

    def status(self) -> GeneratorStatus:
        """Where it stands."""
        if self._start_ns is None:
            return GeneratorStatus(GeneratorState.READY)
        now_ns = self._now_ns()
        if now_ns < self._start_ns and self._stop_ns is None:
            return GeneratorStatus(GeneratorState.READY)
        over = self._script[: self._over(now_ns)]
        rest = self._script[len(over) :]
        by_outcome = np.bincount(over["outcome"], minlength=len(Outcome)).tolist()
        classes, counts = np.unique(over["error_class"], return_counts=True)
        errors = {ErrorClass(c): int(n) for c, n in zip(classes, counts, strict=True) if c != ErrorClass.NONE}
        due = int((rest["due_ns"] <= now_ns).sum()) if len(rest) else 0
        state = self._state(rest, now_ns)
        done = state is GeneratorState.DONE
        return GeneratorStatus(
            state=state,
            stop_reason=self._reason or ("completed" if done else ""),
            elapsed_s=max(0, (min(now_ns, self._last_ns()) if done else now_ns) - self._start_ns) / _NS_PER_S,
            began_ns=self._began_ns if now_ns >= self._began_ns else 0,
            offered=len(over) + due,
            withheld=int((self._withheld["due_ns"] <= now_ns).sum()),
            started=len(over) - by_outcome[Outcome.DROPPED] + due,
            completed=len(over) - by_outcome[Outcome.DROPPED],
            ok=by_outcome[Outcome.OK],
            fail=by_outcome[Outcome.FAIL],
            unknown=by_outcome[Outcome.UNKNOWN],
            dropped=by_outcome[Outcome.DROPPED],
            in_flight=due,
            versions_used=int((over["version"] > 0).sum()),
            last_error=next(iter(errors)).name if errors else "",
            errors=errors,
        )

    def drain(self) -> Drained:
        """Take what came since the last call."""
        end = 0 if self._start_ns is None else self._over(self._now_ns())
        fresh = self._script[self._drained : end].copy()
        self._drained = end
        return Drained(latency_rows(fresh), fresh)

    def renew(self, for_s: float | None = None) -> None:
        """Extend the lease from now on. InternalError for a time that is none."""
        if for_s is not None and not for_s >= 0:
            raise InternalError(f"a lease lasts 0 s or longer, not {for_s}")
        self.renewals += 1
        now_ns = self._now_ns()
        if self._lease_ns is not None and now_ns <= self._lease_until_ns:
            longest_ns = self._lease_ns if for_s is None else min(self._lease_ns, int(for_s * _NS_PER_S))
            self._lease_until_ns = max(self._lease_until_ns, now_ns + longest_ns)

    def throttle(self, part: float) -> None:
        """Send only that part of the arrivals from now on. InternalError for no part."""
        if not 0.0 <= part <= 1.0:
            raise InternalError(f"a part lies between 0 and 1, not at {part}")
        now_ns = -1 if self._start_ns is None else self._now_ns()
        if now_ns >= 0:
            past, passed = self._script["due_ns"] <= now_ns, self._withheld["due_ns"] <= now_ns
        else:
            past, passed = np.zeros(len(self._script), bool), np.zeros(len(self._withheld), bool)
        ahead = np.sort(np.concatenate([self._script[~past], self._withheld[~passed]]), order="due_ns")
        sent = np.diff(np.floor(np.arange(len(ahead) + 1) * part + 1e-9)) > 0
        self._script = np.sort(np.concatenate([self._script[past], ahead[sent]]), order="end_ns")
        self._withheld = np.concatenate([self._withheld[passed], ahead[~sent]])

    def stop(self, reason: str, *, now: bool = False) -> None:
        """No new arrivals; `now` also ends what is in flight as STOPPED."""
        self._cut(self._clock.now_ns(), reason or "stopped", now)

    def join(self, timeout_s: float) -> bool:
        """Let time pass up to the end; True when it came in time."""
        if self._start_ns is None:
            return False
        until_ns = self._clock.now_ns() + int(timeout_s * _NS_PER_S)
        script, lease_ns = self._script, self._lease_ns
        if lease_ns is not None:
            script = script[script["due_ns"] <= self._lease_until_ns]
            # One nanosecond behind its end the lease is seen to be over.
            until_ns = min(until_ns, max(self._lease_until_ns + 1, _last_end_ns(script)))
        wait_ns = min(until_ns, self._last_ns()) - self._clock.now_ns()
        if wait_ns > 0:
            self._clock.wait(wait_ns / _NS_PER_S)
        return self.status().state is GeneratorState.DONE

    def _now_ns(self) -> int:
        """The time; applies what the lease did meanwhile."""
        now_ns = self._clock.now_ns()
        if self._start_ns is not None and self._lease_ns is not None and now_ns > self._lease_until_ns:
            self._cut(self._lease_until_ns, "lease", now=False)
        return now_ns

    def _over(self, now_ns: int) -> int:
        return int(np.searchsorted(self._script["end_ns"], now_ns, side="right"))

    def _last_ns(self) -> int:
        """When all is over: the last operation has ended, and the last arrival been withheld."""
        return max(_last_end_ns(self._script), int(self._withheld["due_ns"].max(initial=0)) + 1)

    def _state(self, rest: np.ndarray, now_ns: int) -> GeneratorState:
        if not len(rest) and not (self._withheld["due_ns"] > now_ns).any():
            return GeneratorState.DONE
        return GeneratorState.RUNNING if self._stop_ns is None else GeneratorState.DRAINING

    def _cut(self, at_ns: int, reason: str, now: bool) -> None:
        """Forget what was due later than `at_ns`; with `now`, end what was in flight then."""
        if self._state(self._script[self._over(at_ns) :], at_ns) is GeneratorState.DONE:
            return
        self._reason = self._reason or reason
        self._stop_ns = at_ns if self._stop_ns is None else self._stop_ns
        if self._start_ns is None:
            return
        script = self._script
        script = script[(script["due_ns"] <= at_ns) | (script["end_ns"] <= at_ns)]
        if now:
            under_way = script["end_ns"] > at_ns
            reads = np.isin(script["op"], (1, 2, 4))
            script["outcome"] = np.where(under_way, np.where(reads, Outcome.FAIL, Outcome.UNKNOWN), script["outcome"])
            script["error_class"] = np.where(under_way, ErrorClass.STOPPED, script["error_class"])
            script["end_ns"] = np.where(under_way, at_ns, script["end_ns"])
        self._script = np.sort(script, order="end_ns")
        self._withheld = self._withheld[self._withheld["due_ns"] <= at_ns]


def _last_end_ns(script: np.ndarray) -> int:
    return int(script["end_ns"].max(initial=0))


def latency_rows(operations: np.ndarray) -> list[LatencyRow]:
    """The histograms that an engine would have counted for these operations."""
    histograms: defaultdict[tuple[int, int, int, LatencyKind, int], Histogram] = defaultdict(Histogram)
    for row in operations:
        second = int(row["due_ns"]) // _NS_PER_S
        for kind, value_ns in _timings(row):
            key = second, int(row["op"]), int(row["outcome"]), kind, int(row["tenant"])
            histograms[key].record(max(0, value_ns))
    return [
        LatencyRow(second, op, outcome, kind, histogram.count, histogram.to_v2(), tenant)
        for (second, op, outcome, kind, tenant), histogram in histograms.items()
    ]


def _timings(row: np.void) -> Iterable[tuple[LatencyKind, int]]:
    due, start, first, end = (int(row[name]) for name in ("due_ns", "start_ns", "first_byte_ns", "end_ns"))
    yield LatencyKind.LATENCY, end - due
    if start:
        yield LatencyKind.SERVICE, end - start
        yield LatencyKind.LAG, start - due
        if first:
            yield LatencyKind.FIRST_BYTE, first - start
