"""The search of a limit over time: every trial at its rate, what it was worth, and the bounds closing in."""

import math
from typing import Any

from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, NumeralTickFormatter, PrintfTickFormatter, Range1d
from bokeh.plotting import figure

from maul.core.summary import AxisLimit, TrialSummary
from maul.report import colours
from maul.report.charts import LEFT_PX, dress, log_ticks

HEIGHT_PX = 360
MIB = 2**20
STATES = {
    "good": (colours.GOOD, "circle"),
    "recovered": (colours.MUTED, "dash"),
    "not-recovered": (colours.BAD, "dash"),
    "bad": (colours.BAD, "x"),
    "void": (colours.VOID, "diamond"),
    "cut-short": (colours.MUTED, "dash"),
    "frozen": (colours.MUTED, "dash"),
}


def limit_key(limit: AxisLimit) -> str:
    """The name of its chart."""
    return f"limit-{limit.axis}"


def limit_chart(limit: AxisLimit, zero_ns: int) -> Any:
    """The figure; the limit must have trials."""
    unit = limit.per_operation / (MIB if limit.axis == "bytes" else 1)
    rates = [one.rate_per_s * unit for one in limit.trials]
    low, high = min(rates) / 1.4, max(rates) * 1.4
    begin, end = _at_s(limit.trials[0].began_ns, zero_ns), _at_s(limit.trials[-1].ended_ns, zero_ns)
    air = max(1.0, (end - begin) * 0.01)
    plot = figure(
        height=HEIGHT_PX,
        sizing_mode="stretch_width",
        tools=[],
        toolbar_location=None,
        name=limit_key(limit),
        x_range=Range1d(start=begin - air, end=end + air),
        y_range=Range1d(start=low, end=high),
        y_axis_type="log",
        min_border_left=LEFT_PX,
        outline_line_color=None,
        output_backend="canvas",
    )
    dress(plot)
    words = {"requests": "requests/s", "bytes": "MiB/s", "connections": "new connections/s"}
    plot.yaxis.axis_label = f"{words[limit.axis]}, logarithmic"
    plot.xaxis.formatter = PrintfTickFormatter(format="%.6g s")
    plot.yaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    plot.yaxis.ticker = FixedTicker(ticks=_ticks(low, high))
    _bounds(plot, limit, unit, zero_ns, (low, high))
    _moves(plot, limit, unit, zero_ns)
    return plot


def _ticks(low: float, high: float) -> list[float]:
    """Ones, twos and fives: a search is often within one power of ten.

    >>> _ticks(40, 300)
    [50.0, 100.0, 200.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [float(f"{mantissa}e{power}") for power in powers for mantissa in (1, 2, 5)]
    inside = [tick for tick in fine if low <= tick <= high]
    return inside if len(inside) <= 12 else log_ticks(low, high)


def _bounds(plot: Any, limit: AxisLimit, unit: float, zero_ns: int, ends: tuple[float, float]) -> None:
    """What is known of the limit from the end of each move on: the band in which it lies."""
    trials = limit.trials
    starts = [_at_s(one.ended_ns, zero_ns) for one in trials]
    stops = [*(_at_s(one.ended_ns, zero_ns) for one in trials[1:]), starts[-1] + 1e-3]
    lowers = [one.lower_per_s * unit if one.lower_per_s is not None else None for one in trials]
    uppers = [one.upper_per_s * unit if one.upper_per_s is not None else None for one in trials]
    plot.quad(
        left=starts,
        right=stops,
        bottom=[ends[0] if rate is None else rate for rate in lowers],
        top=[ends[1] if rate is None else rate for rate in uppers],
        fill_color=colours.IDEAL,
        fill_alpha=0.22,
        line_color=None,
        level="underlay",
        name="band",
    )
    for rates, colour, name in ((lowers, colours.GOOD, "lower"), (uppers, colours.BAD, "upper")):
        known = [(a, b, rate) for a, b, rate in zip(starts, stops, rates, strict=True) if rate is not None]
        plot.segment(
            x0=[one[0] for one in known],
            x1=[one[1] for one in known],
            y0=[one[2] for one in known],
            y1=[one[2] for one in known],
            line_color=colour,
            line_width=1.2,
            line_dash="dotted",
            name=name,
        )


def _moves(plot: Any, limit: AxisLimit, unit: float, zero_ns: int) -> None:
    moves = limit.trials
    source = ColumnDataSource(
        {
            "began": [_at_s(one.began_ns, zero_ns) for one in moves],
            "ended": [_at_s(one.ended_ns, zero_ns) for one in moves],
            "middle": [_at_s((one.began_ns + one.ended_ns) // 2, zero_ns) for one in moves],
            "rate": [one.rate_per_s * unit for one in moves],
            "colour": [STATES[one.judged][0] for one in moves],
            "marker": [STATES[one.judged][1] for one in moves],
            "size": [0 if one.move == "cool-down" else 9 for one in moves],
            "width": [9 if one.move == "soak" else 2 if one.move == "cool-down" else 4 for one in moves],
            "what": [_what(one) for one in moves],
            "p50": [one.p50_ms for one in moves],
            "p99": [one.p99_ms for one in moves],
            "share": [_share(one) for one in moves],
        }
    )
    segments = plot.segment(
        x0="began",
        x1="ended",
        y0="rate",
        y1="rate",
        source=source,
        line_color="colour",
        line_width="width",
        line_alpha=0.75,
        name="moves",
    )
    points = plot.scatter(
        "middle",
        "rate",
        source=source,
        size="size",
        marker="marker",
        fill_color="colour",
        line_color="colour",
        line_width=2,
        name="moves",
    )
    plot.add_tools(
        HoverTool(
            renderers=[segments, points],
            visible=False,
            tooltips=[
                ("", "@what"),
                ("rate", "@rate{0,0.0}"),
                ("p50 · p99", "@p50{0,0.[00]} · @p99{0,0.[00]} ms"),
                ("achieved", "@share{0.0} % of offered"),
            ],
        )
    )


def _what(move: TrialSummary) -> str:
    return f"{move.move}: {move.judged}".replace("@", "＠")


def _share(move: TrialSummary) -> float:
    return 100 * move.achieved_per_s / move.offered_per_s if move.offered_per_s else 0.0


def _at_s(at_ns: int, zero_ns: int) -> float:
    return (at_ns - zero_ns) / 1e9
