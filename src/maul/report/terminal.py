"""The summary of a run in the terminal: the verdict and its reasons on one screen, the rest in the page."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from maul.core.fleet_summary import FleetSummary
from maul.core.mitigation_summary import MitigationSummary
from maul.core.summary import AuditSummary, Capacity, Check, ErrorCount, FaultSummary, PhaseSummary, Summary
from maul.core.units import show_duration
from maul.core.verdict import Verdict
from maul.report import numerals, words
from maul.report.curve import curve_lines
from maul.report.fleet_section import fleet_facts
from maul.report.limit_lines import limit_lines
from maul.report.mitigation_section import mitigation_lines
from maul.report.mitigation_words import title
from maul.report.network_section import network_lines

WIDTH_MAX = 100
FINDINGS_SHOWN_MAX = 5
AGENTS_SHOWN_MAX = 20
GAPS_SHOWN_MAX = 5
ERRORS_SHOWN_MAX = 12

_PLAINER = str.maketrans({numerals.THIN: " ", "–": "-", "·": "|", "✓": "+", "✕": "x", "“": '"', "”": '"', "…": "..."})
STYLES = {Verdict.PASS: "green", Verdict.UNKNOWN: "yellow", Verdict.FAIL: "red"}


def show(summary: Summary, console: Console, report_path: Path | None = None) -> None:
    """Print verdict, checks, capacity, latencies, errors, faults, data, and where the page is.

    Not on a terminal it is plain text of at most 100 columns. Where the encoding lacks a letter, a plainer
    one stands in.
    """
    parts: list[RenderableType | _Unbroken] = list(_parts(summary))
    if report_path is not None:
        # a path is copied: it must stay in one piece
        parts.append(_Unbroken(f"\nReport  {report_path}"))
    print_sheet(console, parts)


@dataclass(frozen=True, slots=True)
class _Unbroken:
    """A text that no line break may part."""

    text: str


def print_sheet(console: Console, parts: "Iterable[RenderableType | _Unbroken]") -> None:
    """Print parts, not on a terminal as plain text of at most 100 columns, in letters that the encoding has."""
    width = min(console.width, WIDTH_MAX) if console.is_terminal else WIDTH_MAX
    sheet = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=console.is_terminal,
        highlight=False,
        legacy_windows=False,
    )
    for part in parts:
        if isinstance(part, _Unbroken):
            sheet.print(_text(part.text), soft_wrap=True)
        else:
            sheet.print(part)
    lines = sheet.file.getvalue().splitlines()  # type: ignore[attr-defined]
    text = "\n".join(line.rstrip() for line in lines)
    console.print(Text.from_ansi(_within(text, console.encoding)), soft_wrap=True)


def _within(text: str, encoding: str) -> str:
    """The text in letters that the encoding has."""
    if encoding.lower().startswith("utf"):
        return text
    return text.translate(_PLAINER).encode(encoding, "replace").decode(encoding)


def _parts(summary: Summary) -> Iterator[RenderableType]:
    yield _head(summary)
    if summary.checks:
        yield _section("Checks", _checks(summary.checks))
    else:
        yield _section("Checks", _text("none was made, and no check is no pass"))
    yield from map(_stopped, summary.mitigations, repeat(summary.began_ns))
    if summary.capacity is not None:
        yield _section("Capacity", _capacity(summary.capacity))
    for limit in summary.limits:
        yield _section(f"Limit of {limit.axis}", limit_lines(limit))
    timed = [phase for phase in summary.phases if phase.latency]
    if timed:
        loads = [phase for phase in timed if phase.kind == "load"] or timed
        yield _section("Latency in ms, from due time", _latency(loads))
    if summary.errors:
        yield _section("Errors", _errors(summary.errors))
    if summary.faults:
        yield _section("Faults", _faults(summary.faults))
    if summary.network is not None:
        lines = [_text(says, "red" if bad else "") for says, bad in network_lines(summary.network)]
        yield _section("Network", Group(*lines))
    yield _section("Data", _data(summary.audit))
    if summary.generator is not None:
        yield _section("Generator", _text(summary.generator.says))
    if summary.fleet is not None:
        yield _section("Fleet", _fleet(summary.fleet, summary.began_ns))
    if summary.gaps:
        yield _section("Gaps", _gaps(summary.gaps))


def _stopped(found: MitigationSummary, zero_ns: int) -> Group:
    lines = [_text(says, style) for says, style in mitigation_lines(found, zero_ns)]
    if found.ticket:
        lines.append(_text("the ticket for the network team is in the page", "dim"))
    return _section(title(found), Group(*lines))


def _text(text: str, style: str = "") -> Text:
    return Text(numerals.visible(text), style=style)


def _section(title: str, content: RenderableType) -> Group:
    return Group(Text(f"\n{title}", style="bold"), Padding(content, (0, 0, 0, 2)))


def _grid(*justify: str) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for side in justify:
        grid.add_column(justify="right" if side == "right" else "left", overflow="fold")
    return grid


def _head(summary: Summary) -> Group:
    verdict = _text(
        f"{words.VERDICT_MARK[summary.verdict]} {summary.verdict.name}  ", f"bold {STYLES[summary.verdict]}"
    )
    seconds = max(0, summary.ended_ns - summary.began_ns) / 1e9
    facts = (
        summary.campaign,
        summary.target,
        show_duration(seconds),
        summary.ending.value,
        f"exit code {summary.exit_code}",
    )
    lines = [
        verdict + _text(summary.headline, "bold"),
        _text(" · ".join(filter(None, facts)), "dim"),
    ]
    lines += [
        _text(f"Not healed: {fault.name} on {fault.target}. Run: maul heal", "bold red")
        for fault in summary.faults
        if not fault.healed
    ]
    return Group(*lines)


def _checks(checks: list[Check]) -> Table:
    grid = _grid("left", "left", "left")
    for check in sorted(checks, key=lambda check: -check.verdict):
        grid.add_row(
            _text(f"{words.VERDICT_MARK[check.verdict]} {check.verdict.name}", STYLES[check.verdict]),
            _text(f"{check.name} [{check.phase}]" if check.phase else check.name),
            _text(check.says),
        )
    return grid


def _capacity(capacity: Capacity) -> Group:
    lines = [_text(capacity.says)]
    if capacity.wall is not None:
        wall = capacity.wall
        subject = ", ".join(filter(None, (wall.kind, wall.subject)))
        says = "" if wall.says in capacity.says else f": {wall.says}"
        lines.append(_text(f"wall: {subject}, at {numerals.ratio(wall.utilisation)}{says}", "dim"))
    lines += [_text(says, "dim") for says in curve_lines(capacity.knee, capacity.scaling)]
    lines += [_text(warning, "yellow") for warning in capacity.warnings]
    return Group(*lines)


def _latency(phases: list[PhaseSummary]) -> Table:
    grid = _grid("left", "left", *["right"] * 7)
    heads = ("phase", "operation", "count", "p50", "p90", "p99", "p99.9", "max", "service p99")
    grid.add_row(*(Text(head, style="dim") for head in heads))
    for phase in phases:
        for place, row in enumerate(phase.latency):
            side = row.latency
            numbers = (side.p50, side.p90, side.p99, side.p999, side.max, row.service.p99)
            grid.add_row(
                _text(phase.name if place == 0 else ""),
                _text(row.op.upper()),
                numerals.count(side.count),
                *(numerals.millis(number) for number in numbers),
            )
    return grid


def _errors(errors: list[ErrorCount]) -> Table:
    totals: dict[tuple[str, str, str], int] = {}
    for error in errors:
        key = (error.error_class.upper(), error.outcome, error.phase)
        totals[key] = totals.get(key, 0) + error.count
    ordered = sorted(totals.items(), key=lambda item: -item[1])
    grid = _grid("right", "left", "left", "left")
    for words_of_it, count in ordered[:ERRORS_SHOWN_MAX]:
        grid.add_row(numerals.count(count), *map(_text, words_of_it))
    if len(ordered) > ERRORS_SHOWN_MAX:
        grid.add_row("", _text(f"and {len(ordered) - ERRORS_SHOWN_MAX} more rows in the page", "dim"))
    return grid


def _faults(faults: list[FaultSummary]) -> Table:
    grid = _grid("left", "left", "left", "left")
    for fault in faults:
        grid.add_row(
            _text(fault.name),
            _text("proven", "green") if fault.proven else _text("UNPROVEN", "yellow"),
            _text("healed", "green") if fault.healed else _text("NOT HEALED", "bold red"),
            _text(fault.customers or fault.effect),
        )
    return grid


def _data(audit: AuditSummary | None) -> RenderableType:
    if audit is None:
        return _text("not audited", "yellow")
    lines = [_text(audit.says)]
    lines += [
        _text(f"{finding.kind}: {finding.key} (through {finding.through}: {finding.found})", "red")
        for finding in audit.findings[:FINDINGS_SHOWN_MAX]
    ]
    hidden = max(audit.findings_total, len(audit.findings)) - min(len(audit.findings), FINDINGS_SHOWN_MAX)
    if hidden:
        lines.append(_text(f"and {numerals.plural(hidden, 'more finding')}", "dim"))
    return Group(*lines)


def _fleet(fleet: FleetSummary, zero_ns: int) -> Group:
    """All agents in one line each, as far as they fit a screen; what was lost."""
    lines: list[RenderableType] = [_text(f"{name}: {value}", "dim") for name, value in fleet_facts(fleet)]
    grid = _grid("left", *["right"] * 7, "left")
    heads = ("agent", "share", "sent", "not ok", "late", "dropped", "withheld", "CPU s", "")
    grid.add_row(*(Text(head, style="dim") for head in heads))
    for agent in fleet.agents[:AGENTS_SHOWN_MAX]:
        lost = "" if agent.lost_ns is None else f"lost at {numerals.offset(agent.lost_ns, zero_ns)}: {agent.lost_why}"
        counts = (agent.sent, agent.bad, agent.late, agent.dropped, agent.withheld)
        numbers = [numerals.ratio(agent.share), *map(numerals.count, counts), numerals.digits(agent.cpu_seconds)]
        grid.add_row(_text(agent.name), *numbers, _text(lost, "red"))
    lines.append(grid)
    if len(fleet.agents) > AGENTS_SHOWN_MAX:
        lines.append(_text(f"and {len(fleet.agents) - AGENTS_SHOWN_MAX} more in the page", "dim"))
    lines += [_text(f"{loss.agent} in {loss.phase}: {loss.says}", "yellow") for loss in fleet.losses]
    lines += [_text(says, "red") for says in fleet.wrong] + [_text(says, "yellow") for says in fleet.doubts]
    return Group(*lines)


def _gaps(gaps: list[str]) -> Group:
    lines = [_text(gap, "yellow") for gap in gaps[:GAPS_SHOWN_MAX]]
    if len(gaps) > GAPS_SHOWN_MAX:
        lines.append(_text(f"and {len(gaps) - GAPS_SHOWN_MAX} more", "dim"))
    return Group(*lines)
