"""Charts of the load itself: rates, latencies, errors, and how late the generator was."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from maul.core.histogram import Histogram, LatencyKind
from maul.core.operation import ErrorClass, Outcome
from maul.insight.latency import PERCENTILES, LatencyBook, Select, percentile_ms
from maul.report import colours
from maul.report.panels import Floats, Form, Grid, Line, Panel

CLASSES_MAX = 9
NAMES = {"p50": "p50", "p90": "p90", "p99": "p99", "p999": "p99.9"}
NO_HISTOGRAMS = "no samples: the record holds no histogram of this"


@dataclass(frozen=True)
class LoadSeries:
    """The histograms of a record on the grid. Several seconds to a point are merged, exactly."""

    grid: Grid
    arrivals: dict[Outcome, Floats]  # counts per point
    histograms: dict[LatencyKind, dict[int, Histogram]]  # by point; absent where nothing was measured

    @classmethod
    def of(cls, book: LatencyBook, grid: Grid) -> "LoadSeries":
        """Fold the book onto the grid; what lies outside of the run's time is left out."""
        first, end = grid.first_s, grid.first_s + grid.points * grid.step_s
        arrivals = {
            outcome: book.per_second(outcome, Select(), first, end).reshape(grid.points, grid.step_s).sum(axis=1)
            for outcome in Outcome
        }
        histograms: dict[LatencyKind, dict[int, Histogram]] = {}
        for kind in (LatencyKind.LATENCY, LatencyKind.SERVICE, LatencyKind.LAG):
            points = histograms.setdefault(kind, {})
            for second, histogram in book.by_second(kind, Select(seconds=(first, end))):
                points.setdefault((second - first) // grid.step_s, Histogram()).merge(histogram)
        return cls(grid, arrivals, histograms)

    @property
    def nothing(self) -> bool:
        """Whether no operation is known at all."""
        return not any(counts.any() for counts in self.arrivals.values())

    def percentile(self, kind: LatencyKind, percent: float) -> Floats:
        """In milliseconds; NaN where nothing was measured."""
        values = np.full(self.grid.points, np.nan)
        for point, histogram in self.histograms[kind].items():
            if histogram.count:
                values[point] = percentile_ms(histogram, percent)
        return values


def load_panels(series: LoadSeries, operations: pa.Table, audits: Collection[str] = ()) -> list[Panel]:
    """The charts a to e: rates, latency from due, service time, errors by class, generator lag.

    `audits`: phases whose misses are the ledger's business, no errors of customers.
    """
    panels = [
        _rates(series),
        _latency(series, LatencyKind.LATENCY, "latency", "Latency from due time", "what a customer waits"),
        _latency(
            series,
            LatencyKind.SERVICE,
            "service",
            "Service time",
            "what the target takes once the request is sent",
        ),
        _errors(series, operations, audits),
        _lag(series),
    ]
    return [replace(panel, group="Load") for panel in panels]


def _rates(series: LoadSeries) -> Panel:
    panel = Panel("rate", "Rate", "operations/s", note="every arrival under the second it was due")
    if series.nothing:
        return replace(panel, instead="no operation was recorded")
    offered = sum(series.arrivals.values(), start=np.zeros(series.grid.points))
    named = {"offered": offered} | {outcome.name.lower(): counts for outcome, counts in series.arrivals.items()}
    active = np.flatnonzero(offered)
    lines = []
    for name, counts in named.items():
        per_s = np.full(series.grid.points, np.nan)
        # before the first and after the last arrival nothing was asked for: a gap, not a rate of zero
        per_s[active[0] : active[-1] + 1] = counts[active[0] : active[-1] + 1] / series.grid.step_s
        lines.append(Line(name, colours.OUTCOMES[name], per_s, "dashed" if name == "offered" else "solid"))
    return replace(panel, lines=tuple(lines))


def _latency(series: LoadSeries, kind: LatencyKind, key: str, title: str, note: str) -> Panel:
    if not series.histograms[kind]:
        return Panel(key, title, "ms", log=True, instead=NO_HISTOGRAMS)
    lines = tuple(
        Line(NAMES[name], colours.PERCENTILES[name], series.percentile(kind, percent))
        for name, percent in PERCENTILES.items()
    )
    return Panel(key, title, "ms", lines, note, log=True)


def _lag(series: LoadSeries) -> Panel:
    title, note = (
        "Generator lag",
        "from due to sent: rises when the generator, or its queue for the target, is behind",
    )
    if not series.histograms[LatencyKind.LAG]:
        return Panel("lag", title, "ms", log=True, instead=NO_HISTOGRAMS)
    lines = (
        Line("p99", colours.BLUE, series.percentile(LatencyKind.LAG, 99.0)),
        Line("max", colours.VERMILION, series.percentile(LatencyKind.LAG, 100.0)),
    )
    return Panel("lag", title, "ms", lines, note, log=True)


def _errors(series: LoadSeries, operations: pa.Table, audits: Collection[str]) -> Panel:
    title, unit = "Errors by class", "operations/s"
    lost = sum(float(counts.sum()) for outcome, counts in series.arrivals.items() if outcome is not Outcome.OK)
    bad = operations.select(["phase", "due_ns", "outcome", "error_class"]).filter(
        pc.field("outcome") != int(Outcome.OK)
    )
    if not bad.num_rows:
        if lost:
            why = f"{lost:.0f} operations were not OK, of classes unknown: single operations were not recorded"
        else:
            why = "none: every recorded operation was OK" if not series.nothing else "no operation was recorded"
        return Panel("errors", title, unit, instead=why)
    # What our own stop cancelled before it was sent says nothing about the target.
    cancelled = (pc.field("outcome") == int(Outcome.DROPPED)) & (pc.field("error_class") == int(ErrorClass.STOPPED))
    bad = bad.filter(~pc.field("phase").isin(pa.array(list(audits), pa.string())) & ~cancelled)
    if not bad.num_rows:
        return Panel("errors", title, unit, instead="none that a customer would have met")
    grid = series.grid
    points = grid.points_of(bad["due_ns"].to_numpy() // 10**9)
    classes = bad["error_class"].to_numpy()
    inside = (points >= 0) & (points < grid.points)
    points, classes = points[inside], classes[inside]
    if not len(points):
        return Panel("errors", title, unit, instead="every error lies outside the time that is drawn")
    numbers, totals = np.unique(classes, return_counts=True)
    by_frequency: Sequence[int] = [int(number) for number in numbers[np.argsort(-totals, kind="stable")]]
    lines = [
        Line(
            _class_name(number),
            colour,
            np.bincount(points[classes == number], minlength=grid.points) / grid.step_s,
        )
        for number, colour in zip(by_frequency[:CLASSES_MAX], colours.ERROR_SERIES, strict=False)
    ]
    rest = by_frequency[CLASSES_MAX:]
    if rest:
        counts = np.bincount(points[np.isin(classes, rest)], minlength=grid.points)
        lines.append(Line(f"{len(rest)} rarer classes", colours.MUTED, counts / grid.step_s))
    return Panel("errors", title, unit, tuple(lines), "stacked", Form.STACK)


def _class_name(number: int) -> str:
    try:
        return ErrorClass(number).name
    except ValueError:
        return f"class {number}"
