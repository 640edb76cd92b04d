"""Panels drawn with Bokeh: one shared time axis, bands behind, a reading under the mouse.

Titles, legends and notes are HTML of the template (they wrap, print and never cover data).
"""

import math
from typing import Any

import numpy as np
from bokeh.models import (
    AdaptiveTicker,
    BasicTicker,
    BoxZoomTool,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearScale,
    NumeralTickFormatter,
    PrintfTickFormatter,
    Range1d,
    Ticker,
)
from bokeh.plotting import figure

from maul.report import colours
from maul.report.axis import FONT, TimeAxis, draw_bands, shorten
from maul.report.panels import Floats, Form, Grid, Line, Panel

HEIGHT_PX = 200
LEFT_PX, RIGHT_PX = 74, 14  # the same for all charts, so that a moment is at one place on all of them
LOG_FLOOR = 1e-3
DECADES_MIN = 30.0
CLOCK_ABOVE_S = 1200
PERCENT = 100.0
MANY = 200.0  # above this no second decimal is read


def chart(panel: Panel, grid: Grid, axis: TimeAxis) -> Any:
    """The figure of a panel that has lines."""
    plot = empty_plot(panel, axis, limits_of(panel, axis.headroom), HEIGHT_PX)
    draw_bands(plot, axis)
    columns: dict[str, Floats] = {"t": grid.t, "at": (grid.zero_ns / 1e6 + grid.t * 1000)}
    columns |= {f"c{i}": line.values.astype(np.float32) for i, line in enumerate(panel.lines)}
    source = ColumnDataSource(columns)
    if panel.form is Form.STACK:
        _stack(plot, panel, grid)
    else:
        _lines(plot, panel, source, grid)
    _hover(plot, panel, source, grid)
    return plot


def limits_of(panel: Panel, headroom: float) -> tuple[float, float]:
    """The ends of the vertical axis; `headroom` is the share of the height that is kept free on top."""
    stretch = 1 / (1 - headroom)
    if panel.form is Form.STACK:
        stacked = np.nansum(np.stack([line.values for line in panel.lines]), axis=0)
        return 0.0, max(float(stacked.max()), 1e-9) * stretch
    values = np.concatenate([line.values for line in panel.lines])
    values = values[np.isfinite(values)]
    if panel.log:
        values = np.maximum(values, LOG_FLOOR)
        low, high = (float(values.min()), float(values.max())) if values.size else (0.1, 10.0)
        low, high = low / 1.5, high * 1.2
        if high / low < DECADES_MIN:  # within one decade a logarithmic axis has no good ticks
            middle = math.sqrt(low * high)
            low, high = middle / math.sqrt(DECADES_MIN), middle * math.sqrt(DECADES_MIN)
        return low, float(low * (high / low) ** stretch)
    high = max(float(values.max(initial=0.0)), panel.full_scale or 0.0, 1e-9)
    return min(0.0, float(values.min(initial=0.0))), high * stretch * 1.01


def empty_plot(panel: Panel, axis: TimeAxis, limits: tuple[float, float], height: int) -> Any:
    """A plot with the look, the shared time axis and the zoom of all charts, and nothing on it."""
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        x_range=axis.x_range,
        y_range=Range1d(start=limits[0], end=limits[1]),
        tools=[],
        toolbar_location=None,
        y_axis_type="log" if panel.log else "linear",
        min_border_left=LEFT_PX,
        min_border_right=RIGHT_PX,
        min_border_top=4,
        outline_line_color=None,
        name=panel.key,
        output_backend="canvas",
    )
    plot.extra_y_ranges = {"share": Range1d(start=0, end=1)}
    plot.extra_y_scales = {"share": LinearScale()}
    zoom = BoxZoomTool(dimensions="width")
    plot.add_tools(zoom)
    plot.toolbar.active_drag = zoom
    dress(plot)
    plot.yaxis.axis_label = panel.unit
    plot.xaxis.formatter = PrintfTickFormatter(format="%.6g s")
    if axis.end_s > CLOCK_ABOVE_S:
        plot.xaxis.formatter = NumeralTickFormatter(format="00:00:00")
        plot.xaxis.ticker = AdaptiveTicker(base=60, mantissas=[1, 2, 5, 10, 15, 20, 30], num_minor_ticks=0)
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[000]")
    plot.yaxis.ticker = _ticker(panel, limits)
    return plot


def _ticker(panel: Panel, limits: tuple[float, float]) -> Ticker:
    if panel.log:
        return FixedTicker(ticks=log_ticks(*limits), minor_ticks=[])
    if panel.full_scale == PERCENT and limits[1] < PERCENT * 1.4:
        return FixedTicker(ticks=[0, 25, 50, 75, 100])
    return BasicTicker(desired_num_ticks=5, num_minor_ticks=0)


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between the limits, and threes where there are few of them.

    >>> log_ticks(0.5, 200)
    [1.0, 3.0, 10.0, 30.0, 100.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    mantissas = (1, 3) if len(powers) < 6 else (1,)
    ticks = (float(f"{mantissa}e{power}") for power in powers for mantissa in mantissas)
    return [tick for tick in ticks if low <= tick <= high]


def dress(plot: Any) -> None:
    """The look that all charts share."""
    for axis in plot.axis:
        axis.axis_line_color = None
        axis.major_tick_line_color = None
        axis.minor_tick_line_color = None
        axis.major_label_text_font = FONT
        axis.major_label_text_font_size = "11px"
        axis.major_label_text_color = colours.MUTED
        axis.axis_label_text_font = FONT
        axis.axis_label_text_font_size = "11px"
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = colours.MUTED
        axis.axis_label_standoff = 6
    plot.xgrid.grid_line_color = None
    plot.ygrid.grid_line_color = colours.GRID
    plot.background_fill_color = None
    plot.border_fill_color = None


def _lines(plot: Any, panel: Panel, source: ColumnDataSource, grid: Grid) -> None:
    for i, line in enumerate(panel.lines):
        column = f"c{i}"
        plot.line(
            "t",
            column,
            source=source,
            line_color=line.colour,
            line_width=line.width,
            line_dash=line.dash,
            line_join="round",
            name=column,
        )
        alone = _alone(line)
        if alone.size:
            # a reading between two gaps has no line to be on
            plot.scatter(grid.t[alone], line.values[alone], size=5, color=line.colour, name=column)


def _alone(line: Line) -> np.ndarray[Any, np.dtype[np.int64]]:
    seen = np.concatenate([[False], np.isfinite(line.values), [False]])
    return np.flatnonzero(seen[1:-1] & ~seen[:-2] & ~seen[2:])


def _stack(plot: Any, panel: Panel, grid: Grid) -> None:
    base = np.zeros(grid.points)
    for i, line in enumerate(panel.lines):
        values = np.nan_to_num(line.values)
        some = np.flatnonzero(values > 0)  # most seconds have no error: keep the page small
        plot.rect(
            x=grid.t[some],
            y=base[some] + values[some] / 2,
            width=grid.step_s * 0.9,
            height=values[some],
            fill_color=line.colour,
            line_color=None,
            name=f"c{i}",
        )
        base = base + values


def _hover(plot: Any, panel: Panel, source: ColumnDataSource, grid: Grid) -> None:
    """One tooltip for all lines, on invisible columns as high as the chart: the mouse need not aim."""
    columns = plot.vbar(
        x="t",
        width=grid.step_s,
        bottom=0,
        top=1,
        y_range_name="share",
        source=source,
        fill_alpha=0.0,
        line_alpha=0.0,
        hover_fill_color=colours.INK,
        hover_fill_alpha=0.06,
        hover_line_alpha=0.0,
        name="hover",
    )
    digits = "0,0.[0]" if not panel.log and limits_of(panel, 0.0)[1] > MANY else "0,0.[000]"
    rows = [("", "@t{0,0.0} s · @at{%H:%M:%S} UTC")]
    rows += [
        (shorten(line.label).replace("@", "＠").replace("$", "＄"), f"@c{i}{{{digits}}}")
        for i, line in enumerate(panel.lines)
    ]
    plot.add_tools(
        HoverTool(
            renderers=[columns],
            tooltips=rows,
            formatters={"@at": "datetime"},
            point_policy="follow_mouse",
            visible=False,
        )
    )
