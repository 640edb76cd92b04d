"""A comparison in the terminal and as a page: one line of a table per figure, its effect drawn against the noise."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from maul.core.comparison import ComparedRow, ComparedRun, Comparison, Judgement, Metric
from maul.core.errors import ExitCode
from maul.report import colours, numerals
from maul.report.html import asset, policy, put, visible
from maul.report.terminal import print_sheet
from maul.report.view import Cell, Chip

METRIC_WORDS = {
    Metric.P50: ("p50", "ms"),
    Metric.P99: ("p99", "ms"),
    Metric.OK: ("throughput", "ok/s"),
    Metric.ERRORS: ("errors", "of all"),
    Metric.CAPACITY: ("highest good rate", "operations/s"),
}
TONES = {Judgement.BETTER: "pass", Judgement.WORSE: "fail", Judgement.SAME: "plain", Judgement.UNKNOWN: "unknown"}
MARKS = {Judgement.BETTER: "✓", Judgement.WORSE: "✕", Judgement.SAME: "=", Judgement.UNKNOWN: "?"}
_STYLES = {Judgement.BETTER: "green", Judgement.WORSE: "red", Judgement.SAME: "", Judgement.UNKNOWN: "yellow"}
_VERDICTS = {
    ExitCode.PASS: ("not worse", "pass", "✓"),
    ExitCode.FAIL: ("worse", "fail", "✕"),
    ExitCode.UNKNOWN: ("cannot tell", "unknown", "?"),
}
METHOD = (
    "B against A. Latency counts from the due time. The warm-up is cut (MSER-5); per-second histograms are merged "
    "exactly, never averaged.",
    "The interval holds for all rows together with 95 % confidence: moving-block bootstrap within the runs, widened "
    "for the number of rows; with repeats it also spans every pair of them, and the effect is their Hodges–Lehmann "
    "shift.",
    "The noise floor is the largest of: 1 %, what halves and blocks of one run differ by, what repeats of a side "
    "differ by, and 10 % where each side is a single run. An effect below it, or whose interval includes none, is no "
    "finding; nor, where each side is a single run, is one of less than half as much again.",
)


def effect_words(row: ComparedRow, value: float | None) -> str:
    """An effect with its sign: a change in per cent, of error ratios in percentage points.

    >>> signed_percent(0.123), signed_percent(-0.5), signed_percent(0.0)
    ('+12.3 %', '−50 %', '0 %')
    """
    if value is None:
        return numerals.NOTHING
    return signed_percent(value) if row.metric is not Metric.ERRORS else signed_percent(value).replace("%", "pp")


def signed_percent(value: float) -> str:
    """A ratio in per cent with its sign, three figures."""
    if not math.isfinite(value):
        return numerals.NOTHING
    text = numerals.digits(abs(value) * 100, 3) if abs(value) >= 5e-5 else "0"
    return f"{'' if text == '0' else '+' if value > 0 else '−'}{text} %"


def level_words(row: ComparedRow, value: float | None) -> str:
    """A figure of one side."""
    if value is None:
        return numerals.NOTHING
    return numerals.ratio(value) if row.metric is Metric.ERRORS else numerals.digits(value, 4)


def interval_words(row: ComparedRow) -> str:
    """The interval of an effect; an open end is one that nobody knows."""
    if row.low is None and row.high is None:
        return numerals.NOTHING
    low = "…" if row.low is None else effect_words(row, row.low)
    high = "…" if row.high is None else effect_words(row, row.high)
    return f"{low} to {high}"


def floor_words(row: ComparedRow) -> str:
    """The noise floor without a sign."""
    return effect_words(row, row.floor).removeprefix("+")


# ---------------------------------------------------------------- terminal


def show(comparison: Comparison, console: Console) -> None:
    """Print the answer, the table and what was left out."""
    print_sheet(console, _parts(comparison))


def _parts(comparison: Comparison) -> Iterator[RenderableType]:
    word, tone, mark = _verdict(comparison)
    style = {"pass": "green", "fail": "red", "unknown": "yellow"}[tone]
    yield Text(f"{mark} {word}  ", f"bold {style}") + Text(numerals.visible(comparison.headline), "bold")
    for name, runs in (("A", comparison.a), ("B", comparison.b)):
        yield Text(numerals.visible(f"{name}  {', '.join(run.run_id for run in runs)}"), "dim")
    for phase in dict.fromkeys(row.phase for row in comparison.rows):
        yield Group(
            Text(numerals.visible(f"\n{phase}"), style="bold"), _table(r for r in comparison.rows if r.phase == phase)
        )
    for title, lines in (("Not alike", comparison.differences), ("Notes", comparison.notes)):
        if lines:
            yield Text(f"\n{title}", style="bold")
            yield from (Text(numerals.visible(f"  {line}"), "dim") for line in lines)


def _table(rows: Iterator[ComparedRow]) -> Grid:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for side in ("left", "left", "right", "right", "right", "right", "right", "left"):
        grid.add_column(justify="right" if side == "right" else "left", overflow="fold")
    heads = ("", "", "A", "B", "effect", "interval", "noise", "")
    grid.add_row(*(Text(head, "dim") for head in heads))
    for row in rows:
        grid.add_row(
            Text(row.op.upper()),
            Text(METRIC_WORDS[row.metric][0]),
            level_words(row, row.a),
            level_words(row, row.b),
            effect_words(row, row.effect),
            interval_words(row),
            floor_words(row),
            Text(f"{MARKS[row.judgement]} {_said(row)}", _STYLES[row.judgement]),
        )
    return grid


def _said(row: ComparedRow) -> str:
    return f"{_short(row)}: {row.why}" if row.why else _short(row)


def _short(row: ComparedRow) -> str:
    return "no difference" if row.judgement is Judgement.SAME else row.judgement.value


def _verdict(comparison: Comparison) -> tuple[str, str, str]:
    return _VERDICTS.get(ExitCode(comparison.exit_code), _VERDICTS[ExitCode.UNKNOWN])


# ---------------------------------------------------------------- page


@dataclass(frozen=True)
class PageRow:
    """One line of the page's table."""

    cells: tuple[Cell, ...]
    drawing: Markup
    chip: Chip
    why: str


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the comparison as one HTML file that loads nothing. MachineError when the disk refuses."""
    put(path, render(comparison), "choose another place with --html")


def render(comparison: Comparison) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("maul.report"), autoescape=True, undefined=StrictUndefined, finalize=visible,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    word, tone, mark = _verdict(comparison)
    phases = [
        (phase, _page_rows([row for row in comparison.rows if row.phase == phase]))
        for phase in dict.fromkeys(row.phase for row in comparison.rows)
    ]
    return environment.get_template("compare.html.j2").render(
        comparison=comparison,
        word=word,
        tone=tone,
        mark=mark,
        sides=[("A", _facts(comparison.a)), ("B", _facts(comparison.b))],
        phases=phases,
        method=METHOD,
        policy=policy([]),
        css=Markup(asset("report.css")),
    )


def _facts(runs: Sequence[ComparedRun]) -> list[tuple[str, str]]:
    first = runs[0]
    return [
        ("Runs" if len(runs) > 1 else "Run", ", ".join(run.run_id for run in runs)),
        ("Campaign", first.campaign or numerals.NOTHING),
        ("Target", first.target or numerals.NOTHING),
        ("Began", numerals.moment(first.began_ns)),
        ("Plan", first.plan_hash[:12] or numerals.NOTHING),
    ]


def _page_rows(rows: Sequence[ComparedRow]) -> list[PageRow]:
    made = []
    for row in rows:
        name, unit = METRIC_WORDS[row.metric]
        cells = (
            Cell(row.op.upper()),
            Cell(f"{name}, {unit}"),
            Cell(level_words(row, row.a)),
            Cell(level_words(row, row.b)),
            Cell(effect_words(row, row.effect)),
            Cell(interval_words(row)),
            Cell(floor_words(row)),
        )
        chip = Chip(_short(row), TONES[row.judgement], MARKS[row.judgement])
        p = f"Mann–Whitney p {row.repeats_p:.2g}" if row.repeats_p is not None else ""
        made.append(PageRow(cells, drawing(row), chip, "; ".join(filter(None, (row.why, p)))))
    return made


WIDTH, HEIGHT = 220, 26
_STRETCH = 0.3
"""An effect of this size (as a logarithm) lies halfway to the edge; larger ones are drawn ever closer together."""
_COLOURS = {
    Judgement.BETTER: colours.GOOD,
    Judgement.WORSE: colours.BAD,
    Judgement.SAME: colours.MUTED,
    Judgement.UNKNOWN: colours.VOID,
}


def place(effect: float) -> float:
    """Where an effect is drawn, 0 … WIDTH, on a scale that is even near zero and bends for large effects.

    Halving and doubling lie as far from the middle as each other.

    >>> place(0.0), place(1.0) + place(-0.5), 0 < place(-0.999) < place(1e9) < 220
    (110.0, 220.0, True)
    """
    size = math.log1p(max(effect, -0.9999))
    return WIDTH / 2 * (1 + size / (abs(size) + _STRETCH) * 0.96)


def drawing(row: ComparedRow) -> Markup:
    """The effect as a dot, its interval as a line, the noise floor as a grey band."""
    if row.effect is None:
        return Markup("")
    scale = 10.0 if row.metric is Metric.ERRORS else 1.0  # one percentage point as far as ten per cent
    middle = HEIGHT / 2
    floor = (row.floor or 0.0) * scale
    left, right = place(1 / (1 + floor) - 1), place(floor)
    low = place(row.low * scale) if row.low is not None else 0.0
    high = place(row.high * scale) if row.high is not None else float(WIDTH)
    colour = _COLOURS[row.judgement]
    label = f"{effect_words(row, row.effect)}, {interval_words(row)}; noise {floor_words(row)}"
    return Markup(
        '<svg width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" aria-label="{label}"><title>{label}</title>'
        '<rect x="{left:.1f}" y="2" width="{span:.1f}" height="{tall}" fill="{grid}"/>'
        '<line x1="{half}" x2="{half}" y1="0" y2="{h}" stroke="{ideal}"/>'
        '<line x1="{low:.1f}" x2="{high:.1f}" y1="{m}" y2="{m}" stroke="{colour}" stroke-width="2"/>'
        '<circle cx="{at:.1f}" cy="{m}" r="4.5" fill="{colour}"/></svg>'
    ).format(
        w=WIDTH, h=HEIGHT, half=WIDTH / 2, m=middle, left=left, span=max(right - left, 1.0), tall=HEIGHT - 4,
        low=low, high=high, at=place(row.effect * scale), colour=colour, label=label, grid=colours.GRID,
        ideal=colours.IDEAL,
    )  # fmt: skip
