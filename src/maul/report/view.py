"""What the page says, as data: texts, numbers and tones are decided here, so that the template only lays out.

Pure: `build` is a function of the summary. Charts are decided in `panels.py`.
"""

from dataclasses import dataclass

from markupsafe import Markup

from maul.core.summary import Ending, PhaseSummary, Summary
from maul.core.units import show_duration
from maul.core.verdict import Verdict
from maul.report import numerals, words

AFTERMATH = frozenset({"audit", "clean-up"})  # kinds of phase in which nobody plays a customer
ENOUGH_FOR_P99, ENOUGH_FOR_P999 = 100, 1000  # operations; of fewer the percentile is just the slowest one


@dataclass(frozen=True)
class Chip:
    """A short coloured word. `tone` is pass, unknown, fail or plain; `mark` says the same without colour."""

    text: str
    tone: str = "plain"
    mark: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    tone: str = ""
    hint: str = ""
    chip: Chip | None = None
    mono: bool = False


@dataclass(frozen=True)
class Column:
    """One column. Neighbours with the same `group` share a head above theirs."""

    text: str
    number: bool = False
    group: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Body:
    """Rows under an optional head of their own."""

    rows: tuple[tuple[Cell, ...], ...]
    head: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Columns and bodies of rows."""

    columns: tuple[Column, ...]
    bodies: tuple[Body, ...]

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Neighbouring columns of one group: its name and how many; empty when no column has a group."""
        if not any(column.group for column in self.columns):
            return ()
        runs: list[tuple[str, int]] = []
        for column in self.columns:
            if runs and runs[-1][0] == column.group:
                runs[-1] = (column.group, runs[-1][1] + 1)
            else:
                runs.append((column.group, 1))
        return tuple(runs)

    def starts_group(self, index: int) -> bool:
        """Whether a group of columns begins at this one, or has just ended before it."""
        return index > 0 and self.columns[index].group != self.columns[index - 1].group

    @property
    def empty(self) -> bool:
        """Whether there is no row at all."""
        return not any(body.rows for body in self.bodies)


@dataclass(frozen=True)
class Tile:
    """One number of the overview."""

    label: str
    value: str
    says: str
    tone: str = "plain"


@dataclass(frozen=True)
class Part:
    """A part of a section, under a head of its own. `drawings` are SVG; `copy` is a text to take away as it is."""

    title: str
    lead: str = ""
    tables: tuple[Table, ...] = ()
    points: tuple[str, ...] = ()
    note: str = ""
    drawings: tuple[Markup, ...] = ()
    chart: str = ""  # key of a drawing that is made from the record
    copy: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the page: sentences, then facts, a table, lists, parts. Only what is there is drawn."""

    key: str
    title: str
    lead: str = ""
    tone: str = ""
    tables: tuple[Table, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    points: tuple[str, ...] = ()
    note: str = ""
    charts: tuple[str, ...] = ()  # keys of panels to draw after the lead
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Header:
    """The band at the top."""

    verdict: Chip
    headline: str
    meaning: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    alerts: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """The whole page, without its charts."""

    title: str
    header: Header
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]


def verdict_chip(verdict: Verdict) -> Chip:
    """A verdict as a chip: its name, its colour and a mark for those who do not see colours.

    >>> verdict_chip(Verdict.FAIL)
    Chip(text='FAIL', tone='fail', mark='✕')
    """
    return Chip(verdict.name, verdict.name.lower(), words.VERDICT_MARK[verdict])


def header(summary: Summary, still: tuple[str, ...] = ()) -> Header:
    """The verdict first, then what it means, then where it comes from. `still`: alerts of what goes on."""
    meaning = [words.VERDICT_MEANS[summary.verdict]]
    if summary.ending is not Ending.COMPLETED:
        meaning.append(words.ENDING_MEANS[summary.ending])
    if not summary.checks:
        meaning.append("No check was made, and no check is no pass.")
    unhealed = [fault for fault in summary.faults if not fault.healed]
    alerts = [
        f"Not healed: {fault.name} on {fault.target}. Run: maul heal. By hand: {fault.undo or 'see the journal'}"
        for fault in unhealed
    ]
    return Header(
        verdict=verdict_chip(summary.verdict),
        headline=summary.headline,
        meaning=tuple(meaning),
        facts=(
            ("Campaign", summary.campaign or numerals.NOTHING),
            ("Target", summary.target or numerals.NOTHING),
            ("Began", numerals.moment(summary.began_ns)),
            ("Lasted", show_duration(max(0, summary.ended_ns - summary.began_ns) / 1e9)),
            ("Ended", summary.ending.value),
            ("Exit code", str(summary.exit_code)),
            ("Run", summary.run_id),
            ("Plan", summary.plan_hash[:12] or numerals.NOTHING),
            ("maul", summary.maul_version),
        ),
        alerts=(*alerts, *still),
    )


def tiles(summary: Summary, *, capacity: bool = True) -> tuple[Tile, ...]:
    """The run at a glance. A tile without an answer says so instead of vanishing; `capacity` where it was asked."""
    return (
        *([_capacity_tile(summary)] if capacity else []),
        _operations_tile(summary),
        _latency_tile(summary),
        _data_tile(summary),
        _faults_tile(summary),
        _generator_tile(summary),
    )


def _capacity_tile(summary: Summary) -> Tile:
    capacity = summary.capacity
    if capacity is None or not capacity.levels:
        return Tile("Capacity", numerals.NOTHING, "not measured")
    if capacity.highest_good_per_s is None:
        return Tile("Capacity", "none", "no rate met the objectives", "fail")
    bad = capacity.first_bad_per_s
    says = "the wall was not reached" if bad is None else f"met the objectives; {numerals.rate(bad)} did not"
    return Tile("Capacity", numerals.rate(capacity.highest_good_per_s), says)


def _operations_tile(summary: Summary) -> Tile:
    served = [phase for phase in summary.phases if phase.kind not in AFTERMATH]
    offered = sum(phase.offered for phase in served)
    # Arrivals that our own stop cancelled were never sent: they say nothing about the target.
    offered -= sum(row.count for row in summary.errors if (row.error_class, row.outcome) == ("STOPPED", "dropped"))
    if offered <= 0:
        return Tile("Operations", "0", "nothing was sent")
    ok = sum(phase.ok for phase in served)
    return Tile("Operations", numerals.count(offered), f"{numerals.share(ok, offered)} OK, without audit and clean-up")


def longest_load_phase(summary: Summary) -> PhaseSummary | None:
    """The phase that stands for everyday load: the longest of kind load that does not look for the wall."""
    ramp = summary.capacity.phase if summary.capacity else ""
    phases = [phase for phase in summary.phases if phase.kind == "load" and phase.latency]
    steady = [phase for phase in phases if phase.name != ramp] or phases
    return max(steady, key=lambda phase: phase.duration_s, default=None)


def _latency_tile(summary: Summary) -> Tile:
    phase = longest_load_phase(summary)
    if phase is None:
        return Tile("p99 latency", numerals.NOTHING, "not measured")
    many = [row for row in phase.latency if row.latency.count >= ENOUGH_FOR_P99]
    slowest = max(many or phase.latency[:1], key=lambda row: row.latency.p99)
    says = f"{slowest.op.upper()}, the slowest of “{phase.name}”"
    return Tile("p99 latency", numerals.latency(slowest.latency.p99), says)


def _data_tile(summary: Summary) -> Tile:
    audit = summary.audit
    if audit is None:
        return Tile("Data", numerals.NOTHING, "not audited", "unknown")
    if audit.findings_total:
        return Tile(
            "Data",
            numerals.plural(audit.findings_total, "finding"),
            f"in {numerals.plural(audit.objects, 'object')}",
            "fail",
        )
    if not audit.complete:
        return Tile("Data", "incomplete", "the audit did not read everything", "unknown")
    return Tile("Data", "intact", f"{numerals.plural(audit.objects, 'object')} read back", "pass")


def _faults_tile(summary: Summary) -> Tile:
    faults = summary.faults
    if not faults:
        return Tile("Faults", "none", "nothing was hurt on purpose")
    unhealed = sum(not fault.healed for fault in faults)
    unproven = sum(not fault.proven for fault in faults)
    if unhealed:
        return Tile("Faults", f"{unhealed} unhealed", f"of {len(faults)} injected", "fail")
    if unproven:
        return Tile("Faults", f"{unproven} unproven", f"of {len(faults)} injected, all healed", "unknown")
    return Tile("Faults", f"{len(faults)} healed", "each with proven effect", "pass")


def _generator_tile(summary: Summary) -> Tile:
    generator = summary.generator
    if generator is None:
        return Tile("Generator", numerals.NOTHING, "not measured", "unknown")
    if generator.bound:
        return Tile("Generator", "was the limit", f"lag p99 {numerals.latency(generator.lag_p99_ms)}", "unknown")
    if not generator.judged:
        return Tile("Generator", "not known", "no phase with a rate came to its end", "unknown")
    return Tile("Generator", "kept up", f"{numerals.digits(generator.cpu_us_per_request)} µs CPU a request", "pass")
