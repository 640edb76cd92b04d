"""What was felt from every vantage point around a stop, second by second, drawn: who still got through, who did not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup

from maul.core.mitigation_summary import MitigationSummary
from maul.core.vantage import Reach
from maul.report import colours
from maul.report.network_svg import Spot, box, fitting, page, words

PROBE, METRIC = "vantage", "reach"
WIDTH, LEFT, RIGHT = 1180.0, 190.0, 26.0
HEAD, ROW, BAR, FOOT = 56.0, 22.0, 13.0, 46.0
BEFORE_S, AFTER_S = 20.0, 30.0
"""What is shown before the onset, and after the end."""
ROWS_MAX, SPANS_MAX = 30, 600
SPAN_GAP_S = 2.5
"""Attempts that ended alike and lie no further apart are drawn as one."""
_REACHES = tuple(Reach)
_LOST = frozenset({Reach.TIMEOUT, Reach.STALLED, Reach.UNREACHABLE, Reach.PROHIBITED})
LEGEND = (
    ("answered", colours.GOOD),
    ("rejected or failed", colours.ORANGE),
    ("refused, reset, TLS failed", colours.PURPLE),
    ("no answer", colours.BAD),
    ("no port or descriptor left here", colours.MUTED),
)


@dataclass(frozen=True, slots=True)
class Span:
    """One attempt, or several in a row that ended alike. Unix seconds."""

    begin_s: float
    end_s: float
    reach: Reach
    count: int


@dataclass(frozen=True, slots=True)
class _Axis:
    begin_s: float
    end_s: float
    onset_s: float

    def x(self, at_s: float) -> float:
        part = (min(max(at_s, self.begin_s), self.end_s) - self.begin_s) / (self.end_s - self.begin_s)
        return LEFT + part * (WIDTH - LEFT - RIGHT)


def story(found: MitigationSummary, samples: pa.Table, run_end_ns: int) -> Markup:
    """The drawing: a strip of what we did, and a row for each vantage point that was heard."""
    axis = _axis(found, run_end_ns)
    rows = felt(samples, axis.begin_s, axis.end_s)
    shown = list(rows.items())[:ROWS_MAX]
    bottom = HEAD + ROW * len(shown)
    parts = [*_strip(found, axis), *_grid(axis, bottom)]
    for place, (name, spans) in enumerate(shown):
        parts += _row(name, spans, axis, HEAD + ROW * place)
    parts += _onset(axis, bottom)
    parts += _legend(bottom + 38) if shown else []
    if not shown:
        parts.append(words(Spot(LEFT, HEAD + 12), "no vantage point was recorded", 11.5, colour=colours.MUTED))
    return Markup(page(WIDTH, bottom + FOOT + 8, "What was felt from each vantage point", parts))


def felt(samples: pa.Table, begin_s: float, end_s: float) -> dict[str, list[Span]]:
    """By vantage point, how its attempts ended; in the order of their names."""
    if not samples.num_rows:
        return {}
    rows = samples.filter((pc.field("probe") == PROBE) & (pc.field("metric") == METRIC)).sort_by("at_ns")
    spans: dict[str, list[Span]] = {}
    columns = (rows[name].to_pylist() for name in ("at_ns", "subject", "value"))
    for at_ns, subject, value in zip(*columns, strict=True):
        at_s = at_ns / 1e9
        reach = _reach(value)
        if reach is None or not begin_s <= at_s <= end_s:
            continue
        of = spans.setdefault(str(subject), [])
        if of and of[-1].reach is reach and at_s - of[-1].end_s <= SPAN_GAP_S:
            of[-1] = Span(of[-1].begin_s, at_s, reach, of[-1].count + 1)
        elif len(of) < SPANS_MAX:
            of.append(Span(at_s, at_s, reach, 1))
    return dict(sorted(spans.items()))


def _reach(value: float) -> Reach | None:
    """A later version may know more words than this one."""
    return _REACHES[int(value)] if 0 <= value < len(_REACHES) else None


def _axis(found: MitigationSummary, run_end_ns: int) -> _Axis:
    onset_s = found.onset_ns / 1e9
    known = (found.suspected_ns, found.frozen_ns, found.verdict_ns, found.recovered_ns, found.resumed_ns)
    last_ns = max(at_ns for at_ns in (found.onset_ns, *known) if at_ns is not None)
    end_s = last_ns / 1e9 + AFTER_S
    if found.recovered_ns is None and found.hold_at_least_s is not None:
        end_s = max(end_s, onset_s + found.hold_at_least_s)
    end_s = min(end_s, max(run_end_ns / 1e9, last_ns / 1e9 + 1.0))
    return _Axis(onset_s - BEFORE_S, end_s, onset_s)


def _strip(found: MitigationSummary, axis: _Axis) -> Iterator[str]:
    """What we did: the stretches between the moments that it came to."""
    steps = [
        ("load", round(axis.begin_s * 1e9), "#dfe6ee"),
        ("silence", found.onset_ns, "#f6cdb5"),
        ("probing", found.frozen_ns, "#cfc3e8"),
        ("held", found.verdict_ns if found.frozen_ns is not None else None, "#e2daf3"),
        ("recovered", found.recovered_ns, "#cfe8d9"),
        ("resumed", found.resumed_ns, "#dfe6ee"),
    ]
    came = [(name, at_ns / 1e9, fill) for name, at_ns, fill in steps if at_ns is not None]
    ends = [at_s for _, at_s, _ in came[1:]] + [axis.end_s]
    yield words(Spot(0, 32), "what we did", 11.5, bold=True)
    for (name, begin_s, fill), end_s in zip(came, ends, strict=True):
        left, right = axis.x(begin_s), axis.x(max(begin_s, end_s))
        told = f"{name}: {max(0.0, end_s - begin_s):.1f} s"
        yield box(Spot(left, 20), max(1.0, right - left), 18, fill=fill, edge="#fff", title=told, radius=2)
        yield words(Spot(left + 4, 33), fitting(name, right - left - 6, 11), 11)


def _row(name: str, spans: Sequence[Span], axis: _Axis, top: float) -> Iterator[str]:
    yield words(Spot(0, top + BAR - 2), fitting(name, LEFT - 12, 11.5), 11.5)
    for span in spans:
        left = axis.x(span.begin_s)
        right = max(axis.x(span.end_s), left + 3.0)
        how_many = f"{span.count} attempts, " if span.count > 1 else ""
        told = f"{name}: {how_many}{span.reach}, {span.begin_s - axis.onset_s:+.1f} s after the onset"
        yield box(Spot(left, top), right - left, BAR, fill=colour_of(span.reach), edge="none", title=told, radius=1)


def colour_of(reach: Reach) -> str:
    """The colour of how an attempt ended."""
    if reach is Reach.ANSWERED:
        return colours.GOOD
    if reach in {Reach.REJECTED, Reach.FAILED}:
        return colours.ORANGE
    if reach is Reach.LOCAL:
        return colours.MUTED
    return colours.BAD if reach in _LOST else colours.PURPLE


def _onset(axis: _Axis, bottom: float) -> Iterator[str]:
    x = axis.x(axis.onset_s)
    yield (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="14" y2="{bottom:.1f}" stroke="{colours.BAD}" stroke-width="1.2" '
        'stroke-dasharray="4 3"/>'
    )
    yield words(Spot(x + 3, 11), "onset", 11, colour=colours.BAD)


def _grid(axis: _Axis, bottom: float) -> Iterator[str]:
    """Whole steps of seconds from the onset on."""
    length = axis.end_s - axis.begin_s
    step = next(
        one for one in (5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 86400) if length / one <= 14 or one == 86400
    )
    at = -int((axis.onset_s - axis.begin_s) // step) * step
    while axis.onset_s + at <= axis.end_s:
        x = axis.x(axis.onset_s + at)
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="40" y2="{bottom:.1f}" stroke="{colours.GRID}"/>'
        yield words(Spot(x, bottom + 14), f"{at:+d} s" if at else "0", 11, colour=colours.MUTED, anchor="middle")
        at += step


def _legend(y: float) -> Iterator[str]:
    x = LEFT
    for text, colour in LEGEND:
        yield box(Spot(x, y - 9), 14, 10, fill=colour, edge="none", radius=1)
        yield words(Spot(x + 19, y), text, 11.5, colour=colours.MUTED)
        x += 40 + 6.6 * len(text)
