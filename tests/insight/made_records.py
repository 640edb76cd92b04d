"""Hand-made records: loads against targets of known capacity, so that arithmetic knows the right answer."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from maul.core.event import Edge, Event, EventKind
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.operation import OPERATION_DTYPE, ErrorClass, Op, Outcome
from maul.core.sample import Sample
from maul.insight import LatencyBook

T0 = 1_700_000_000
SECOND = 10**9
Operations = np.ndarray[Any, np.dtype[np.void]]


def ns(at_s: float) -> int:
    """Nanoseconds of a moment given in seconds after the beginning of the record."""
    return T0 * SECOND + round(at_s * SECOND)


def load(
    at_s: float,
    rate: float,
    seconds: float,
    *,
    service_ms: float = 2.0,
    capacity: float | None = None,
    lag_ms: float = 0.0,
    op: Op = Op.GET,
) -> Operations:
    """`rate * seconds` evenly spaced arrivals at a target that serves one at a time, `capacity` per second.

    Beyond its capacity the k-th arrival ends at k / capacity: the queue grows as long as the load lasts.
    """
    count = round(rate * seconds)
    made = np.zeros(count, OPERATION_DTYPE)
    due = ns(at_s) + (np.arange(count) * (SECOND / rate)).astype(np.int64)
    begun = due.astype(np.int64)
    if capacity is not None:
        gap = round(SECOND / capacity)
        place = np.arange(count) * gap
        begun = place + np.maximum.accumulate(due - place)  # not before it is due, nor before the one ahead is done
    made["due_ns"], made["start_ns"] = due, due + round(lag_ms * 1e6)
    made["end_ns"] = begun + round((service_ms + lag_ms) * 1e6)
    made["first_byte_ns"] = made["end_ns"]
    made["op"], made["status"], made["bytes"] = op, 200, 4096
    return made


def spoil(operations: Operations, every: int, outcome: Outcome, error: ErrorClass) -> Operations:
    """Every n-th operation went wrong."""
    spoiled = operations.copy()
    spoiled["outcome"][::every], spoiled["error_class"][::every] = outcome, error
    if outcome is Outcome.DROPPED:
        spoiled["start_ns"][::every] = 0
    return spoiled


def rows(operations: Operations, punctual: bool = False) -> list[LatencyRow]:
    """What the engine would tally: a histogram per (second of the due time, operation, outcome, kind).

    `punctual`: what was sent late had waited for a connection; else the generator itself was so late.
    """
    histograms: dict[tuple[int, int, int, LatencyKind], Histogram] = defaultdict(Histogram)
    for one in operations:
        due, start, end = int(one["due_ns"]), int(one["start_ns"]), int(one["end_ns"])
        key = due // SECOND, int(one["op"]), int(one["outcome"])
        histograms[*key, LatencyKind.LATENCY].record(end - due)
        if start:
            histograms[*key, LatencyKind.SERVICE].record(end - start)
            histograms[*key, LatencyKind.LAG].record(start - due)
            histograms[*key, LatencyKind.SCHEDULE].record(0 if punctual else start - due)
    return [LatencyRow(*key, h.count, h.to_v2()) for key, h in histograms.items()]


def samples_of(
    at_s: float, seconds: float, values: Mapping[tuple[str, str, str], float], host: str = "lab"
) -> list[Sample]:
    """One reading a second of each gauge: {(probe, metric, subject): value}."""
    return [
        Sample(ns(at_s + second + 0.5), probe, metric, subject, value, host)
        for second in range(round(seconds))
        for (probe, metric, subject), value in values.items()
    ]


@dataclass
class Record:
    """A record under construction. Add, then take the tables."""

    facts: list[Event] = field(default_factory=list)
    readings: list[Sample] = field(default_factory=list)
    by_phase: dict[str, list[Operations]] = field(default_factory=dict)
    punctual: bool = False

    def span(self, kind: EventKind, name: str, from_s: float, to_s: float | None, /, **details: Any) -> None:
        self.facts.append(Event(ns(from_s), kind, Edge.BEGAN, name, details=details))
        if to_s is not None:
            self.facts.append(Event(ns(to_s), kind, Edge.ENDED, name))

    def phase(self, name: str, from_s: float, to_s: float | None, kind: str = "load") -> None:
        self.span(EventKind.PHASE, name, from_s, to_s, kind=kind)

    def operate(self, phase: str, *operations: Operations) -> None:
        self.by_phase.setdefault(phase, []).extend(operations)

    @property
    def events(self) -> pa.Table:
        return events_table(self.facts)

    @property
    def samples(self) -> pa.Table:
        return samples_table(self.readings)

    @property
    def operations(self) -> pa.Table:
        return operations_table(self.by_phase)

    @property
    def latency(self) -> pa.Table:
        return latency_table(
            {p: [r for ops in parts for r in rows(ops, self.punctual)] for p, parts in self.by_phase.items()}
        )

    @property
    def book(self) -> LatencyBook:
        return LatencyBook.of(self.latency)


def ramp(rates: Sequence[float], seconds: float = 5.0, capacity: float | None = None, **given: Any) -> Record:
    """A phase `ramp` of levels one after the other, at a target that forgets its queue between them."""
    record = Record()
    record.phase("ramp", 0, len(rates) * seconds)
    for number, rate in enumerate(rates):
        at_s = number * seconds
        record.span(EventKind.LEVEL, f"level {number + 1}", at_s, at_s + seconds, rate=rate)
        record.operate("ramp", load(at_s, rate, seconds, capacity=capacity, **given))
    return record


def events_table(events: Iterable[Event]) -> pa.Table:
    schema = pa.schema(
        [("at_ns", pa.int64()), *((n, pa.string()) for n in ("kind", "edge", "name", "says", "details"))]
    )
    made = [
        {"at_ns": e.at_ns, "kind": e.kind.value, "edge": e.edge.value, "name": e.name, "says": e.says,
         "details": json.dumps(e.details)}
        for e in events
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema)


def samples_table(samples: Iterable[Sample]) -> pa.Table:
    names = ("host", "probe", "metric", "subject")
    schema = pa.schema([("at_ns", pa.int64()), *((n, pa.string()) for n in names), ("value", pa.float64())])
    return pa.Table.from_pylist(
        [{"at_ns": s.at_ns, "value": s.value, **{n: getattr(s, n) for n in names}} for s in samples], schema
    )


def operations_table(by_phase: Mapping[str, Sequence[Operations]]) -> pa.Table:
    fields = [(name, pa.from_numpy_dtype(OPERATION_DTYPE[name])) for name in OPERATION_DTYPE.names or ()]
    schema = pa.schema([("phase", pa.string()), *fields])
    tables = [
        pa.table([pa.array([phase] * len(part)), *(pa.array(part[n].copy()) for n, _ in fields)], schema=schema)
        for phase, parts in by_phase.items()
        for part in parts
    ]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def latency_table(by_phase: Mapping[str, Sequence[LatencyRow]]) -> pa.Table:
    schema = pa.schema(
        [("second", pa.int64()), ("phase", pa.string()), ("op", pa.uint8()), ("outcome", pa.uint8()),
         ("kind", pa.string()), ("count", pa.int64()), ("hdr", pa.binary()), ("tenant", pa.uint8())]
    )  # fmt: skip
    made = [
        {"second": r.second, "phase": phase, "op": r.op, "outcome": r.outcome, "kind": r.kind.value,
         "count": r.count, "hdr": r.hdr, "tenant": r.tenant}
        for phase, parts in by_phase.items()
        for r in parts
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema)
