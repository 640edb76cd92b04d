"""The sections of the page after its header, each a function of the summary."""

from maul.core.summary import (
    Capacity,
    Check,
    GeneratorSummary,
    Level,
    OperationLatency,
    Percentiles,
    PhaseSummary,
    Summary,
)
from maul.core.units import show_duration, show_size
from maul.core.verdict import Verdict
from maul.report import numerals, words
from maul.report.curve import curve_facts
from maul.report.exhibits import exhibits_section, parts_table
from maul.report.fleet_section import fleet_section
from maul.report.limit_section import limit_section, limit_tile
from maul.report.mitigation_section import mitigation_sections, mitigation_tiles, still_stopped
from maul.report.network_section import network_section
from maul.report.trouble import data_section, errors_section, faults_section
from maul.report.view import (
    AFTERMATH,
    ENOUGH_FOR_P99,
    ENOUGH_FOR_P999,
    Body,
    Cell,
    Chip,
    Column,
    Page,
    Section,
    Table,
    header,
    tiles,
    verdict_chip,
)


def build(summary: Summary) -> Page:
    """The page of a summary, without its charts."""
    return Page(
        title=f"{summary.verdict.name}: {summary.campaign or summary.run_id}",
        header=header(summary, still_stopped(summary)),
        tiles=(
            *mitigation_tiles(summary),
            *map(limit_tile, summary.limits),
            *tiles(summary, capacity=not summary.limits),
        ),
        sections=(
            _checks(summary.checks),
            *mitigation_sections(summary),
            *(limit_section(limit, summary.began_ns) for limit in summary.limits),
            *([] if summary.limits else [_capacity(summary.capacity, summary.began_ns)]),
            Section("time", "Over time"),
            _latency(summary),
            exhibits_section(summary),
            errors_section(summary),
            faults_section(summary.faults, summary.began_ns),
            *([network_section(summary.network)] if summary.network is not None else []),
            data_section(summary.audit),
            _generator(summary.generator),
            *filter(None, (fleet_section(summary.fleet, summary.began_ns),)),
            _gaps(summary),
        ),
    )


def _checks(checks: list[Check]) -> Section:
    by_doubt = sorted(checks, key=lambda check: -check.verdict)
    rows = tuple(
        (
            Cell("", chip=verdict_chip(check.verdict)),
            Cell(check.name),
            Cell(check.phase or "whole run"),
            Cell(check.says),
        )
        for check in by_doubt
    )
    count = {verdict: sum(check.verdict is verdict for check in checks) for verdict in Verdict}
    lead = ", ".join(f"{number} {verdict.name}" for verdict, number in reversed(count.items()) if number)
    return Section(
        "checks",
        "Checks",
        lead=f"{lead}." if checks else "No check was made. Without a check there is no pass.",
        tables=(Table((Column("Verdict"), Column("Check"), Column("Phase"), Column("What it found")), (Body(rows),)),),
    )


def _level_row(level: Level) -> tuple[Cell, ...]:
    if level.generator_bound:
        chip = Chip("void", "unknown", "○")
    else:
        chip = Chip("good", "pass", "✓") if level.meets else Chip("bad", "fail", "✕")
    return (
        Cell("", chip=chip),
        Cell(numerals.digits(level.offered_per_s)),
        Cell(numerals.digits(level.achieved_per_s)),
        Cell(numerals.millis(level.p50_ms)),
        Cell(numerals.millis(level.p99_ms)),
        Cell(numerals.millis(level.p999_ms)),
        Cell(numerals.millis(level.service_p99_ms)),
        Cell(numerals.ratio(level.error_ratio), tone="bad" if level.error_ratio else ""),
        Cell(numerals.ratio(level.dropped_ratio), tone="bad" if level.dropped_ratio else ""),
        Cell(numerals.millis(level.lag_p99_ms)),
        Cell(show_duration((level.ended_ns - level.began_ns) / 1e9)),
        Cell("; ".join(filter(None, ("the generator was the limit" if level.generator_bound else "", level.why_not)))),
    )


LEVEL_COLUMNS = (
    Column("Level"),
    Column("offered", True, "operations/s"),
    Column("achieved", True, "operations/s"),
    Column("p50", True, "from due, ms"),
    Column("p99", True, "from due, ms"),
    Column("p99.9", True, "from due, ms"),
    Column("p99", True, "service, ms"),
    Column("errors", True, "of all"),
    Column("dropped", True, "of all"),
    Column("lag p99, ms", True, "", "How late the generator sent: due to send"),
    Column("lasted", True),
    Column("Why not"),
)


def _capacity(capacity: Capacity | None, zero_ns: int) -> Section:
    if capacity is None or not capacity.levels:
        says = capacity.says if capacity else ""
        return Section(
            "capacity",
            "Capacity",
            lead=says or "Not measured: no phase of this run raised the load in steps.",
        )
    wall = capacity.wall
    facts: list[tuple[str, str]] = [
        ("Highest rate that met the objectives", numerals.rate(capacity.highest_good_per_s)),
        ("First that did not", numerals.rate(capacity.first_bad_per_s)),
        ("What broke", capacity.broke or numerals.NOTHING),
    ]
    if wall is not None:
        subject = ", ".join(filter(None, (wall.kind, wall.subject)))
        says = "" if wall.says in capacity.says else f": {wall.says}"
        facts.append(("The wall", f"{subject}, at {numerals.ratio(wall.utilisation)}{says}"))
    facts += curve_facts(capacity.knee, capacity.scaling)
    first = capacity.levels[0]
    return Section(
        "capacity",
        "Capacity",
        lead=capacity.says,
        facts=tuple(facts),
        tables=(Table(LEVEL_COLUMNS, (Body(tuple(map(_level_row, capacity.levels))),)),),
        points=(*capacity.warnings, *(wall.evidence if wall else ())),
        note=f"Phase “{capacity.phase}”, from {numerals.offset(first.began_ns, zero_ns)}. "
        "In a void level the generator was the bottleneck: it says nothing about the target.",
        charts=("capacity",),
    )


LATENCY_COLUMNS = (
    Column("Operation"),
    Column("count", True),
    *(Column(name, True, "from due, ms") for name in ("p50", "p90", "p99", "p99.9", "max")),
    *(Column(name, True, "service, ms") for name in ("p50", "p90", "p99", "p99.9", "max")),
)


def _latency_row(row: OperationLatency) -> tuple[Cell, ...]:
    numbers = [cell for side in (row.latency, row.service) for cell in _percentile_cells(side)]
    return (Cell(row.op.upper()), Cell(numerals.count(row.latency.count)), *numbers)


def _percentile_cells(side: Percentiles) -> tuple[Cell, ...]:
    """The percentiles of few operations are drawn faint: they are those of one or two of them."""
    few = f"of {numerals.plural(side.count, 'operation')}: too few for this percentile"
    p99, p999 = side.count >= ENOUGH_FOR_P99, side.count >= ENOUGH_FOR_P999
    return (
        Cell(numerals.millis(side.p50)),
        Cell(numerals.millis(side.p90)),
        Cell(numerals.millis(side.p99), tone="" if p99 else "faint", hint="" if p99 else few),
        Cell(numerals.millis(side.p999), tone="" if p999 else "faint", hint="" if p999 else few),
        Cell(numerals.millis(side.max)),
    )


PHASE_COLUMNS = (
    Column("Phase"),
    Column("kind"),
    Column("began", True),
    Column("lasted", True),
    Column("offered", True),
    Column("ok", True),
    Column("fail", True),
    Column("unknown", True, "", "No answer: it may or may not have taken effect"),
    Column("dropped", True, "", "Never sent: it would have timed out while waiting its turn"),
    Column("late", True, "", "Sent later than it was due"),
    Column("ok per s", True),
    Column("sent", True),
    Column("received", True),
)


def _phase_row(phase: PhaseSummary, zero_ns: int) -> tuple[Cell, ...]:
    return (
        Cell(phase.name),
        Cell(phase.kind),
        Cell(numerals.offset(phase.began_ns, zero_ns)),
        Cell(show_duration(max(0.0, phase.duration_s))),
        Cell(numerals.count(phase.offered)),
        Cell(numerals.count(phase.ok)),
        # in an audit a deleted object must answer "not found": there a fail is no blame
        *(
            Cell(numerals.count(n), tone="bad" if n and phase.kind not in AFTERMATH else "")
            for n in (phase.fail, phase.unknown, phase.dropped)
        ),
        Cell(numerals.count(phase.late)),
        Cell(numerals.digits(phase.achieved_per_s)),
        Cell(show_size(phase.bytes_sent)),
        Cell(show_size(phase.bytes_received)),
    )


def _tenant_bodies(phase: PhaseSummary) -> tuple[Body, ...]:
    """The same for each tenant, where there are several."""
    return tuple(
        Body(
            tuple(_latency_row(row) for row in tenant.latency),
            head=f"{phase.name}, tenant {tenant.name}",
            note=f"{numerals.count(tenant.ok)} of {numerals.count(tenant.offered)} ok",
        )
        for tenant in phase.tenants
        if tenant.latency
    )


def _latency(summary: Summary) -> Section:
    phases, zero_ns = summary.phases, summary.began_ns
    if not phases:
        return Section("latency", "Phases and latency", lead="No phase sent anything.")
    bodies = tuple(
        Body(
            tuple(_latency_row(row) for row in phase.latency),
            head=phase.name,
            note=f"{numerals.rate(phase.achieved_per_s)} ok",
        )
        for phase in phases
        if phase.latency
    )
    return Section(
        "latency",
        "Phases and latency",
        lead=words.DUE_AND_SERVICE,
        tables=(
            Table(PHASE_COLUMNS, (Body(tuple(_phase_row(phase, zero_ns) for phase in phases)),)),
            Table(LATENCY_COLUMNS, (*bodies, *(body for phase in phases for body in _tenant_bodies(phase)))),
            *filter(None, (parts_table(summary),)),
        ),
        points=tuple(filter(None, (summary.first_access.says if summary.first_access else "",))),
        note="Percentiles come from merged histograms (three significant digits); none is an average.",
    )


def _generator(generator: GeneratorSummary | None) -> Section:
    if generator is None:
        return Section("generator", "Generator", lead="The generator left no account of itself.", tone="unknown")
    lost = numerals.count(generator.records_lost)
    return Section(
        "generator",
        "Generator",
        lead=generator.says,
        facts=(
            (
                "Was it the limit?",
                "yes: its numbers say nothing about the target there"
                if generator.bound
                else "no"
                if generator.judged
                else "not known",
            ),
            ("Shards", numerals.count(generator.shards)),
            ("Requests", numerals.count(generator.requests)),
            (
                "CPU",
                f"{numerals.digits(generator.cpu_seconds)} s, "
                f"{numerals.digits(generator.cpu_us_per_request)} µs a request",
            ),
            ("Lag p50", numerals.latency(generator.lag_p50_ms)),
            ("Lag p99", numerals.latency(generator.lag_p99_ms)),
            ("Lag max", numerals.latency(generator.lag_max_ms)),
            ("Sent late", numerals.count(generator.late)),
            ("Dropped unsent", numerals.count(generator.dropped)),
            *([("Withheld by a guard", numerals.count(generator.withheld))] if generator.withheld else []),
            (
                "Records lost",
                lost if not generator.records_lost else f"{lost}: counts are right, single operations are missing",
            ),
        ),
        note="Lag is the time from due to send: how late the generator was, or how long requests queued.",
    )


def _gaps(summary: Summary) -> Section:
    points = [f"Gap: {gap}" for gap in summary.gaps] + list(summary.notes)
    return Section(
        "notes",
        "Gaps and notes",
        lead="" if points else "No sensor fell silent and nothing else needs saying.",
        points=tuple(points),
        note="All of this is drawn from the record. To draw it again, with this or a newer maul: "
        f"maul report {summary.run_id}",
    )
