"""Offered against achieved, with the p99 that each level had: where the line bends is the wall."""

import math
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, LogAxis, LogScale, NumeralTickFormatter, Range1d
from bokeh.models.annotations import BoxAnnotation
from bokeh.plotting import figure

from maul.core.summary import Capacity, Knee, Level
from maul.report import colours
from maul.report.charts import LEFT_PX, dress

HEIGHT_PX = 340
P99_COLOUR = colours.PERCENTILES["p99"]
KNEE_COLOUR = colours.ORANGE
LOG_FLOOR_MS = 1e-3


def level_state(level: Level) -> str:
    """What a level is worth: good, bad, or void when it tells of the generator."""
    if level.generator_bound:
        return "void"
    return "good" if level.meets else "bad"


MARKERS = {
    "good": ("circle", colours.GOOD),
    "bad": ("x", colours.BAD),
    "void": ("diamond", colours.VOID),
}


def capacity_chart(capacity: Capacity) -> Any:
    """The figure; the capacity must have levels."""
    levels = sorted(capacity.levels, key=lambda level: (level.offered_per_s, level.began_ns))
    reach = max(max(level.offered_per_s, level.achieved_per_s) for level in levels) or 1.0
    plot = figure(
        height=HEIGHT_PX,
        sizing_mode="stretch_width",
        tools=[],
        toolbar_location=None,
        name="capacity",
        x_range=Range1d(start=0, end=reach * 1.06),
        y_range=Range1d(start=0, end=reach * 1.08),
        min_border_left=LEFT_PX,
        outline_line_color=None,
    )
    _second_axis(plot, levels)
    dress(plot)
    plot.xaxis.axis_label = "offered, operations/s"
    plot.yaxis[0].axis_label = "achieved, operations/s"
    plot.xaxis.formatter = plot.yaxis[0].formatter = NumeralTickFormatter(format="0,0.[0]")
    plot.line(
        [0, reach * 1.06],
        [0, reach * 1.06],
        line_color=colours.IDEAL,
        line_width=1.5,
        line_dash="dashed",
        name="ideal",
    )
    if capacity.highest_good_per_s is not None:
        best = [capacity.highest_good_per_s]
        plot.vspan(x=best, line_color=colours.GOOD, line_dash="dotted", line_width=1.5)
    if capacity.knee is not None and capacity.knee.per_s is not None:
        _mark_knee(plot, capacity.knee)
    _draw(plot, levels)
    return plot


def _mark_knee(plot: Any, knee: Knee) -> None:
    """A line at the knee, and a band where the methods that agree lie apart."""
    if knee.low_per_s is not None and knee.high_per_s is not None and knee.low_per_s < knee.high_per_s:
        band = BoxAnnotation(left=knee.low_per_s, right=knee.high_per_s, fill_color=KNEE_COLOUR, fill_alpha=0.12)
        plot.add_layout(band)
    plot.vspan(x=[knee.per_s], line_color=KNEE_COLOUR, line_width=1.5, name="knee")


def _second_axis(plot: Any, levels: list[Level]) -> None:
    values = [value for value in map(_p99_ms, levels) if math.isfinite(value)] or [1.0]
    plot.extra_y_ranges = {"p99": Range1d(start=min(values) / 2, end=max(values) * 2)}
    plot.extra_y_scales = {"p99": LogScale()}
    plot.add_layout(LogAxis(y_range_name="p99", axis_label="p99 from due, ms"), "right")
    plot.right[0].formatter = NumeralTickFormatter(format="0,0.[000]")


def _p99_ms(level: Level) -> float:
    return max(level.p99_ms, LOG_FLOOR_MS)  # NaN, where nothing was measured, stays NaN


def _draw(plot: Any, levels: list[Level]) -> None:
    states = [level_state(level) for level in levels]
    source = ColumnDataSource(
        {
            "offered": [level.offered_per_s for level in levels],
            "achieved": [level.achieved_per_s for level in levels],
            "p99": list(map(_p99_ms, levels)),
            "errors": [level.error_ratio * 100 for level in levels],
            "state": states,
            "marker": [MARKERS[state][0] for state in states],
            "colour": [MARKERS[state][1] for state in states],
        }
    )
    plot.line(
        "offered",
        "p99",
        source=source,
        y_range_name="p99",
        line_color=P99_COLOUR,
        line_width=1.6,
        line_dash="dashed",
        name="p99",
    )
    plot.scatter(
        "offered",
        "p99",
        source=source,
        y_range_name="p99",
        size=5,
        marker="square",
        color=P99_COLOUR,
        name="p99",
    )
    plot.line("offered", "achieved", source=source, line_color=colours.BLACK, line_width=1.8, name="achieved")
    points = plot.scatter(
        "offered",
        "achieved",
        source=source,
        size=12,
        marker="marker",
        fill_color="colour",
        line_color="colour",
        line_width=2,
        fill_alpha=0.9,
        name="achieved",
    )
    plot.add_tools(
        HoverTool(
            renderers=[points],
            visible=False,
            mode="vline",
            tooltips=[
                ("", "@state"),
                ("offered", "@offered{0,0.0}/s"),
                ("achieved", "@achieved{0,0.0}/s"),
                ("p99", "@p99{0,0.[00]} ms"),
                ("errors", "@errors{0.[00]} %"),
            ],
        )
    )
