"""The strip above all charts: what happened when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.models import ColumnDataSource, HoverTool

from maul.report import colours
from maul.report.axis import LETTER_PX, Name, TimeAxis, draw_names, name_source, room, shorten
from maul.report.charts import empty_plot
from maul.report.panels import HURT, Band, Panel

LANE_PX, AXIS_PX = 22, 30
LANES_MAX = 8  # further faults share the last lane
MARKS_MAX = 200
MARK_SHARE = 0.003  # of the axis: a moment has no length, but must be seen


@dataclass(frozen=True)
class Place:
    """Something in a lane of the strip."""

    band: Band
    lane: int
    says: str = ""


def timeline(axis: TimeAxis) -> Any:
    """Phases in the first lane, faults and losses below in as many lanes as overlap, what the guard did in the last."""
    places = _places(axis)
    lanes = 1 + max((place.lane for place in places), default=0)
    plot = empty_plot(Panel("timeline", "", ""), axis, (lanes, 0), AXIS_PX + LANE_PX * lanes)
    plot.yaxis.visible = False
    plot.ygrid.visible = False
    bars = plot.quad(
        left="left",
        right="right",
        top="top",
        bottom="bottom",
        fill_color="fill",
        line_color="#ffffff",
        source=_bars(places),
    )
    draw_names(plot, name_source(_names(places, axis), LETTER_PX * 1.1), "middle", "11px")
    rows = [("", "@kind @name"), ("", "from @left{0,0.0} s to @right{0,0.0} s (@long{0,0.0} s)"), ("", "@says")]
    plot.add_tools(HoverTool(renderers=[bars], visible=False, tooltips=rows))
    return plot


def _places(axis: TimeAxis) -> list[Place]:
    faults = [band for band in axis.bands if band.kind in HURT]
    lanes = fault_lanes(faults)
    places = [Place(band, 0) for band in axis.bands if band.kind == "phase"]
    places += [Place(band, 1 + lane) for band, lane in zip(faults, lanes, strict=True)]
    width = (axis.end_s - axis.begin_s) * MARK_SHARE
    guard_lane = 2 + max(lanes, default=-1)
    places += [
        Place(Band("guard", mark.label, mark.at_s, mark.at_s + width), guard_lane, mark.says)
        for mark in axis.marks[:MARKS_MAX]
    ]
    return places


def _names(places: Sequence[Place], axis: TimeAxis) -> list[Name]:
    named = []
    for place in places:
        same_lane = [other.band for other in places if other.lane == place.lane]
        colour = colours.INK if place.lane == 0 else colours.BAD
        named.append(Name(place.band, place.lane + 0.5, 0, colour, room(place.band, same_lane, axis.end_s)))
    return named


def _bars(places: Sequence[Place]) -> ColumnDataSource:
    fills = {
        "phase": colours.PHASE_BAR,
        "fault": colours.FAULT_BAR,
        "loss": colours.FAULT_BAR,
        "held": colours.HELD_BAR,
        "guard": colours.BAD,
    }
    return ColumnDataSource(
        {
            "left": [place.band.begin_s for place in places],
            "right": [place.band.end_s for place in places],
            "top": [place.lane + 0.06 for place in places],
            "bottom": [place.lane + 0.94 for place in places],
            "fill": [fills[place.band.kind] for place in places],
            "name": [shorten(place.band.label, 80) for place in places],
            "kind": [place.band.kind for place in places],
            "long": [place.band.end_s - place.band.begin_s for place in places],
            "says": [shorten(place.says, 160) for place in places],
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
