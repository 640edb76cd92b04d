"""The time axis that all charts share, and what is drawn behind them: phases, faults, moments."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, Range1d

from maul.report import colours, numerals
from maul.report.panels import HURT, Band, Grid, Mark

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
LETTER_PX = 6.3  # about the width of a letter, for deciding whether a name fits
TEXT_MAX = 40
AIR = 0.005  # of the axis, free at both ends
NAMES_SHARE, FAULT_NAMES_SHARE = 0.1, 0.19  # of a chart's height, taken by one row of names, by two


@dataclass(frozen=True)
class TimeAxis:
    """What all charts over time share. Bands and names live on a second vertical axis, 0 to 1: `share`."""

    begin_s: float
    end_s: float
    x_range: Range1d
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]
    band_source: ColumnDataSource
    name_source: ColumnDataSource

    @property
    def headroom(self) -> float:
        """The share of a chart's height that the names of the bands take."""
        return FAULT_NAMES_SHARE if any(band.kind in HURT for band in self.bands) else NAMES_SHARE


@dataclass(frozen=True)
class Name:
    """The name of a band at a height of an axis, moved down by some pixels."""

    band: Band
    y: float
    drop_px: int
    colour: str
    until_s: float  # it may run to here


def time_axis(grid: Grid, bands: Sequence[Band], marks: Sequence[Mark]) -> TimeAxis:
    """The axis of a run, with a little air at both ends."""
    end = max([grid.end_s, *(band.end_s for band in bands)])
    air = end * AIR
    names = [
        Name(
            band,
            1.0,
            17 if band.kind in HURT else 3,
            colours.BAD if band.kind in HURT else colours.MUTED,
            room(band, bands, end),
        )
        for band in bands
    ]
    begin, end = -air, end + air
    return TimeAxis(
        begin,
        end,
        Range1d(start=begin, end=end, bounds=(begin, end)),
        tuple(bands),
        tuple(marks),
        _band_source(bands),
        name_source(names),
    )


def shorten(text: str, length: int = TEXT_MAX) -> str:
    """A text for a label: one line, not too long.

    >>> shorten("a" * 50, 10)
    'aaaaaaaaa…'
    """
    line = " ".join(numerals.visible(text).split())
    return line if len(line) <= length else line[: length - 1] + "…"


def room(band: Band, others: Sequence[Band], end_s: float) -> float:
    """Until when the name of a band may run: to the next of its kind, or to the end of the axis."""
    return min(
        (other.begin_s for other in others if other.kind == band.kind and other.begin_s > band.begin_s),
        default=end_s,
    )


_FILLS = {"fault": colours.FAULT_FILL, "loss": colours.FAULT_FILL, "held": colours.HELD_FILL}
_EDGES = {"fault": colours.FAULT_EDGE, "loss": colours.FAULT_EDGE, "held": colours.HELD_EDGE}


def _band_source(bands: Sequence[Band]) -> ColumnDataSource:
    shades = cycle(colours.PHASE_FILLS)
    return ColumnDataSource(
        {
            "left": [band.begin_s for band in bands],
            "right": [band.end_s for band in bands],
            "fill": [_FILLS[band.kind] if band.kind in HURT else next(shades) for band in bands],
            "alpha": [0.13 if band.kind in HURT else 1.0 for band in bands],
            "edge": [_EDGES[band.kind] if band.kind in HURT else None for band in bands],
        }
    )


def name_source(names: Sequence[Name], letter_px: float = LETTER_PX) -> ColumnDataSource:
    """Names to draw. The page's script fills `x` and `shown`, at every zoom, with those that have room."""
    texts = [shorten(name.band.label) for name in names]
    return ColumnDataSource(
        {
            "begin": [name.band.begin_s for name in names],
            "end": [name.band.end_s for name in names],
            "until": [name.until_s for name in names],
            "text": texts,
            "pixels": [len(text) * letter_px + 6 for text in texts],
            "x": [name.band.begin_s for name in names],
            "y": [name.y for name in names],
            "drop": [name.drop_px for name in names],
            "shown": [""] * len(names),
            "colour": [name.colour for name in names],
        }
    )


def draw_bands(plot: Any, axis: TimeAxis) -> None:
    """Phases and faults behind a chart, their names on top. The plot must have the second axis `share`."""
    if axis.bands:
        plot.quad(
            left="left",
            right="right",
            bottom=0,
            top=1,
            y_range_name="share",
            source=axis.band_source,
            fill_color="fill",
            fill_alpha="alpha",
            line_color="edge",
            line_dash="dotted",
            level="image",
        )
        draw_names(plot, axis.name_source, "top", "10px", y_range_name="share")
    if axis.marks:
        moments = [mark.at_s for mark in axis.marks]
        plot.vspan(x=moments, line_color=colours.BAD, line_dash="dashed", line_width=1)


def draw_names(plot: Any, source: ColumnDataSource, baseline: str, size: str, y_range_name: str = "default") -> None:
    """The names of a `name_source`."""
    plot.text(
        x="x",
        y="y",
        y_offset="drop",
        text="shown",
        source=source,
        x_offset=4,
        level="overlay",
        y_range_name=y_range_name,
        text_baseline=baseline,
        text_color="colour",
        text_font=value(FONT),
        text_font_size=value(size),
    )
