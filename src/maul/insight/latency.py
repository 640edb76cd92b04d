"""Histograms of the record, merged exactly. The one way to a percentile."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from maul.core.errors import CampaignError
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.operation import Op, Outcome
from maul.core.summary import Percentiles

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

SENT = frozenset({Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN})
"""What left the generator."""
ANSWERED = frozenset({Outcome.OK, Outcome.UNKNOWN})
"""Whose service time tells of the target: a quick refusal would flatter it."""
WAITED = frozenset({Outcome.OK, Outcome.UNKNOWN, Outcome.DROPPED})
"""Whose latency a percentile tells: all that a customer waited for. Failures are left out, because a quick
refusal would flatter the figure; they are counted as errors instead."""

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Select:
    """Which rows: None = all. `seconds` is [first, end) in Unix seconds of the due time."""

    phase: str | None = None
    op: Op | None = None
    outcomes: frozenset[Outcome] | None = None
    seconds: tuple[int, int] | None = None
    tenant: int | None = None


ALL = Select()


class LatencyBook:
    """All histograms of a run by (phase, second, op, outcome, kind, tenant). Decodes a row only when asked for.

    Uploads that the client gave up on purpose (ABORTED_PUT) are not among them: they are no arrivals that a customer
    waits for, and neither errors nor successes of the target.
    """

    def __init__(self, columns: dict[str, Any]) -> None:
        """Use `of` or `of_rows`."""
        ops, outcomes = np.asarray(columns["op"], np.uint8), np.asarray(columns["outcome"], np.uint8)
        kept = np.flatnonzero((ops != Op.ABORTED_PUT) | (outcomes != Outcome.FAIL)).tolist()
        if len(kept) < len(ops):
            columns = {name: [column[index] for index in kept] for name, column in columns.items()}
        self._second: IntArray = np.asarray(columns["second"], np.int64)
        self._phase = np.asarray(columns["phase"], object)
        self._op = np.asarray(columns["op"], np.uint8)
        self._outcome = np.asarray(columns["outcome"], np.uint8)
        self._kind = np.asarray(columns["kind"], object)
        self._count: IntArray = np.asarray(columns["count"], np.int64)
        self._tenant = np.asarray(columns["tenant"], np.uint8)
        self._hdr: list[bytes] = columns["hdr"]

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """From the latency table of a record."""
        return cls({name: table[name].to_pylist() for name in table.column_names})

    @classmethod
    def of_rows(cls, phase: str, rows: Iterable[LatencyRow]) -> Self:
        """From rows that were just drained."""
        held = list(rows)
        return cls(
            {
                "second": [r.second for r in held],
                "phase": [phase] * len(held),
                "op": [r.op for r in held],
                "outcome": [r.outcome for r in held],
                "kind": [str(r.kind) for r in held],
                "count": [r.count for r in held],
                "hdr": [r.hdr for r in held],
                "tenant": [r.tenant for r in held],
            }
        )

    def merged(self, kind: LatencyKind, select: Select = ALL) -> Histogram:
        """One histogram of all selected rows of a kind, in ns. Without `outcomes`, of those that waited."""
        return self._merge(np.flatnonzero(self._mask(kind, _waited(select))))

    def by_second(self, kind: LatencyKind, select: Select = ALL) -> Iterator[tuple[int, Histogram]]:
        """A merged histogram for each second that has one, in order. Outcomes as in `merged`."""
        chosen = np.flatnonzero(self._mask(kind, _waited(select)))
        chosen = chosen[np.argsort(self._second[chosen], kind="stable")]
        seconds, firsts = np.unique(self._second[chosen], return_index=True)
        for second, indices in zip(seconds.tolist(), np.split(chosen, firsts[1:]), strict=False):
            yield second, self._merge(indices)

    def counts(self, select: Select = ALL) -> dict[Outcome, int]:
        """Arrivals by outcome: every arrival has a latency, so its rows count them all."""
        mask = self._mask(LatencyKind.LATENCY, select)
        return {o: int(self._count[mask & (self._outcome == o)].sum()) for o in Outcome}

    def per_second(self, outcome: Outcome, select: Select, first: int, end: int) -> FloatArray:
        """Arrivals of an outcome due in each second of [first, end)."""
        mask = self._mask(LatencyKind.LATENCY, select) & (self._outcome == outcome)
        mask &= (self._second >= first) & (self._second < end)
        return np.bincount(self._second[mask] - first, self._count[mask], end - first).astype(np.float64)

    def ops(self, select: Select = ALL) -> list[Op]:
        """The operations that occur."""
        return [Op(n) for n in np.unique(self._op[self._mask(LatencyKind.LATENCY, select)]).tolist()]

    def phases(self) -> list[str]:
        """The phases that occur, in order of time."""
        order = np.argsort(self._second, kind="stable")
        return list(dict.fromkeys(self._phase[order].tolist()))

    def bounds(self, select: Select = ALL) -> tuple[int, int] | None:
        """[first, end) of the seconds that have rows; None when there are none."""
        seconds = self._second[self._mask(LatencyKind.LATENCY, select)]
        return (int(seconds.min()), int(seconds.max()) + 1) if seconds.size else None

    def _mask(self, kind: LatencyKind, select: Select) -> BoolArray:
        mask: BoolArray = self._kind == kind.value
        if select.phase is not None:
            mask &= self._phase == select.phase
        if select.op is not None:
            mask &= self._op == select.op
        if select.tenant is not None:
            mask &= self._tenant == select.tenant
        if select.outcomes is not None:
            mask &= np.isin(self._outcome, [int(o) for o in select.outcomes])
        if select.seconds is not None:
            mask &= (self._second >= select.seconds[0]) & (self._second < select.seconds[1])
        return mask

    def _merge(self, indices: IntArray) -> Histogram:
        merged = Histogram()
        try:
            for index in indices.tolist():
                merged.merge(Histogram.from_v2(self._hdr[index]))
        except ValueError as error:
            raise CampaignError(
                f"a histogram of the record is damaged: {error}",
                "latency",
                "Copy the run again, or use another one.",
            ) from error
        return merged


def _waited(select: Select) -> Select:
    if select.outcomes is not None:
        return select
    return replace(select, outcomes=WAITED)


def percentiles(histogram: Histogram) -> Percentiles:
    """In milliseconds; of an empty histogram all zero with count 0."""
    if not histogram.count:
        return Percentiles(count=0, mean=0, p50=0, p90=0, p99=0, p999=0, p9999=0, max=0)
    return Percentiles(
        count=histogram.count,
        mean=histogram.mean / _NS_PER_MS,
        p50=percentile_ms(histogram, 50.0),
        p90=percentile_ms(histogram, 90.0),
        p99=percentile_ms(histogram, 99.0),
        p999=percentile_ms(histogram, 99.9),
        p9999=percentile_ms(histogram, 99.99),
        max=histogram.max / _NS_PER_MS,
    )


def percentile_ms(histogram: Histogram, percentile: float) -> float:
    """One percentile (0 to 100) in milliseconds; 0 when empty."""
    value_ns: int = histogram.percentile(percentile)
    return value_ns / _NS_PER_MS


@dataclass(frozen=True, slots=True)
class Series:
    """Second by second, without holes: arrays of one length. Latencies in ms, NaN where none was measured."""

    second: IntArray  # Unix seconds
    per_second: dict[Outcome, FloatArray]  # arrivals due in that second, by what became of them
    latency_ms: dict[str, FloatArray]  # "p50", "p90", "p99", "p999"; from the due time
    service_ms: dict[str, FloatArray]  # the same from the send


def series(book: LatencyBook, select: Select = ALL) -> Series:
    """Per-second series for plots; of no rows, arrays of length 0."""
    first, end = book.bounds(select) or (0, 0)
    return Series(
        second=np.arange(first, end, dtype=np.int64),
        per_second={o: book.per_second(o, select, first, end) for o in Outcome},
        latency_ms=_percentile_series(book, LatencyKind.LATENCY, select, first, end),
        service_ms=_percentile_series(book, LatencyKind.SERVICE, select, first, end),
    )


def _percentile_series(
    book: LatencyBook, kind: LatencyKind, select: Select, first: int, end: int
) -> dict[str, FloatArray]:
    lines = {name: np.full(end - first, np.nan) for name in PERCENTILES}
    for second, histogram in book.by_second(kind, select):
        if first <= second < end and histogram.count:
            for name, percentile in PERCENTILES.items():
                lines[name][second - first] = percentile_ms(histogram, percentile)
    return lines
