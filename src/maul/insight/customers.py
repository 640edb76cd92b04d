"""What customers saw while something was broken."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from maul.core.event import EventKind
from maul.core.histogram import LatencyKind
from maul.core.operation import ErrorClass, Outcome
from maul.insight.latency import LatencyBook, Select, percentile_ms
from maul.insight.phases import last_known_ns
from maul.insight.spans import Span, rows_where, spans
from maul.insight.words import listed, show_count, show_ms, show_ratio

BESIDE_S = 10
"""How much of the time before and after a fault it is compared with."""
_CLASSES_SHOWN_MAX = 2


@dataclass(frozen=True, slots=True)
class _View:
    """A stretch of whole seconds as customers saw it."""

    offered: int
    failed: int
    unanswered: int
    dropped: int
    p99_ms: float
    silent_s: int  # the longest run of seconds in which operations were due and none was OK

    @property
    def errors(self) -> int:
        return self.failed + self.unanswered + self.dropped


def customers_during_faults(events: pa.Table, book: LatencyBook, operations: pa.Table) -> dict[str, str]:
    """By name of the FAULT event: errors and p99 before, during and after, for `FaultSummary.customers`."""
    until_ns = last_known_ns(events, book, operations)
    phases = spans(events, EventKind.PHASE, until_ns)
    told: dict[str, str] = {}
    for fault in spans(events, EventKind.FAULT, until_ns):
        phase = next((p for p in phases if p.holds(fault.began_ns)), None)
        said = _tell(fault, phase, book, operations)
        told[fault.name] = f"{told[fault.name]} Again, {said}" if fault.name in told else said
    return told


def _tell(fault: Span, phase: Span | None, book: LatencyBook, operations: pa.Table) -> str:
    first, end = fault.began_ns // 10**9, max(fault.began_ns // 10**9 + 1, math.ceil(fault.ended_ns / 1e9))
    # Only the phase that was hurt is looked at: an audit afterwards has other latencies.
    name = phase.name if phase is not None else None
    before = _view(book, name, first - BESIDE_S, first)
    during = _view(book, name, first, end)
    after = _view(book, name, end, end + BESIDE_S)
    if during is None:
        return "No operation was due while it lasted, so what customers would have seen is not known."
    lasted_s, classes = (fault.ended_ns - fault.began_ns) / 1e9, _classes(operations, name, first, end)
    parts = [
        f"before: {_short(before)}",
        f"during ({lasted_s:.1f} s): {_short(during)}{classes}",
        f"after: {_short(after)}",
    ]
    silence = f" For {during.silent_s} s nothing was answered well." if during.silent_s else ""
    return f"{'; '.join(parts)}.{silence}"


def _view(book: LatencyBook, phase: str | None, first: int, end: int) -> _View | None:
    """None when nothing was due."""
    select = Select(phase=phase, seconds=(first, end))
    counts = book.counts(select)
    offered = sum(counts.values())
    if not offered:
        return None
    ok = book.per_second(Outcome.OK, select, first, end)
    due = sum((book.per_second(o, select, first, end) for o in Outcome), np.zeros(end - first))
    return _View(
        offered=offered,
        failed=counts[Outcome.FAIL],
        unanswered=counts[Outcome.UNKNOWN],
        dropped=counts[Outcome.DROPPED],
        p99_ms=percentile_ms(book.merged(LatencyKind.LATENCY, select), 99.0),
        silent_s=_longest(((due > 0) & (ok == 0)).tolist()),
    )


def _longest(flags: list[bool]) -> int:
    longest = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        longest = max(longest, run)
    return longest


def _short(view: _View | None) -> str:
    if view is None:
        return "no load"
    kinds = {"failed": view.failed, "were not answered": view.unanswered, "were never sent": view.dropped}
    bad = listed(f"{show_count(count)} {what}" for what, count in kinds.items() if count)
    share = f" ({show_ratio(view.errors / view.offered)} of {show_count(view.offered)})"
    return f"p99 {show_ms(view.p99_ms)}, {bad + share if bad else 'no errors'}"


def _classes(operations: pa.Table, phase: str | None, first: int, end: int) -> str:
    """The most frequent error classes of these seconds, where operations are recorded."""
    chosen = operations if phase is None else rows_where(operations, "phase", phase)
    due_s = chosen["due_ns"].to_numpy().astype(np.int64) // 10**9
    mask = (due_s >= first) & (due_s < end) & (chosen["outcome"].to_numpy() != Outcome.OK)
    counts = Counter(chosen["error_class"].to_numpy()[mask].tolist()).most_common(_CLASSES_SHOWN_MAX)
    names = {member.value: member.name.lower() for member in ErrorClass}
    return f", mostly {listed(names.get(n, str(n)) for n, _ in counts)}" if counts else ""
