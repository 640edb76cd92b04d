"""The checks: each a question asked of the facts of a run. Doubt is UNKNOWN, never PASS."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maul.conduct.mitigation_words import UNKNOWN, VantageWords
from maul.core.fleet_summary import FleetSummary
from maul.core.histogram import LatencyKind
from maul.core.mitigation_summary import MitigationSummary
from maul.core.network_summary import LinkSummary, NetworkSummary
from maul.core.operation import Op, Outcome
from maul.core.summary import (
    AuditSummary,
    AxisLimit,
    Capacity,
    Check,
    Ending,
    FaultSummary,
    GeneratorSummary,
    PhaseSummary,
)
from maul.core.units import show_bitrate, show_duration
from maul.core.verdict import Verdict
from maul.guard.mitigation.causes import Family
from maul.insight import LatencyBook, Select
from maul.insight.latency import percentile_ms
from maul.plan import ObjectivePlan, Plan
from maul.plan.search import Judged, Why
from maul.verify import audit, reads
from maul.verify.conditions import CONDITIONAL, ConditionsSummary

OVER_CAP_S = 2.0
"""A link may be above its cap for the time that the guard needs to see it twice."""
OPERATIONS_MIN = 50
"""Fewer operations than this decide nothing about an objective."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the folds found."""

    plan: Plan
    phases: Sequence[PhaseSummary]
    book: LatencyBook
    capacity: Capacity | None
    limits: Sequence[AxisLimit]
    audit: AuditSummary | None
    reads: reads.ReadsSummary | None
    conditions: ConditionsSummary
    faults: Sequence[FaultSummary]
    generator: GeneratorSummary | None
    cleaned: Mapping[str, Any] | None
    ending: Ending
    fleet: FleetSummary | None = None
    network: NetworkSummary | None = None
    mitigations: Sequence[MitigationSummary] = ()
    looked_on: VantageWords | None = None
    """Who looked out for somebody who stops the traffic; None: nobody did."""


def objectives(facts: Facts) -> list[Check]:
    """Each objective in each of its phases that holds one load; rising loads are judged by their capacity."""
    rising = {phase.name for phase in facts.plan.phases if phase.levels}
    ran = {phase.name: phase for phase in facts.phases}
    return [
        _objective(objective, ran.get(name), facts.book, name)
        for objective in facts.plan.objectives
        for name in objective.phases
        if name not in rising
    ]


def _objective(objective: ObjectivePlan, phase: PhaseSummary | None, book: LatencyBook, name: str) -> Check:
    if phase is None:
        return Check(name=objective.name, verdict=Verdict.UNKNOWN, says=f"phase {name} did not run", phase=name)
    op = Op[objective.op.upper()] if objective.op is not None else None
    select = Select(phase=name, op=op, tenant=objective.tenant)
    counts = book.counts(select)
    offered, bad = sum(counts.values()), sum(counts.values()) - counts[Outcome.OK]
    if offered < OPERATIONS_MIN:
        what = f"{objective.op} operations" if objective.op is not None else "operations"
        says = f"{offered} {what} are too few to decide ({OPERATIONS_MIN} are needed)"
        return Check(name=objective.name, verdict=Verdict.UNKNOWN, says=says, phase=name)
    words: list[str] = []
    kept = True
    if objective.errors_below is not None:
        ratio = bad / offered
        kept &= ratio < objective.errors_below
        words.append(
            f"{bad:,} of {offered:,} operations not ok ({ratio:.3%}; below {objective.errors_below:.3%} promised)"
        )
    if objective.latency_below_ms is not None and objective.percentile is not None:
        histogram = book.merged(LatencyKind.LATENCY, select)
        if not histogram.count:
            return Check(name=objective.name, verdict=Verdict.UNKNOWN, says="no operation was answered", phase=name)
        seen_ms = percentile_ms(histogram, objective.percentile)
        kept &= seen_ms < objective.latency_below_ms
        words.append(
            f"p{objective.percentile:g} of {objective.op or 'all operations'} {seen_ms:,.1f} ms "
            f"(below {objective.latency_below_ms:,.0f} ms promised)"
        )
    if not kept and phase.void:
        says = f"{'; '.join(words)}; void, so not blamed on the target: {'; '.join(phase.void)}"
        return Check(name=objective.name, verdict=Verdict.UNKNOWN, says=says, phase=name)
    return Check(name=objective.name, verdict=Verdict.PASS if kept else Verdict.FAIL, says="; ".join(words), phase=name)


def limit_found(facts: Facts) -> list[Check]:
    """A rising load was there to find the limit: was it found?"""
    if not any(phase.levels for phase in facts.plan.phases):
        return []
    capacity = facts.capacity
    if capacity is None:
        return [Check(name="limit-found", verdict=Verdict.UNKNOWN, says="the rising load did not run")]
    found = capacity.highest_good_per_s is not None and capacity.first_bad_per_s is not None
    verdict = Verdict.PASS if found else Verdict.UNKNOWN
    return [Check(name="limit-found", verdict=verdict, says=capacity.says, phase=capacity.phase)]


def limit(facts: Facts) -> list[Check]:
    """Was the limit of every axis found by `maul limit`, and did the soak below it hold?"""
    found = {one.phase: one for one in facts.limits}
    return [_limit_check(phase.name, found.get(phase.name)) for phase in facts.plan.phases if phase.search is not None]


def _limit_check(phase: str, found: AxisLimit | None) -> Check:
    if found is None:
        return Check(name="limit", verdict=Verdict.UNKNOWN, says="the search did not begin", phase=phase)
    verdict = Verdict.UNKNOWN
    if found.why == Why.FLOOR or (found.soak == Judged.BAD and found.why not in (Why.STOPPED, Why.FROZEN)):
        verdict = Verdict.FAIL
    elif found.why == Why.FOUND and found.soak != Judged.VOID and found.recovered is not False:
        verdict = Verdict.PASS
    return Check(name="limit", verdict=verdict, says=found.says, phase=phase)


def durability(facts: Facts) -> list[Check]:
    """Is every acknowledged object still there, whole and current, through every gateway?"""
    if facts.audit is None:
        return [Check(name="durability", verdict=Verdict.UNKNOWN, says="no audit was made")]
    phase = next((phase.name for phase in facts.plan.phases if phase.kind == "audit"), "")
    return [audit.check(facts.audit).model_copy(update={"name": "durability", "phase": phase})]


def reads_true(facts: Facts) -> list[Check]:
    """Did any read during the load return what was never written, or the past?"""
    if facts.reads is None:
        return [Check(name="reads-true", verdict=Verdict.UNKNOWN, says="nothing was read")]
    found = reads.check(facts.reads, strong=facts.plan.consistency == "strong")
    return [found.model_copy(update={"name": "reads-true"})]


def conditions_kept(facts: Facts) -> list[Check]:
    """Did the target heed every condition (If-Match, If-None-Match)?"""
    names = {op.name.lower() for op in CONDITIONAL}
    passes = [one for phase in facts.plan.phases for one in phase.passes]
    if not any(entry.op in names for one in passes for entry in one.engine.mix):
        return []
    return [facts.conditions.check().model_copy(update={"name": "conditions-kept"})]


def faults_proven(facts: Facts) -> list[Check]:
    """Did every fault that was asked for really take effect?"""
    if not facts.plan.faults:
        return []
    seen = {fault.name: fault for fault in facts.faults}
    missing = [plan.name for plan in facts.plan.faults if plan.name not in seen or not seen[plan.name].proven]
    if missing:
        why = "; ".join(f"{name}: {seen[name].effect if name in seen else 'never began'}" for name in missing)
        return [Check(name="faults-proven", verdict=Verdict.UNKNOWN, says=f"without proven effect: {why}")]
    says = "; ".join(f"{fault.name}: {fault.effect}" for fault in facts.faults)
    return [Check(name="faults-proven", verdict=Verdict.PASS, says=says)]


def healed(facts: Facts) -> list[Check]:
    """Is everything that was hurt as it was found?"""
    if not facts.plan.faults:
        return []
    left = [fault for fault in facts.faults if not fault.healed]
    if left:
        says = "; ".join(f"{fault.name} on {fault.target}: {fault.undo}" for fault in left)
        return [Check(name="healed", verdict=Verdict.FAIL, says=f"not healed: {says}; run maul heal")]
    if facts.ending is Ending.KILLED and len(facts.faults) < len(facts.plan.faults):
        says = "maul was killed; its last moments, in which it may have hurt something, are not in the record"
        return [Check(name="healed", verdict=Verdict.UNKNOWN, says=f"{says}: see maul heal")]
    says = "; ".join(f"{fault.name}: {fault.undo}" for fault in facts.faults) or "nothing was hurt"
    return [Check(name="healed", verdict=Verdict.PASS, says=says)]


def map_true(facts: Facts) -> list[Check]:
    """Did the links carry each rack's trickle where the map of the network says?"""
    network = facts.network
    if network is None or not any(phase.kind == "trickle" for phase in facts.plan.phases):
        return []
    if network.trickle_verdict is None:
        return [Check(name="map-true", verdict=Verdict.UNKNOWN, says="no trickle was sent to its end")]
    return [Check(name="map-true", verdict=network.trickle_verdict, says=network.trickle_says)]


def links_kept(facts: Facts) -> list[Check]:
    """Did every shared link stay below its cap and throw nothing away, and did no customer's canary feel us?"""
    network = facts.network
    if network is None:
        return []
    shared = [link for link in network.links if link.shared]
    broken = [f"{link.name} {' and '.join(faults)}" for link in shared if (faults := _link_faults(link))]
    broken += [f"{one.name}: {one.harmed[0]}" for one in network.canaries if one.harmed]
    if broken:
        return [Check(name="links-kept", verdict=Verdict.FAIL, says="; ".join(broken))]
    dim = [link.name for link in shared if link.unwatched or link.seen_max_bps is None or link.discards is None]
    dim += [f"canary {one.name}" for one in network.canaries if one.p99_ms is None]
    if dim or network.frozen_s:
        blind = [f"the guard was blind for {network.frozen_s:.0f} s"] if network.frozen_s else []
        says = "; ".join([*blind, *([f"nothing, or not all, was told of {', '.join(dim)}"] if dim else [])])
        return [Check(name="links-kept", verdict=Verdict.UNKNOWN, says=says)]
    return [Check(name="links-kept", verdict=Verdict.PASS, says=network.says)]


def _link_faults(link: LinkSummary) -> list[str]:
    faults = []
    if link.over_cap_s > OVER_CAP_S:
        faults.append(
            f"was above its cap for {link.over_cap_s:.0f} s, with {show_bitrate(link.seen_max_bps or 0.0)} at most"
        )
    if (link.discards or 0.0) >= 1:
        faults.append(f"threw away {link.discards:,.0f} frames")
    return faults


def traffic_kept(facts: Facts) -> list[Check]:
    """Did the traffic flow to the end, or was it stopped: by somebody upstream, by the network, by the target?"""
    if facts.looked_on is None:
        return []
    stops = facts.mitigations
    if stops:
        doubtful = all(one.family in (UNKNOWN, Family.GENERATOR) for one in stops)
        verdict = Verdict.UNKNOWN if doubtful else Verdict.FAIL
        return [Check(name="traffic-kept", verdict=verdict, says=" ".join(_stop_words(one) for one in stops))]
    if facts.ending is Ending.KILLED:
        return [Check(name="traffic-kept", verdict=Verdict.UNKNOWN, says="maul was killed while it looked on")]
    points = facts.looked_on.points
    seen = ", ".join(f"{kind} ({len(names)})" for kind, names in points.items()) or "the load alone"
    return [
        Check(name="traffic-kept", verdict=Verdict.PASS, says=f"nobody stopped it, as far as was seen from: {seen}")
    ]


def _stop_words(one: MitigationSummary) -> str:
    """The sentence of the card: what it was, for how long."""
    lasted = ""
    if one.hold_s is not None:
        lasted = f" It lasted {show_duration(one.hold_s)}."
    elif one.hold_at_least_s is not None:
        lasted = f" It was not over after {show_duration(one.hold_at_least_s)}."
    return f"{one.says.rstrip('.')}.{lasted}"


def generator_honest(facts: Facts) -> list[Check]:
    """Do the numbers speak of the target, not of us?"""
    if facts.generator is None:
        return [Check(name="generator-honest", verdict=Verdict.UNKNOWN, says="no load was generated")]
    generator = facts.generator
    doubtful = generator.bound or not generator.judged or generator.records_lost > 0
    says = generator.says
    if generator.records_lost:
        says += f"; {generator.records_lost:,} records were lost"
    verdict = Verdict.UNKNOWN if doubtful else Verdict.PASS
    if facts.fleet is not None:
        verdict, fleet_says = _fleet_honest(facts.fleet, verdict)
        says = f"{says.rstrip('.')}; {fleet_says}"
    return [Check(name="generator-honest", verdict=verdict, says=says)]


def _fleet_honest(fleet: FleetSummary, verdict: Verdict) -> tuple[Verdict, str]:
    """Agents that began together and of which none was lost, or whose losses others made up for, are one generator."""
    if fleet.wrong:
        return Verdict.FAIL, "; ".join([*fleet.wrong, *fleet.doubts])
    if fleet.doubts:
        return max(verdict, Verdict.UNKNOWN), "; ".join(fleet.doubts)
    return verdict, fleet.says


def cleaned(facts: Facts) -> list[Check]:
    """Is everything that we wrote gone again, and is nothing else?"""
    if not any(phase.kind == "clean-up" for phase in facts.plan.phases):
        return []
    if facts.cleaned is None:
        return [Check(name="cleaned", verdict=Verdict.UNKNOWN, says="no clean-up was made")]
    verdict = Verdict.FAIL if facts.cleaned["left"] else Verdict.PASS
    if not facts.cleaned.get("whole", True):
        verdict = max(verdict, Verdict.UNKNOWN)
    return [Check(name="cleaned", verdict=verdict, says=str(facts.cleaned["says"]))]


CHECKS: dict[str, Callable[[Facts], list[Check]]] = {
    "objectives": objectives,
    "limit-found": limit_found,
    "limit": limit,
    "durability": durability,
    "reads-true": reads_true,
    "conditions-kept": conditions_kept,
    "faults-proven": faults_proven,
    "healed": healed,
    "map-true": map_true,
    "links-kept": links_kept,
    "traffic-kept": traffic_kept,
    "generator-honest": generator_honest,
    "cleaned": cleaned,
}
"""Every check by the name that a campaign's `checks` uses."""


def run_checks(facts: Facts) -> list[Check]:
    """The checks that the plan asks for, in the order above."""
    return [check for name in CHECKS if name in facts.plan.checks for check in CHECKS[name](facts)]
