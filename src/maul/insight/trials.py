"""One trial of a search in numbers, and whether the rate held. Pure: from operations to a judgement.

What is judged begins where the answers became steady (MSER-5), not at a fixed time. An arrival that was dropped, or
not answered, counts as bad and, in a percentile, as slow as its wait: it is censored, never left out.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from maul.core.operation import OPERATION_DTYPE, ErrorClass, Op, Outcome
from maul.insight.latency import WAITED
from maul.insight.levels import ACHIEVED_RATIO_MIN, ACHIEVED_SLACK, Objective
from maul.insight.steady import mser5, trend_p
from maul.insight.words import show_count, show_ms, show_percentile, show_ratio

BINS = 60
"""The latency over time, for the steady state: medians of so many stretches of a trial."""
TREND_P_MAX = 0.01
RISE_RATIO, RISE_MS = 1.5, 5.0
"""A median that is so much higher at the end than at the beginning, and never settled: a queue that grows."""
UNDER_WAY_RATIO = 0.03
"""Of the arrivals of half a trial: what may be under way at its end where no latency was promised."""
EDGE_MS_MIN, EDGE_MS_MAX = 50.0, 1000.0
OFFERED_MIN = 10
"""Fewer arrivals say nothing."""

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Answers:
    """The operations of a trial, one entry each. Times in ns; `sent` False: it never left."""

    due_ns: Ints
    start_ns: Ints
    end_ns: Ints
    op: np.ndarray[Any, np.dtype[np.uint8]]
    outcome: np.ndarray[Any, np.dtype[np.uint8]]

    @classmethod
    def of(cls, parts: Sequence[np.ndarray[Any, Any]]) -> "Answers":
        """From arrays with these fields of OPERATION_DTYPE, without what our own stop cut off."""
        whole = np.concatenate(parts) if parts else np.empty(0, OPERATION_DTYPE)
        whole = whole[whole["error_class"] != ErrorClass.STOPPED]
        return cls(
            whole["due_ns"].astype(np.int64),
            whole["start_ns"].astype(np.int64),
            whole["end_ns"].astype(np.int64),
            whole["op"],
            whole["outcome"],
        )

    def where(self, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> "Answers":
        """Some of them."""
        return Answers(self.due_ns[mask], self.start_ns[mask], self.end_ns[mask], self.op[mask], self.outcome[mask])

    @property
    def offered(self) -> int:
        """Arrivals."""
        return int(self.due_ns.size)

    @property
    def bad(self) -> int:
        """Arrivals that were not answered well."""
        return int((self.outcome != Outcome.OK).sum())

    def waits_ms(self) -> Floats:
        """From due to end, of all that a customer waited for, sorted."""
        waited = np.isin(self.outcome, [int(one) for one in WAITED])
        return np.sort((self.end_ns - self.due_ns)[waited]) / 1e6

    def percentile_ms(self, percentile: float) -> float:
        """The smallest wait that at least this part does not exceed; 0 of nothing."""
        return _rank(self.waits_ms(), percentile)

    def service_mean_ms(self) -> float:
        """From send to end, on average, of what was sent."""
        sent = self.start_ns > 0
        return _mean((self.end_ns - self.start_ns)[sent] / 1e6)

    def lag_p99_ms(self) -> float:
        """How late the sends were."""
        sent = self.start_ns > 0
        return _rank(np.sort((self.start_ns - self.due_ns)[sent]) / 1e6, 99.0)


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """A trial in numbers; rates per second, of the steady part."""

    began_ns: int
    ended_ns: int
    offered_per_s: float
    achieved_per_s: float
    p50_ms: float
    p99_ms: float
    mean_ms: float
    service_mean_ms: float
    """Send to end, of what was sent."""
    error_ratio: float
    dropped_ratio: float
    lag_p99_ms: float
    settled_s: float | None
    """From the beginning to the steady state; None: none was detected, and the whole was judged."""
    why_not: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether the rate kept what was promised."""
        return not self.why_not

    def as_json(self) -> dict[str, Any]:
        """For the details of an event."""
        return asdict(self)


def measure_trial(answers: Answers, rate_per_s: float, seconds: float, objectives: Sequence[Objective]) -> TrialFacts:
    """What the operations of one trial say; `rate_per_s` and `seconds` are what was asked."""
    if answers.offered < OFFERED_MIN:
        says = f"only {answers.offered} operations were due"
        return TrialFacts(0, 0, rate_per_s, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None, (says,))
    began_ns = int(answers.due_ns.min())
    ended_ns = min(began_ns + round(seconds * 1e9), int(answers.due_ns.max()) + 1)
    cut_ns, rises = _settled(answers, began_ns, ended_ns)
    judged = answers.where(answers.due_ns >= (began_ns if cut_ns is None else cut_ns))
    from_ns = began_ns if cut_ns is None else cut_ns
    due, done = judged.offered, int(((answers.end_ns >= from_ns) & (answers.end_ns < ended_ns) & _ok(answers)).sum())
    length_s = max((ended_ns - from_ns) / 1e9, 1e-9)
    why_not = [*_shortfall(answers, from_ns, ended_ns, objectives), *rises]
    for objective in objectives:
        why_not += _broken(objective, judged)
    return TrialFacts(
        began_ns=began_ns,
        ended_ns=ended_ns,
        offered_per_s=due / length_s,
        achieved_per_s=done / length_s,
        p50_ms=judged.percentile_ms(50.0),
        p99_ms=judged.percentile_ms(99.0),
        mean_ms=_mean(judged.waits_ms()),
        service_mean_ms=judged.service_mean_ms(),
        error_ratio=_ratio(int(np.isin(judged.outcome, [Outcome.FAIL, Outcome.UNKNOWN]).sum()), due),
        dropped_ratio=_ratio(int((judged.outcome == Outcome.DROPPED).sum()), due),
        lag_p99_ms=judged.lag_p99_ms(),
        settled_s=None if cut_ns is None else (cut_ns - began_ns) / 1e9,
        why_not=tuple(why_not),
    )


@dataclass(frozen=True, slots=True)
class Recovery:
    """When a target that gave way is itself again: its median within a tenth of what it was, nearly all answered."""

    baseline_p50_ms: float | None
    rate_per_s: float
    window_s: float = 2.0
    tolerance: float = 0.10
    slack_ms: float = 0.5
    """A tenth of a millisecond or two is noise."""
    bad_ratio: float = 0.05

    @property
    def allowed_ms(self) -> float:
        """What the median may be."""
        return math.inf if self.baseline_p50_ms is None else self.baseline_p50_ms * (1 + self.tolerance) + self.slack_ms

    def median_ms(self, answers: Answers, now_ns: int) -> float | None:
        """Of the last full window; None while there is none, or while too much in it went wrong or is missing.

        The window ends a little in the past: what came due just now has had no time to be answered.
        """
        end_ns = now_ns - round(min(max(self.allowed_ms, EDGE_MS_MIN), EDGE_MS_MAX) * 1e6)
        window_ns = round(self.window_s * 1e9)
        if not answers.offered or end_ns - int(answers.due_ns.min()) < window_ns:
            return None
        recent = answers.where((answers.due_ns >= end_ns - window_ns) & (answers.due_ns < end_ns))
        expected = max(float(OFFERED_MIN), self.rate_per_s * self.window_s)
        well = recent.offered - recent.bad
        return recent.percentile_ms(50.0) if well >= expected * (1 - self.bad_ratio) - 1 else None


def _settled(answers: Answers, began_ns: int, ended_ns: int) -> tuple[int | None, list[str]]:
    """(where the steady state begins, or None; what says that the wait still grew)."""
    waits = (answers.end_ns - answers.due_ns) / 1e6
    edges = np.linspace(began_ns, ended_ns, BINS + 1)
    place = np.clip(np.searchsorted(edges, answers.due_ns, side="right") - 1, 0, BINS - 1)
    order = np.argsort(place, kind="stable")
    bins, firsts = np.unique(place[order], return_index=True)
    medians = np.array([np.median(part) for part in np.split(waits[order], firsts[1:])])
    if medians.size < 4:
        return None, []
    cut = mser5(medians)
    if cut is not None:
        return int(edges[bins[cut]]) if cut else began_ns, []
    third = max(1, medians.size // 3)
    first, last = float(np.median(medians[:third])), float(np.median(medians[-third:]))
    p = trend_p(medians)
    if p is not None and p < TREND_P_MAX and last > first * RISE_RATIO and last > first + RISE_MS:
        return None, [f"the median wait rose from {show_ms(first)} to {show_ms(last)} and did not settle"]
    return None, []


def _shortfall(answers: Answers, from_ns: int, ended_ns: int, objectives: Sequence[Objective]) -> list[str]:
    """In a steady state as much ends as comes due. Asked of the second half: by then what began early has ended.

    What is under way at the end may be as much as comes due within the promised latency.
    """
    middle_ns = (from_ns + ended_ns) // 2
    due = int(((answers.due_ns >= middle_ns) & (answers.due_ns < ended_ns)).sum())
    done = int(((answers.end_ns >= middle_ns) & (answers.end_ns < ended_ns) & _ok(answers)).sum())
    promised_ms = min((one.latency_below_ms for one in objectives if one.latency_below_ms and not one.op), default=0.0)
    rate_per_ms = due / max((ended_ns - middle_ns) / 1e6, 1e-6)
    slack = ACHIEVED_SLACK + max(rate_per_ms * promised_ms, due * UNDER_WAY_RATIO)
    why: list[str] = []
    if due - done > due * (1 - ACHIEVED_RATIO_MIN) + slack:
        why.append(f"only {show_ratio(done / due)} of what was offered was achieved")
    dropped = int(((answers.outcome == Outcome.DROPPED) & (answers.due_ns >= from_ns)).sum())
    if dropped:
        why.append(f"{show_count(dropped)} arrivals were dropped after waiting in vain for a connection")
    return why


def _broken(objective: Objective, judged: Answers) -> list[str]:
    op = Op[objective.op.upper()] if objective.op else None
    chosen = judged if op is None else judged.where(judged.op == op)
    of = f"of {op.name}" if op is not None else "of all operations"
    if not chosen.offered:
        return [f"{objective.name}: no {objective.op} was due, so it is not known"]
    why: list[str] = []
    if objective.latency_below_ms is not None:
        reached_ms = chosen.percentile_ms(objective.percentile)
        if reached_ms >= objective.latency_below_ms:
            figure = f"{show_percentile(objective.percentile)} {of} was {show_ms(reached_ms)}"
            why.append(f"{objective.name}: {figure}, not below {show_ms(objective.latency_below_ms)}")
    if objective.errors_below is not None:
        ratio = _ratio(chosen.bad, chosen.offered)
        if ratio > 0 and ratio >= objective.errors_below:
            figure = f"{show_ratio(ratio)} {of} went wrong"
            why.append(f"{objective.name}: {figure}, not below {show_ratio(objective.errors_below)}")
    return why


def _ok(answers: Answers) -> np.ndarray[Any, np.dtype[np.bool_]]:
    ok: np.ndarray[Any, np.dtype[np.bool_]] = answers.outcome == Outcome.OK
    return ok


def _rank(values: Floats, percentile: float) -> float:
    if not values.size:
        return 0.0
    return float(values[max(0, math.ceil(percentile / 100 * values.size) - 1)])


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else 0.0


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
