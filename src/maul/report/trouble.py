"""The sections on what went wrong: errors, faults, data."""

from collections.abc import Iterable

from maul.core.summary import AuditSummary, ErrorCount, FaultSummary, Summary
from maul.report import numerals, words
from maul.report.view import AFTERMATH, Body, Cell, Chip, Column, Section, Table

FINDINGS_SHOWN_MAX = 200


def _join(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))


def _error_rows(errors: list[ErrorCount], zero_ns: int) -> tuple[tuple[Cell, ...], ...]:
    by_class: dict[str, list[ErrorCount]] = {}
    for error in errors:
        by_class.setdefault(error.error_class, []).append(error)
    ordered = sorted(by_class.items(), key=lambda item: -sum(error.count for error in item[1]))
    return tuple(
        (
            Cell(name.upper(), mono=True),
            Cell(numerals.count(sum(error.count for error in group))),
            Cell(words.error_means(name) or "An error class that this version of maul does not know."),
            Cell(_join(error.outcome.lower() for error in group)),
            Cell(_join(error.op.upper() for error in group)),
            Cell(_join(error.phase for error in group)),
            Cell(numerals.offset(min(error.first_ns for error in group), zero_ns)),
            Cell(numerals.offset(max(error.last_ns for error in group), zero_ns)),
        )
        for name, group in ordered
    )


def errors_section(summary: Summary) -> Section:
    """Errors by class in plain words; those of the audit apart."""
    if not summary.errors:
        offered = sum(phase.offered for phase in summary.phases)
        lead = "Every operation was sent, answered and OK." if offered else "No operation was recorded."
        return Section("errors", "Errors", lead=lead)
    columns = (
        Column("Class"), Column("count", True), Column("What it means"), Column("Outcome"),
        Column("Operations"), Column("Phases"), Column("first", True), Column("last", True),
    )  # fmt: skip
    lead = (
        "FAIL: it did not take effect. UNKNOWN: nobody can tell whether it did; a write that timed out "
        "may still be there. DROPPED: it was never sent."
    )
    aftermath = {phase.name for phase in summary.phases if phase.kind in AFTERMATH}
    served = [error for error in summary.errors if error.phase not in aftermath]
    later = [error for error in summary.errors if error.phase in aftermath]
    bodies = (
        Body(_error_rows(served, summary.began_ns), head="Under load" if later else ""),
        Body(
            _error_rows(later, summary.began_ns),
            head="In audit and clean-up" if later else "",
            note="a deleted object must answer NO_SUCH_KEY here; what is wrong stands under Data",
        ),
    )
    tables = (Table(columns, tuple(body for body in bodies if body.rows)),)
    return Section("errors", "Errors", lead=lead, tables=tables)


def _proof(yes: bool, yes_text: str, no_text: str, no_tone: str) -> Cell:
    return Cell(
        "",
        chip=Chip(yes_text, "pass", "✓") if yes else Chip(no_text, no_tone, "?" if no_tone == "unknown" else "✕"),
    )


def faults_section(faults: list[FaultSummary], zero_ns: int) -> Section:
    """What was hurt, whether that was proven, whether it was healed."""
    if not faults:
        return Section("faults", "Faults", lead="Nothing was hurt on purpose in this run.")
    columns = (
        Column("Fault"), Column("Target"), Column("began", True), Column("healed", True), Column("Effect"),
        Column("Healed?"), Column("What it did"), Column("What customers saw"), Column("How it was undone"),
    )  # fmt: skip
    rows = tuple(
        (
            Cell(fault.name),
            Cell(fault.target, mono=True),
            Cell(numerals.offset(fault.began_ns, zero_ns)),
            Cell(numerals.offset(fault.healed_ns, zero_ns) if fault.healed_ns else numerals.NOTHING),
            _proof(fault.proven, "proven", "unproven", "unknown"),
            _proof(fault.healed, "healed", "NOT HEALED", "fail"),
            Cell(fault.effect or numerals.NOTHING),
            Cell(fault.customers or "not told apart"),
            Cell(fault.undo or numerals.NOTHING),
        )
        for fault in faults
    )
    return Section(
        "faults",
        "Faults",
        lead="What was hurt on purpose, whether the hurt really took effect, and whether it was healed. "
        "A fault without a proven effect tests nothing.",
        tables=(Table(columns, (Body(rows),)),),
    )


def data_section(audit: AuditSummary | None) -> Section:
    """What the audit found, object by object."""
    if audit is None:
        return Section(
            "data",
            "Data",
            lead="Not audited: nothing is known about lost or corrupt objects.",
            tone="unknown",
        )
    facts = [
        ("Objects", numerals.count(audit.objects)),
        ("Reads", numerals.count(audit.reads)),
        ("Through", ", ".join(audit.through) or numerals.NOTHING),
        ("Complete", "yes" if audit.complete else "no: what was not read is unknown"),
    ]
    facts += [
        (kind.capitalize(), f"{numerals.count(number)} ({words.FINDING_MEANS.get(kind, 'see the findings')})")
        for kind, number in audit.counts.items()
        if number
    ]
    shown = audit.findings[:FINDINGS_SHOWN_MAX]
    columns = (Column("Kind"), Column("Key"), Column("Through"), Column("Expected"), Column("Found"))
    rows = tuple(
        (
            Cell(finding.kind, hint=words.FINDING_MEANS.get(finding.kind, ""), tone="bad"),
            Cell(finding.key, mono=True),
            Cell(finding.through),
            Cell(finding.expected),
            Cell(finding.found),
        )
        for finding in shown
    )
    hidden = max(audit.findings_total, len(audit.findings)) - len(shown)
    return Section(
        "data",
        "Data",
        lead=audit.says,
        facts=tuple(facts),
        tables=(Table(columns, (Body(rows),)),) if rows else (),
        note=f"{numerals.plural(hidden, 'more finding')} not shown" if hidden else "",
    )
