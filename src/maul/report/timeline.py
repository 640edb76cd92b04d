"""The strip above all charts: what happened when."""

from collections.abc import Sequence
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool

from maul.report import colours
from maul.report.axis import LETTER_PX, Name, TimeAxis, draw_names, name_source, room, shorten
from maul.report.charts import empty_plot
from maul.report.panels import Band, Panel

LANE_PX, AXIS_PX = 22, 30
LANES_MAX = 8  # further faults share the last lane


def timeline(axis: TimeAxis) -> Any:
    """Phases in the first lane, faults below, in as many lanes as overlap."""
    faults = [band for band in axis.bands if band.kind == "fault"]
    lanes = fault_lanes(faults)
    rows = 2 + max(lanes, default=-1)
    plot = empty_plot(Panel("timeline", "", ""), axis, (rows, 0), AXIS_PX + LANE_PX * rows)
    plot.yaxis.visible = False
    plot.ygrid.visible = False
    places = [(band, 0) for band in axis.bands if band.kind == "phase"]
    places += [(band, 1 + lane) for band, lane in zip(faults, lanes, strict=True)]
    bars = plot.quad(
        left="left",
        right="right",
        top="top",
        bottom="bottom",
        fill_color="fill",
        line_color="#ffffff",
        source=_bars(places),
    )
    names = [
        Name(
            band,
            lane + 0.5,
            0,
            colours.INK if lane == 0 else colours.BAD,
            room(band, _in_lane(places, lane), axis.end_s),
        )
        for band, lane in places
    ]
    draw_names(plot, name_source(names, LETTER_PX * 1.1), "middle", "11px")
    plot.add_tools(
        HoverTool(
            renderers=[bars],
            visible=False,
            tooltips=[("", "@kind @name"), ("", "from @left{0,0.0} s to @right{0,0.0} s (@long{0,0.0} s)")],
        )
    )
    return plot


def _in_lane(places: Sequence[tuple[Band, int]], lane: int) -> list[Band]:
    return [band for band, its_lane in places if its_lane == lane]


def _bars(places: Sequence[tuple[Band, int]]) -> ColumnDataSource:
    return ColumnDataSource(
        {
            "left": [band.begin_s for band, _ in places],
            "right": [band.end_s for band, _ in places],
            "top": [lane + 0.06 for _, lane in places],
            "bottom": [lane + 0.94 for _, lane in places],
            "fill": [colours.PHASE_BAR if band.kind == "phase" else colours.FAULT_BAR for band, _ in places],
            "name": [shorten(band.label, 80) for band, _ in places],
            "kind": [band.kind for band, _ in places],
            "long": [band.end_s - band.begin_s for band, _ in places],
        }
    )


def fault_lanes(faults: Sequence[Band]) -> list[int]:
    """A lane for each fault, in order of time: the first that is free, so that none covers another."""
    free_at: list[float] = []
    lanes = []
    for band in faults:
        lane = next((i for i, free in enumerate(free_at) if free <= band.begin_s), len(free_at))
        free_at[lane : lane + 1] = [band.end_s]
        lanes.append(min(lane, LANES_MAX - 1))
    return lanes
