"""One dimension of what was sent, drawn: survived up to here, dropped from there, the threshold between."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from maul.core.mitigation_summary import BracketSummary, show_load
from maul.core.units import show_bitrate
from maul.report import colours, numerals
from maul.report.network_svg import Spot, box, clean_title, page, words

WIDTH, LEFT, RIGHT = 560.0, 46.0, 16.0
HEAD, ROW, BAR, FOOT = 30.0, 26.0, 12.0, 26.0
BEYOND = 3.0
"""The axis reaches so many times below and above what was seen."""
MARKS_MAX = 4
LETTER_PX = 5.9


@dataclass(frozen=True, slots=True)
class KnownValue:
    """A number to compare with, and whose it is."""

    value: float
    says: str


def bracket_chart(name: str, brackets: Sequence[BracketSummary], known: Sequence[KnownValue] = ()) -> Markup:
    """The windows of one dimension below each other, on one logarithmic axis, with what is known of products."""
    axis = _Axis.of(brackets)
    if axis is None:
        return Markup("")
    near = [one for one in known if axis.low < one.value < axis.high][:MARKS_MAX]
    foot = FOOT + 15 * len(near)
    height = HEAD + ROW * len(brackets) + foot
    parts = [words(Spot(0, 14), f"{name}, {brackets[0].unit}", 12.5, bold=True)]
    for place, one in enumerate(brackets):
        parts += _row(one, axis, HEAD + ROW * place)
    parts += _ticks(axis, HEAD, HEAD + ROW * len(brackets), brackets[0].unit)
    for place, mark in enumerate(near):
        parts += _mark(mark, axis, HEAD + ROW * len(brackets), place)
    return Markup(page(WIDTH, height, f"{name}: survived, dropped at", parts))


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float

    @classmethod
    def of(cls, brackets: Sequence[BracketSummary]) -> "_Axis | None":
        """None where nothing can stand on a logarithmic axis."""
        values = [value for one in brackets for value in (one.survived, one.dropped_at) if value is not None]
        values = [value for value in values if math.isfinite(value) and value > 0]
        return cls(min(values) / BEYOND, max(values) * BEYOND) if values else None

    def x(self, value: float) -> float:
        part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return LEFT + min(1.0, part) * (WIDTH - LEFT - RIGHT)


def _row(one: BracketSummary, axis: _Axis, top: float) -> list[str]:
    parts = [words(Spot(LEFT - 8, top + BAR), f"{one.window_s:g} s", 11.5, colour=colours.MUTED, anchor="end")]
    survived, dropped_at = one.survived, one.dropped_at
    if survived is not None and survived > 0:
        at = axis.x(survived)
        parts.append(_bar((LEFT, at), top, colours.GOOD, f"survived up to {show_load(survived, one.unit)}"))
    if dropped_at is not None and dropped_at > 0:
        at = axis.x(dropped_at)
        parts.append(_bar((at, WIDTH - RIGHT), top, colours.BAD, f"dropped at {show_load(dropped_at, one.unit)}"))
    if survived is not None and dropped_at is not None and 0 < survived < dropped_at:
        told = f"the threshold lies between {show_load(survived, one.unit)} and {show_load(dropped_at, one.unit)}"
        parts.append(_bar((axis.x(survived), axis.x(dropped_at)), top, colours.ORANGE, told, 0.75))
    return parts


def _bar(ends: tuple[float, float], top: float, fill: str, title: str, opacity: float = 0.55) -> str:
    """At least a hair wide: what is there must be seen."""
    left, right = ends
    drawn = box(Spot(left, top), max(1.5, right - left), BAR, fill=fill, edge="none", title=title, radius=1)
    return drawn.replace("<rect ", f'<rect fill-opacity="{opacity:g}" ', 1)


def _ticks(axis: _Axis, top: float, bottom: float, unit: str) -> list[str]:
    parts = []
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    ticks = [10.0**power * mantissa for power in powers for mantissa in (1, 2, 5)]
    inside = [tick for tick in ticks if axis.low <= tick <= axis.high]
    if len(inside) > 7:
        inside = [tick for tick in inside if math.isclose(math.log10(tick) % 1, 0, abs_tol=1e-9)]
    for tick in inside:
        x = axis.x(tick)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4:.1f}" y2="{bottom:.1f}" stroke="{colours.IDEAL}" '
            'stroke-width="0.7" stroke-dasharray="2 3"/>'
        )
        text = show_bitrate(tick).removesuffix("bit/s") if unit == "bit/s" else numerals.digits(tick)
        parts.append(words(Spot(x, bottom + 13), text.strip(), 11, colour=colours.MUTED, anchor="middle"))
    return parts


def _mark(known: KnownValue, axis: _Axis, bottom: float, place: int) -> list[str]:
    x, low = axis.x(known.value), bottom + 24 + 15 * place
    line = (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD - 4:.1f}" y2="{bottom:.1f}" stroke="{colours.INK}" '
        f'stroke-width="1.3">{clean_title(known.says)}</line>'
    )
    room = WIDTH - LETTER_PX * len(known.says)  # the words stand beside the line, and within the drawing
    return [line, words(Spot(max(0.0, min(x + 4, room)), low + 4), known.says, 11)]
