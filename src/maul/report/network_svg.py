"""Pieces of SVG: boxes, words, marks, and lanes. Text in, text out; nothing is fetched from anywhere."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from maul.report import colours

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_LETTER = 0.58
"""Width of a letter, by its height, about."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on the drawing, in pixels from its top left."""

    x: float
    y: float


def clean(text: str) -> str:
    """Text that XML can carry."""
    return escape("".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text))


def fitting(text: str, width: float, size: float) -> str:
    """As much of the text as fits; nothing where it would not be a word any more.

    >>> fitting("tor-r1", 100, 12), fitting("a-long-name-of-a-switch", 60, 12), fitting("tor-r1", 10, 12)
    ('tor-r1', 'a-long-…', '')
    """
    most = int(width / (size * _LETTER))
    if len(text) <= most:
        return text
    return f"{text[: most - 1]}…" if most >= 4 else ""


def words(
    at: Spot, text: str, size: float = 12, *, colour: str = colours.INK, anchor: str = "start", bold: bool = False
) -> str:
    """One line of text; `anchor` is `start`, `middle` or `end`."""
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{at.x:.1f}" y="{at.y:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}"{weight}>'
        f"{clean(text)}</text>"
    )


def label(at: Spot, text: str, size: float, colour: str) -> str:
    """A number on a line: with a halo, so that it can be read where lines cross."""
    return (
        f'<text x="{at.x:.1f}" y="{at.y + size * 0.36:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="middle" '
        f'font-weight="600" stroke="#fff" stroke-width="3.5" paint-order="stroke">{clean(text)}</text>'
    )


def box(at: Spot, width: float, height: float, *, fill: str, edge: str, title: str = "", radius: float = 4) -> str:
    """A rectangle from its top left."""
    return (
        f'<rect x="{at.x:.1f}" y="{at.y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{edge}">{clean_title(title)}</rect>'
    )


def mark(kind: str, at: Spot, size: float = 5) -> str:
    """What a host is: `sending`, `lendable`, `target`, `customer`, `other`. Told by shape as well as by colour."""
    x, y = at.x, at.y
    if kind == "sending":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}" fill="{colours.GREEN}"/>'
    if kind == "lendable":
        return (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size - 0.8:g}" fill="#fff" stroke="{colours.GREEN}" '
            'stroke-width="1.8"/>'
        )
    if kind == "target":
        return (
            f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size:g}" height="{2 * size:g}" '
            f'fill="{colours.INK}"/>'
        )
    if kind == "customer":
        far = size + 1
        points = f"{x:.1f},{y - far:.1f} {x + far:.1f},{y:.1f} {x:.1f},{y + far:.1f} {x - far:.1f},{y:.1f}"
        return f'<polygon points="{points}" fill="{colours.PURPLE}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size * 0.5:g}" fill="{colours.MUTED}"/>'


@dataclass(frozen=True, slots=True)
class Lane:
    """One direction of a link, from `source` to `target`, `aside` pixels to the right of the line between them as seen
    by who sends; bent by `bend` pixels where both ends stand on one level."""

    source: Spot
    target: Spot
    aside: float
    bend: float = 0.0

    def _moved(self) -> tuple[Spot, Spot, float, float]:
        dx, dy = self.target.x - self.source.x, self.target.y - self.source.y
        length = math.hypot(dx, dy) or 1.0
        right = (-dy / length, dx / length)
        move = (right[0] * self.aside, right[1] * self.aside)
        source = Spot(self.source.x + move[0], self.source.y + move[1])
        return source, Spot(self.target.x + move[0], self.target.y + move[1]), dx / length, dy / length

    def at(self, part: float) -> Spot:
        """The place at a part of its way."""
        source, target, _, _ = self._moved()
        dip = 4 * part * (1 - part) * self.bend / 2
        return Spot(source.x + (target.x - source.x) * part, source.y + (target.y - source.y) * part - dip)

    def draw(self, width: float, colour: str, title: str, arrow: bool) -> str:
        """The lane, and an arrow on it."""
        source, target, ahead_x, ahead_y = self._moved()
        if self.bend:
            middle = Spot((source.x + target.x) / 2, (source.y + target.y) / 2 - self.bend)
            way = f"M{source.x:.1f} {source.y:.1f}Q{middle.x:.1f} {middle.y:.1f} {target.x:.1f} {target.y:.1f}"
        else:
            way = f"M{source.x:.1f} {source.y:.1f}L{target.x:.1f} {target.y:.1f}"
        line = f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="{width:.2f}">{clean_title(title)}</path>'
        if not arrow:
            return line
        tip, size = self.at(0.56), 3 + width * 0.9
        base = Spot(tip.x - ahead_x * size * 1.5, tip.y - ahead_y * size * 1.5)
        points = (
            tip,
            Spot(base.x - ahead_y * size * 0.75, base.y + ahead_x * size * 0.75),
            Spot(base.x + ahead_y * size * 0.75, base.y - ahead_x * size * 0.75),
        )
        shape = " ".join(f"{point.x:.1f},{point.y:.1f}" for point in points)
        return f'{line}<polygon points="{shape}" fill="{colour}"/>'


def lane_width(capacity_bps: float, scale: float = 1.0) -> float:
    """Pixels of a lane: about one more with each tenfold capacity.

    >>> [round(lane_width(bits), 1) for bits in (1e9, 10e9, 100e9)]
    [1.5, 2.9, 4.3]
    """
    return scale * max(0.8, 1.5 + 1.4 * math.log10(max(capacity_bps, 1e7) / 1e9))


def page(width: float, height: float, name: str, parts: Iterable[str]) -> str:
    """The whole drawing."""
    size = f'width="{width:.0f}" height="{height:.0f}"'
    said = f'font-family={quoteattr(FONT)} role="img" aria-label={quoteattr(clean(name))}'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" {size} '
        f'style="max-width:100%;height:auto" {said}>\n<rect {size} fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def clean_title(text: str) -> str:
    """What shows when somebody points at the element that it stands in."""
    return f"<title>{clean(text)}</title>" if text else ""
