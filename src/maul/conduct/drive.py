"""Drives one generator from its start to its end: lease, record, guard, progress, stop.

The loop below is the only place where a running engine is looked at. Everything it decides it asks a pure function for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from maul.conduct.progress import PhaseProgress, Progress
from maul.conduct.stop import StopSwitch
from maul.core.clock import Clock
from maul.core.event import Edge, Event, EventKind
from maul.core.generator import Drained, Generator, GeneratorStatus
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.sample import Sample
from maul.plan import LevelPlan
from maul.record import RunWriter

TICK_S = 0.1
"""How often the lease is renewed and the guard is asked."""
_LOOK_EVERY_S = 0.5
"""How often the record is fed and the progress is told."""
_STOP_GRACE_S = 0.6
"""After a stop, how long requests in flight may still end before their sockets are closed."""
_CLOSE_S = 2.0
"""How long closing all sockets may take."""
_OVERDUE_S = 20.0
"""An engine that is not done this long after its phase's longest duration is closed, whatever it says."""
OVERDUE = "the engine did not end in time"
"""The stop reason of such an engine."""
MITIGATION = "mitigation"
"""The stop reason of engines that must fall silent at once, because somebody upstream stopped their traffic."""


@dataclass(frozen=True, slots=True)
class Drive:
    """What one drive is about. `phase` names it in the record.

    `duration_s` is how long it should take, `patience_s` the longest it may; `run_left_s` what the run is expected
    to take after it; `endpoint_offset` the place of the engine's first endpoint among those of the phase;
    `heard` are told everything that is drained, beside the record or instead of it.
    """

    phase: str
    duration_s: float
    patience_s: float
    levels: Sequence[LevelPlan] = ()
    run_left_s: float = 0.0
    endpoint_offset: int = 0
    heard: Sequence[Callable[[Drained], None]] = ()


@dataclass(frozen=True, slots=True)
class Driven:
    """How it ended: the engine's last status.

    `silent_ns`: since when it was done after it had been told to end at once; `in_time`: that it was.
    """

    status: Mapping[str, Any]
    silent_ns: int = 0
    in_time: bool = True


Watch = Callable[[Mapping[str, Any]], str | None]
"""Asked at every tick with the status: a reason to end this phase, or None."""


class Driver:
    """The hands that a drive needs: where facts go, what time it is, who may stop it."""

    def __init__(self, writer: RunWriter | None, clock: Clock, stop: StopSwitch, progress: Progress) -> None:
        """`writer` None: nothing is recorded (`maul hit`)."""
        self._writer, self._clock, self._stop, self._progress = writer, clock, stop, progress

    def run(self, generator: Generator, drive: Drive, watch: Watch | None = None) -> Driven:
        """Start the generator and see it to its end; one that is to stop before it began is not started.

        Whatever happens, its sockets are closed and what it counted is recorded when this returns.
        """
        if self._stop.stopped.is_set():
            return Driven(as_mapping(generator.status()))
        levels = _Levels(drive.levels, self._record_event)
        look, load = _Look(drive), LoadMeter()
        began_ns = self._clock.now_ns()
        ended = Driven({})
        try:
            generator.start()
            while True:
                self._clock.wait(TICK_S, self._stop.stopped)
                generator.renew()
                status = as_mapping(generator.status())
                began_ns = status["began_ns"] or began_ns  # a fleet begins a moment after it was told to
                elapsed_s = max(0.0, (self._clock.now_ns() - began_ns) / 1e9)
                levels.advance(began_ns, elapsed_s)
                self._record_load(load, status)
                if look.due(elapsed_s):
                    self._collect(generator, drive, look)
                    self._progress.phase(look.tell(status, elapsed_s))
                if status["state"] == "done":
                    break
                reason = self._reason_to_stop(status, elapsed_s, drive, watch)
                if reason:
                    ended = self._end(generator, reason)
                    break
        finally:
            if not generator.join(0.0):
                generator.stop("aborted", now=True)
                generator.join(_CLOSE_S)
            levels.advance(began_ns, (self._clock.now_ns() - began_ns) / 1e9)
            self._collect(generator, drive, look)  # the last objects too must be in the ledger
        return replace(ended, status=as_mapping(generator.status()))

    def _reason_to_stop(
        self, status: Mapping[str, Any], elapsed_s: float, drive: Drive, watch: Watch | None
    ) -> str | None:
        if self._stop.stopped.is_set():
            return self._stop.reason
        if elapsed_s > drive.patience_s + _OVERDUE_S:
            return OVERDUE
        return watch(status) if watch is not None else None

    def _end(self, generator: Generator, reason: str) -> Driven:
        at_once = self._stop.pulled is not None or reason == MITIGATION
        generator.stop(reason, now=at_once)
        in_time = generator.join(_CLOSE_S if at_once else _STOP_GRACE_S)
        if not in_time:
            generator.stop(reason, now=True)
            in_time = generator.join(_CLOSE_S)
        return Driven({}, self._clock.now_ns(), in_time)

    def _collect(self, generator: Generator, drive: Drive, look: "_Look") -> None:
        drained = generator.drain()
        look.add(drained.latency)
        for hear in drive.heard:
            hear(drained)
        if self._writer is not None:
            operations = drained.operations
            if drive.endpoint_offset:
                operations = operations.copy()
                operations["endpoint"] += drive.endpoint_offset
            self._writer.latency(drive.phase, drained.latency)
            self._writer.operations(drive.phase, operations)
            self._writer.exhibits(drive.phase, drained.exhibits)
            self._writer.flush()

    def _record_load(self, load: "LoadMeter", status: Mapping[str, Any]) -> None:
        if self._writer is not None:
            at_ns = self._clock.now_ns()
            found = load.read(status)
            self._writer.samples([Sample(at_ns, "generator", name, "", value) for name, value in found.items()])

    def _record_event(self, event: Event) -> None:
        if self._writer is not None:
            self._writer.events([event])


def as_mapping(status: GeneratorStatus) -> dict[str, Any]:
    """A status as the record keeps it: error classes by name."""
    words = asdict(status)
    words["errors"] = {kind.name: count for kind, count in status.errors.items()}
    words["error_examples"] = {kind.name: says for kind, says in status.error_examples.items()}
    return words


class _Levels:
    """Turns the passing of time into LEVEL events: of levels that were held to their end, and only those."""

    def __init__(self, spans: Sequence[LevelPlan], record: Callable[[Event], None]) -> None:
        self._spans, self._record = spans, record
        self._index = 0

    def advance(self, began_ns: int, elapsed_s: float) -> None:
        while self._index < len(self._spans) and elapsed_s >= self._spans[self._index].end_s:
            span = self._spans[self._index]
            self._index += 1
            for edge, at_s in ((Edge.BEGAN, span.start_s), (Edge.ENDED, span.end_s)):
                at_ns = began_ns + int(at_s * 1e9)
                name = f"level {self._index}"
                self._record(Event(at_ns, EventKind.LEVEL, edge, name, details={"rate": span.rate_per_s}))


class LoadMeter:
    """How much was in flight and how much waited to be sent, on average since the last reading.

    The engine counts it apart from the latencies, so that Little's law can hold both to account.
    """

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._elapsed_s, self._seconds = 0.0, 0.0

    def read(self, status: Mapping[str, Any]) -> dict[str, float]:
        """Both by name; nothing while the engine is not running or its status is the one read before."""
        elapsed_s, seconds = status["elapsed_s"], status["in_flight_seconds"]
        lasted_s, grown_s = elapsed_s - self._elapsed_s, seconds - self._seconds
        if status["state"] != "running" or lasted_s <= 0:
            return {}
        self._elapsed_s, self._seconds = elapsed_s, seconds
        return {"in_flight": grown_s / lasted_s, "backlog": float(status["backlog"])}


class _Look:
    """What the progress shows: rates since the last look, p99 of the operations that ended since then."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._at_s, self._counted_s, self._offered, self._completed = 0.0, 0.0, 0, 0
        self._rates = 0.0, 0.0
        self._histogram = Histogram()

    def due(self, elapsed_s: float) -> bool:
        return elapsed_s - self._at_s >= _LOOK_EVERY_S

    def add(self, rows: Sequence[LatencyRow]) -> None:
        for row in rows:
            if row.kind == LatencyKind.LATENCY:
                self._histogram.merge(Histogram.from_v2(row.hdr))

    def tell(self, status: Mapping[str, Any], elapsed_s: float) -> PhaseProgress:
        interval_s = status["elapsed_s"] - self._counted_s
        if interval_s > 0:  # a fleet is heard of once a second: until then its rates are as they were
            grown = status["offered"] - self._offered, status["completed"] - self._completed
            self._rates = grown[0] / interval_s, grown[1] / interval_s
            self._counted_s = status["elapsed_s"]
            self._offered, self._completed = status["offered"], status["completed"]
        p99_ms = self._histogram.percentile(99.0) / 1e6 if self._histogram.count else None
        left_s = max(0.0, self._drive.duration_s - elapsed_s)
        look = PhaseProgress(
            phase=self._drive.phase,
            elapsed_s=elapsed_s,
            left_s=left_s,
            run_left_s=left_s + self._drive.run_left_s,
            offered_per_s=self._rates[0],
            done_per_s=self._rates[1],
            p99_ms=p99_ms,
            errors=status["fail"] + status["unknown"] - status["errors"].get("GIVEN_UP", 0),
            dropped=status["dropped"],
            in_flight=status["in_flight"],
            status=status,
        )
        self._at_s = elapsed_s
        self._histogram = Histogram()
        return look
