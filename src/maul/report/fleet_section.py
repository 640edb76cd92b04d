"""The section on the fleet: every agent, what was lost, how together they began."""

from maul.core.fleet_summary import AgentSummary, FleetSummary, LossSummary
from maul.report import numerals
from maul.report.view import Body, Cell, Chip, Column, Section, Table

AGENTS_SHOWN_MAX = 200

AGENT_COLUMNS = (
    Column("Agent"),
    Column("host"),
    Column("share", True, "", "Of the load, as planned"),
    Column("ceiling", True, "", "Requests per second that it can make by its own calibration"),
    Column("sent", True, "operations"),
    Column("not ok", True, "operations"),
    Column("late", True, "operations", "Sent later than it was due"),
    Column("dropped", True, "operations", "Never sent: it would have timed out while waiting its turn"),
    Column("withheld", True, "operations", "Left out because a guard cut this agent"),
    Column("clock, ms", True, "", "Its clock against the conductor's, and how wrong that may be"),
    Column("start, ms", True, "", "When it began, after the instant that was asked for"),
    Column("CPU, s", True),
    Column("Lost"),
)
LOSS_COLUMNS = (
    Column("Agent"),
    Column("phase"),
    Column("last heard", True),
    Column("until", True),
    Column("share", True, "", "Of the load, that it sent"),
    Column("not sent", True, "", "Arrivals that were due meanwhile, about"),
    Column("What became of its part"),
)


def fleet_section(fleet: FleetSummary | None, zero_ns: int) -> Section | None:
    """None where one process made the load by itself."""
    if fleet is None:
        return None
    shown = fleet.agents[:AGENTS_SHOWN_MAX]
    agents = Table(AGENT_COLUMNS, (Body(tuple(_agent_row(agent, zero_ns) for agent in shown)),))
    losses = Table(LOSS_COLUMNS, (Body(tuple(_loss_row(loss, zero_ns) for loss in fleet.losses)),))
    hidden = len(fleet.agents) - len(shown)
    return Section(
        "fleet",
        "Fleet",
        lead=f"{fleet.says[:1].upper()}{fleet.says[1:]}.",
        tone="fail" if fleet.wrong else "unknown" if fleet.doubts else "",
        facts=fleet_facts(fleet),
        tables=(agents, *([losses] if fleet.losses else [])),
        points=(
            *fleet.wrong,
            *fleet.doubts,
            *(f"{name} was left out before the start: {why}" for name, why in fleet.left_out.items()),
            *([f"{hidden:,} more agents are in summary.json"] if hidden else []),
        ),
        note="Times of all agents are told on the conductor's clock. Where two agents wrote one key, the audit takes "
        "their operations as long as their clocks may be wrong.",
    )


def fleet_facts(fleet: FleetSummary) -> tuple[tuple[str, str], ...]:
    """The fleet as a whole: name and value."""
    together = "not measured"
    if fleet.skew_ms is not None:
        together = f"within {numerals.millis(fleet.skew_ms)} ms (± {numerals.millis(fleet.skew_error_ms)} ms)"
    drill = fleet.drill.says if fleet.drill is not None else "not rehearsed: no load was ramped"
    kept = {"redistribute": "others take over", "hold": "its part is not sent"}
    return (
        ("Agents", numerals.count(len(fleet.agents))),
        ("They began", together),
        ("Their clocks are right to", f"{numerals.millis(fleet.clock_error_ms)} ms"),
        ("When one is lost", kept.get(fleet.on_loss, fleet.on_loss)),
        ("Kill switch", drill.removeprefix("kill switch drill: ")),
    )


def _agent_row(agent: AgentSummary, zero_ns: int) -> tuple[Cell, ...]:
    lost = Cell("")
    if agent.lost_ns is not None:
        chip = Chip(f"at {numerals.offset(agent.lost_ns, zero_ns)}", "fail", "✕")
        lost = Cell("", chip=chip, hint=agent.lost_why)
    skew = numerals.NOTHING if agent.start_skew_ms is None else f"{agent.start_skew_ms:+.2f}"
    ceiling = numerals.NOTHING if agent.ceiling_per_s is None else numerals.rate(agent.ceiling_per_s)
    return (
        Cell(agent.name),
        Cell(agent.host or "this machine"),
        Cell(numerals.ratio(agent.share)),
        Cell(ceiling),
        Cell(numerals.count(agent.sent)),
        Cell(numerals.count(agent.bad)),
        Cell(numerals.count(agent.late)),
        Cell(numerals.count(agent.dropped), tone="bad" if agent.dropped else ""),
        Cell(numerals.count(agent.withheld)),
        Cell(f"{agent.clock_offset_ms:+.2f} ± {agent.clock_error_ms:.2f}"),
        Cell(skew),
        Cell(numerals.digits(agent.cpu_seconds)),
        lost,
    )


def _loss_row(loss: LossSummary, zero_ns: int) -> tuple[Cell, ...]:
    until = "the end" if loss.ended_ns is None else numerals.offset(loss.ended_ns, zero_ns)
    return (
        Cell(loss.agent, hint=loss.why),
        Cell(loss.phase),
        Cell(numerals.offset(loss.began_ns, zero_ns)),
        Cell(until),
        Cell(numerals.ratio(loss.share)),
        Cell(numerals.count(loss.not_sent), tone="bad" if loss.not_sent and not loss.made_up else ""),
        Cell(loss.says),
    )
