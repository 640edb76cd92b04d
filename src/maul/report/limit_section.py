"""The section of the page about the limit of one axis."""

from maul.core.summary import AxisLimit, TrialSummary
from maul.core.units import show_duration
from maul.insight.limits import show_limit
from maul.report import numerals
from maul.report.curve import curve_facts
from maul.report.limit_chart import limit_key
from maul.report.view import Body, Cell, Chip, Column, Section, Table, Tile

CHIPS = {
    "good": Chip("good", "pass", "✓"),
    "bad": Chip("bad", "fail", "✕"),
    "void": Chip("void", "unknown", "○"),
    "recovered": Chip("recovered", "plain"),
    "not-recovered": Chip("not recovered", "fail", "✕"),
    "cut-short": Chip("cut short", "unknown", "○"),
    "frozen": Chip("frozen", "unknown", "○"),
}
WHY = {
    "found": "an interval as narrow as asked for",
    "ceiling": "the highest rate that may be asked was held",
    "floor": "not even the lowest rate was held",
    "generator": "the load generator was the limit",
    "not-recovered": "the target did not recover by itself",
    "out-of-time": "the time of the search was used up",
    "frozen": "answers suddenly ceased to come",
    "stopped": "the run was stopped",
}
COLUMNS = (
    Column("Move"),
    Column("began", True),
    Column("lasted", True),
    Column("rate", True),
    Column(""),
    Column("achieved", True, "operations/s"),
    Column("p50", True, "from due, ms"),
    Column("p99", True, "from due, ms"),
    Column("not ok", True, "", "Failed, not answered, or dropped unsent, of all arrivals"),
    Column("lag p99, ms", True, "", "How late the generator sent: due to send"),
    Column("settled after", True, "", "Where the steady state begins (MSER-5); a dash: none was detected"),
    Column("limit after it"),
    Column("Why"),
)


def limit_section(limit: AxisLimit, zero_ns: int) -> Section:
    """The answer, how it came about, and every trial."""
    facts: list[tuple[str, str]] = [
        ("Held", _bound(limit, limit.lower)),
        ("Did not", _bound(limit, limit.upper)),
        ("Bounds", "confirmed by longer trials" if limit.confirmed else "not confirmed by longer trials"),
        ("Soak", limit.soak or "none was made"),
        ("After bad trials", {True: "it recovered", False: "it did not recover", None: "–"}[limit.recovered]),
        ("What stopped it", {"target": "the target", "generator": "the load generator"}.get(limit.stopped_by, "–")),
        ("Ended because", WHY[limit.why]),
    ]
    if limit.wall is not None:
        wall = limit.wall
        facts.append(("The wall", f"{', '.join(filter(None, (wall.kind, wall.subject)))}: {wall.says}"))
    facts += curve_facts(limit.knee, limit.scaling)
    rows = tuple(_row(limit, trial, zero_ns) for trial in limit.trials)
    return Section(
        limit_key(limit),
        f"Limit of {limit.axis}",
        lead=limit.says,
        facts=tuple(facts),
        tables=(Table(COLUMNS, (Body(rows),)),),
        points=tuple(limit.wall.evidence) if limit.wall else (),
        note="A trial is judged from where its answers became steady. In a void trial the generator was the "
        "bottleneck: it says nothing about the target. Dropped and unanswered arrivals count as bad and as slow.",
        charts=(limit_key(limit),),
    )


def limit_tile(limit: AxisLimit) -> Tile:
    """The answer at a glance."""
    label = f"Limit, {limit.axis}"
    if limit.lower is None:
        known = limit.upper is not None
        return Tile(label, "none" if known else numerals.NOTHING, WHY[limit.why], "fail" if known else "unknown")
    upper = "the limit lies above" if limit.upper is None else f"held; {_bound(limit, limit.upper)} did not"
    tone = {"good": "pass", "bad": "fail"}.get(limit.soak or "", "unknown")
    return Tile(label, _bound(limit, limit.lower), upper, tone if limit.why in ("found", "ceiling") else "unknown")


def _bound(limit: AxisLimit, per_s: float | None) -> str:
    return numerals.NOTHING if per_s is None else show_limit(limit, per_s)


def _row(limit: AxisLimit, trial: TrialSummary, zero_ns: int) -> tuple[Cell, ...]:
    bounds = (trial.lower_per_s, trial.upper_per_s)
    low, high = (_bound(limit, None if rate is None else rate * limit.per_operation) for rate in bounds)
    not_ok = trial.error_ratio + trial.dropped_ratio
    return (
        Cell(trial.move),
        Cell(numerals.offset(trial.began_ns, zero_ns)),
        Cell(show_duration(trial.seconds)),
        Cell(show_limit(limit, trial.rate_per_s * limit.per_operation)),
        Cell("", chip=CHIPS[trial.judged]),
        Cell(numerals.digits(trial.achieved_per_s)),
        Cell(numerals.millis(trial.p50_ms)),
        Cell(numerals.millis(trial.p99_ms)),
        Cell(numerals.ratio(not_ok), tone="bad" if not_ok else ""),
        Cell(numerals.millis(trial.lag_p99_ms)),
        Cell(numerals.NOTHING if trial.settled_s is None else f"{trial.settled_s:.1f} s"),
        Cell(f"{low} … {high}"),
        Cell(trial.why_not),
    )
