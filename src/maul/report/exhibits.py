"""The sections on single operations, and on where the time of all of them went."""

from maul.core.exhibit import ExhibitReason
from maul.core.summary import Exhibit, OperationLatency, Summary
from maul.report import numerals
from maul.report.view import AFTERMATH, Body, Cell, Column, Section, Table

PARTS = {
    "connect": "TCP, on new connections",
    "tls": "handshake, on new connections",
    "send": "until the last byte of the request was handed over",
    "wait": "until the first byte of the answer came",
    "body": "until its last byte",
}
_PART_COLUMNS = (
    Column("Operation"),
    *(Column(name, True, f"{part}, ms", says) for part, says in PARTS.items() for name in ("p50", "p99")),
    *(Column(name, True, "first byte, ms", "From the send to the first byte of the answer") for name in ("p50", "p99")),
)
_SLOWEST_COLUMNS = (
    Column("Operation"), Column("Phase"), Column("due", True), Column("from due", True), Column("service", True),
    Column("Where the service time went"), Column("Status", True), Column("Key"), Column("Through"),
    Column("Request id"),
)  # fmt: skip
_EVIDENCE_COLUMNS = (
    Column("Class"), Column("Operation"), Column("Phase"), Column("due", True), Column("Status", True), Column("Key"),
    Column("Through"), Column("Request id"), Column("offset", True), Column("Expected"), Column("Found"),
)  # fmt: skip


def parts_table(summary: Summary) -> Table | None:
    """Where the service time went, by operation, of the phases in which somebody played a customer."""
    bodies = tuple(
        Body(tuple(_part_row(row) for row in phase.latency if row.parts), head=phase.name)
        for phase in summary.phases
        if phase.kind not in AFTERMATH and any(row.parts for row in phase.latency)
    )
    return Table(_PART_COLUMNS, bodies) if bodies else None


def _part_row(row: OperationLatency) -> tuple[Cell, ...]:
    cells = [Cell(row.op.upper())]
    for name in (*PARTS, "first_byte"):
        part = row.parts.get(name)
        cells += [Cell(numerals.millis(part.p50)), Cell(numerals.millis(part.p99))] if part else [Cell(""), Cell("")]
    return tuple(cells)


def exhibits_section(summary: Summary) -> Section:
    """The slowest operations and the evidence of what went wrong, with request ids."""
    zero_ns = summary.began_ns
    slowest = [one for one in summary.exhibits if one.reason == ExhibitReason.SLOWEST]
    wrong = [one for one in summary.exhibits if one.reason == ExhibitReason.ERROR]
    tables: list[Table] = []
    if slowest:
        rows = tuple(_slowest_row(one, zero_ns) for one in slowest)
        tables.append(Table(_SLOWEST_COLUMNS, (Body(rows, head="The slowest"),)))
    if wrong:
        rows = tuple(_evidence_row(one, zero_ns) for one in wrong)
        tables.append(Table(_EVIDENCE_COLUMNS, (Body(rows, head="The first of each kind that went wrong"),)))
    return Section(
        "operations",
        "Single operations",
        lead="With the request ids under which the target's own logs know them."
        if tables
        else "None was kept: nothing went wrong, and no phase was timed.",
        tables=tuple(tables),
    )


def _slowest_row(one: Exhibit, zero_ns: int) -> tuple[Cell, ...]:
    went = ", ".join(f"{name} {numerals.latency(ms)}" for name, ms in one.parts_ms.items())
    return (
        Cell(one.op.upper()),
        Cell(one.phase),
        Cell(numerals.offset(one.due_ns, zero_ns)),
        Cell(numerals.latency(one.latency_ms)),
        Cell(numerals.latency(one.service_ms)),
        Cell(went or numerals.NOTHING),
        Cell(str(one.status or numerals.NOTHING)),
        Cell(one.key or numerals.NOTHING, mono=True),
        Cell(one.endpoint),
        Cell(one.request_id or numerals.NOTHING, mono=True),
    )


def _evidence_row(one: Exhibit, zero_ns: int) -> tuple[Cell, ...]:
    return (
        Cell(one.error_class, mono=True, hint=one.says),
        Cell(one.op.upper()),
        Cell(one.phase),
        Cell(numerals.offset(one.due_ns, zero_ns)),
        Cell(str(one.status or numerals.NOTHING)),
        Cell(one.key or numerals.NOTHING, mono=True),
        Cell(one.endpoint),
        Cell(one.request_id or numerals.NOTHING, mono=True),
        Cell(numerals.NOTHING if one.offset is None else numerals.count(one.offset)),
        Cell(one.expected or numerals.NOTHING),
        Cell(one.found or one.says or numerals.NOTHING),
    )
