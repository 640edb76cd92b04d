"""One step of a rising load in numbers, and whether it kept what was promised."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from maul.core.histogram import Histogram, LatencyKind
from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import Level
from maul.insight.gauges import Gauges
from maul.insight.generator_bound import GeneratorLimits, signs_between, void_reasons
from maul.insight.latency import ANSWERED, SENT, LatencyBook, Select, percentile_ms
from maul.insight.little import little
from maul.insight.spans import Span, rows_where, settled_ns
from maul.insight.words import show_count, show_ms, show_percentile, show_ratio
from maul.plan.model import ObjectivePlan

ACHIEVED_RATIO_MIN = 0.98
"""Fewer answers than this share of the arrivals: the level was not achieved."""
ACHIEVED_SLACK = 2
"""Operations that may end on the wrong side of a level's edges without meaning anything."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One promise to customers. `op` None = all operations together; a limit of None is not asked for."""

    name: str
    percentile: float = 99.0
    latency_below_ms: float | None = None
    errors_below: float | None = None  # ratio of failed, unanswered and dropped arrivals
    op: str | None = None  # "get", "put" …
    tenant: int | None = None  # all together

    @classmethod
    def of(cls, planned: ObjectivePlan) -> "Objective":
        """As the plan has it."""
        return cls(
            name=planned.name,
            percentile=planned.percentile or 99.0,
            latency_below_ms=planned.latency_below_ms,
            errors_below=planned.errors_below,
            op=planned.op,
            tenant=planned.tenant,
        )


@dataclass(frozen=True, slots=True)
class LevelInput:
    """What a level is measured from."""

    book: LatencyBook
    operations: "OperationColumns"
    gauges: Gauges
    objectives: Sequence[Objective]
    generator: GeneratorLimits


class OperationColumns:
    """The columns of one phase's operations that levels need."""

    def __init__(self, operations: pa.Table, phase: str) -> None:
        """From the operations table of a record."""
        chosen = rows_where(operations, "phase", phase)
        self.due_ns: Any = chosen["due_ns"].to_numpy().astype(np.int64)
        self.end_ns: Any = chosen["end_ns"].to_numpy().astype(np.int64)
        self.op: Any = chosen["op"].to_numpy()
        self.ok: Any = chosen["outcome"].to_numpy() == Outcome.OK
        self.stopped: Any = chosen["error_class"].to_numpy() == ErrorClass.STOPPED
        self.sent: Any = chosen["start_ns"].to_numpy() > 0
        self.exhausted_ns: Any = self.end_ns[chosen["error_class"].to_numpy() == ErrorClass.EXHAUSTED]

    def throughput(self, began_ns: int, ended_ns: int) -> tuple[int, int]:
        """(arrivals due, operations that ended well) in [began, ended). What we stopped is no arrival."""
        due = (self.due_ns >= began_ns) & (self.due_ns < ended_ns) & ~self.stopped
        done = (self.end_ns >= began_ns) & (self.end_ns < ended_ns) & self.ok
        return int(due.sum()), int(done.sum())

    def last_due_ns(self, began_ns: int, ended_ns: int) -> int:
        """When the last arrival in [began, ended) was due; `ended_ns` when there was none."""
        inside = self.due_ns[(self.due_ns >= began_ns) & (self.due_ns < ended_ns)]
        return int(inside.max()) if inside.size else ended_ns

    def exhausted(self, began_ns: int, ended_ns: int) -> int:
        """Operations that ended in [began, ended) because this machine had no port or descriptor left."""
        return int((self.exhausted_ns >= began_ns).sum() - (self.exhausted_ns >= ended_ns).sum())

    def stopped_by_us(self, seconds: tuple[int, int], op: Op | None) -> tuple[int, int]:
        """(in flight, still waiting) when the run was stopped, of those due in these seconds: no errors."""
        second = self.due_ns // 10**9
        mask = self.stopped & (second >= seconds[0]) & (second < seconds[1])
        if op is not None:
            mask &= self.op == op
        return int((mask & self.sent).sum()), int((mask & ~self.sent).sum())


@dataclass(frozen=True, slots=True)
class _Arrivals:
    ok: int
    bad: int  # failed or not answered
    dropped: int

    @property
    def offered(self) -> int:
        return self.ok + self.bad + self.dropped


def whole_seconds(began_ns: int, ended_ns: int) -> tuple[int, int]:
    """[first, end) of the seconds that lie wholly inside; of a stretch without one, those it touches."""
    first, end = -(-began_ns // 10**9), ended_ns // 10**9
    return (first, end) if end > first else (began_ns // 10**9, -(-ended_ns // 10**9))


def measure_level(span: Span, phase: str, given: LevelInput) -> Level:
    """The level of a LEVEL span. Answers are counted in the operations if recorded, else by histogram."""
    seconds = whole_seconds(span.began_ns, span.ended_ns)
    select = Select(phase=phase, seconds=seconds)
    arrivals = _arrivals(given, select)
    planned = span.details.get("rate")
    achieved_per_s, shortfall = _achieved(span, arrivals, seconds, given.operations)
    latency = given.book.merged(LatencyKind.LATENCY, select)
    service = given.book.merged(LatencyKind.SERVICE, Select(phase, None, ANSWERED, seconds))
    lag = given.book.merged(LatencyKind.LAG, Select(phase, None, SENT, seconds))
    late = given.book.merged(LatencyKind.SCHEDULE, Select(phase, None, frozenset(Outcome), seconds))
    offered_per_s = float(planned) if planned else arrivals.offered / max(1, seconds[1] - seconds[0])
    law = little(given.gauges, given.book, phase, seconds)
    why_not = _why_not(select, arrivals, shortfall, given)
    return Level(
        began_ns=span.began_ns,
        ended_ns=span.ended_ns,
        offered_per_s=offered_per_s,
        achieved_per_s=achieved_per_s,
        p50_ms=percentile_ms(latency, 50.0),
        p99_ms=percentile_ms(latency, 99.0),
        p999_ms=percentile_ms(latency, 99.9),
        service_p99_ms=percentile_ms(service, 99.0),
        error_ratio=_ratio(arrivals.bad, arrivals.offered),
        dropped_ratio=_ratio(arrivals.dropped, arrivals.offered),
        lag_p99_ms=percentile_ms(lag, 99.0),
        meets=not why_not,
        why_not="; ".join(why_not),
        void=_void(span, offered_per_s, late, given),
        schedule_p99_ms=percentile_ms(late, 99.0) if late.count else None,
        mean_ms=latency.mean / 1e6 if latency.count else 0.0,
        service_mean_ms=service.mean / 1e6 if service.count else 0.0,
        in_flight=law.in_flight if law is not None else None,
        little_gap=law.gap if law is not None else None,
    )


def _arrivals(given: LevelInput, select: Select) -> _Arrivals:
    counts = given.book.counts(select)
    bad, dropped = counts[Outcome.FAIL] + counts[Outcome.UNKNOWN], counts[Outcome.DROPPED]
    if select.seconds is not None:
        in_flight, waiting = given.operations.stopped_by_us(select.seconds, select.op)
        bad, dropped = max(0, bad - in_flight), max(0, dropped - waiting)
    return _Arrivals(counts[Outcome.OK], bad, dropped)


def _achieved(
    span: Span, arrivals: _Arrivals, seconds: tuple[int, int], operations: OperationColumns
) -> tuple[float, float | None]:
    """(answers per second, the share of arrivals that were answered when that is too small).

    Counted where they *end*: under overload the answers to a level's arrivals still come, but after it.
    """
    began_ns = settled_ns(span.began_ns, span.ended_ns)
    # A ramp that ends early stops its arrivals a moment before the level is told to have ended.
    ended_ns = operations.last_due_ns(began_ns, span.ended_ns)
    due, done = operations.throughput(began_ns, ended_ns)
    per_s = done / ((ended_ns - began_ns) / 1e9) if ended_ns > began_ns else 0.0
    if not due:
        due, done = arrivals.offered, arrivals.ok
        per_s = done / max(1, seconds[1] - seconds[0])
    missed = due - done > due * (1 - ACHIEVED_RATIO_MIN) + ACHIEVED_SLACK
    return per_s, done / due if missed else None


def _why_not(select: Select, arrivals: _Arrivals, shortfall: float | None, given: LevelInput) -> list[str]:
    if not arrivals.offered:
        return ["no operation was due in this level"]
    why: list[str] = []
    if shortfall is not None:
        why.append(f"only {show_ratio(shortfall)} of what was offered was achieved")
    if arrivals.dropped:
        why.append(f"{show_count(arrivals.dropped)} arrivals were dropped after waiting in vain for a connection")
    for objective in given.objectives:
        why += _broken(objective, select, given)
    return why


def _broken(objective: Objective, select: Select, given: LevelInput) -> list[str]:
    op = Op[objective.op.upper()] if objective.op else None
    narrowed = replace(select, op=op, outcomes=None, tenant=objective.tenant)
    arrivals = _arrivals(given, narrowed)
    of = f"of {op.name}" if op is not None else "of all operations"
    if not arrivals.offered:
        return [f"{objective.name}: no {objective.op} was due, so it is not known"]
    why: list[str] = []
    if objective.latency_below_ms is not None:
        reached_ms = percentile_ms(given.book.merged(LatencyKind.LATENCY, narrowed), objective.percentile)
        if reached_ms >= objective.latency_below_ms:
            figure = f"{show_percentile(objective.percentile)} {of} was {show_ms(reached_ms)}"
            why.append(f"{objective.name}: {figure}, not below {show_ms(objective.latency_below_ms)}")
    if objective.errors_below is not None:
        ratio = _ratio(arrivals.bad + arrivals.dropped, arrivals.offered)
        if ratio > 0 and ratio >= objective.errors_below:
            figure = f"{show_ratio(ratio)} {of} went wrong"
            why.append(f"{objective.name}: {figure}, not below {show_ratio(objective.errors_below)}")
    return why


def _void(span: Span, offered_per_s: float, late: Histogram, given: LevelInput) -> list[str]:
    exhausted = given.operations.exhausted(span.began_ns, span.ended_ns)
    signs = signs_between(given.gauges, (span.began_ns, span.ended_ns), offered_per_s, late, exhausted)
    return void_reasons(signs, given.generator)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
