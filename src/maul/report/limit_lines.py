"""The answer of `maul limit` in the terminal: the interval, why, and every trial on a line."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from maul.core.summary import AxisLimit, TrialSummary
from maul.insight.limits import show_limit
from maul.report import numerals
from maul.report.curve import curve_lines

STYLES = {"good": "green", "bad": "red", "void": "yellow", "recovered": "dim", "not-recovered": "red"}
_HEADS = ("", "rate", "s", "", "p50 ms", "p99 ms", "achieved", "limit after it")


def limit_lines(limit: AxisLimit) -> Group:
    """Sentences first, then the trials."""
    lines: list[Text | Table] = [Text(numerals.visible(limit.says))]
    if limit.wall is not None:
        subject = ", ".join(filter(None, (limit.wall.kind, limit.wall.subject)))
        lines.append(Text(numerals.visible(f"wall: {subject}, at {numerals.ratio(limit.wall.utilisation)}"), "dim"))
    lines += [Text(numerals.visible(says), "dim") for says in curve_lines(limit.knee, limit.scaling)]
    grid = Table.grid(padding=(0, 2, 0, 0))
    for head in _HEADS:
        grid.add_column(justify="left" if head in ("", "limit after it") else "right")
    grid.add_row(*(Text(head, style="dim") for head in _HEADS))
    for trial in limit.trials:
        grid.add_row(*_row(limit, trial))
    return Group(*lines, grid)


def _row(limit: AxisLimit, trial: TrialSummary) -> tuple[Text, ...]:
    achieved = numerals.ratio(trial.achieved_per_s / trial.offered_per_s) if trial.offered_per_s else numerals.NOTHING
    bounds = (trial.lower_per_s, trial.upper_per_s)
    low, high = ("–" if rate is None else show_limit(limit, rate * limit.per_operation) for rate in bounds)
    cells = (
        trial.move,
        show_limit(limit, trial.rate_per_s * limit.per_operation),
        f"{trial.seconds:.0f}",
        trial.judged,
        numerals.millis(trial.p50_ms),
        numerals.millis(trial.p99_ms),
        achieved,
        f"{low} … {high}",
    )
    return tuple(Text(numerals.visible(cell), style=STYLES.get(cell, "")) for cell in cells)
