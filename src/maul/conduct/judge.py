"""Judge: from the record of a run to its summary. A fold: it reads the run directory and nothing else.

The same record judged twice gives the same summary; a newer maul may judge an older record anew.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from maul import __version__
from maul.conduct.checks import Facts, run_checks
from maul.conduct.fleet_story import fleet_summary, story_of
from maul.conduct.generator_limits import generator_limits
from maul.conduct.listings import parse_listings
from maul.conduct.mitigation_story import borne, carried_out, mitigations, signals_of, vantages_of
from maul.conduct.network_story import network_summary
from maul.conduct.operations import WRITING_KINDS, one_per_request, operations_of_kinds
from maul.conduct.record_tables import Tables
from maul.conduct.recorded import LastWords, Text, last_words_of, plan_of
from maul.core.errors import CampaignError, ExitCode
from maul.core.event import Edge, EventKind
from maul.core.summary import (
    AuditSummary,
    AxisLimit,
    Capacity,
    Check,
    Ending,
    ErrorCount,
    FaultSummary,
    PhaseSummary,
    Summary,
)
from maul.core.units import show_duration
from maul.core.verdict import Verdict, worst
from maul.faults.fault import UndoKind
from maul.insight import (
    Gauges,
    LatencyBook,
    Objective,
    customers_during_faults,
    error_counts,
    exhibits_of,
    find_capacity,
    first_access,
    generator_summary,
    limit_answers,
    phase_summaries,
    void_phases,
)
from maul.insight.limits import show_limit
from maul.insight.phases import final_statuses, last_known_ns
from maul.plan import Plan
from maul.record import RunReader
from maul.verify import audit, reads
from maul.verify.conditions import conditions
from maul.verify.ledger import Ledger


def judge(run: RunReader) -> Summary:
    """The whole answer of a run. Raises CampaignError when the record is not one of ours, or still being written."""
    if run.running:
        raise CampaignError("this run is still going", str(run.path), "judge it when it has ended")
    planned, rows, events = plan_of(run), run.operations(), run.events()
    plan = carried_out(planned, events)
    tables = Tables(plan, events, run.samples(), LatencyBook.of(run.latency()), one_per_request(rows), rows)
    tables = replace(tables, story=story_of(tables.events))
    statuses = final_statuses(tables.events)
    capacity = _capacity(tables)
    errors = _errors(tables)
    phases = phase_summaries(tables.events, tables.book, tables.operations, statuses, plan.tenant_names)
    void = _void_phases(tables, phases, errors)
    phases = [phase.model_copy(update={"void": void.get(phase.name, [])}) for phase in phases]
    words = last_words_of(run)
    end = _end(tables.events, words)
    faults = _faults(tables, words)
    signals = signals_of(run, planned, events, faults)
    records_lost = sum(int(status.get("records_lost", 0)) for status in statuses.values())
    fleet = None
    if tables.story is not None:
        timed = [phase.name for phase in plan.phases if phase.timed]
        fleet = fleet_summary(tables.story, statuses, phases, timed)
    facts = Facts(
        plan=plan,
        phases=phases,
        book=tables.book,
        capacity=capacity,
        limits=limit_answers(plan, tables.events, tables.samples),
        audit=_audit(tables, run, records_lost),
        # what ended untimely may miss writes that others have read
        reads=_reads(tables, faults, records_lost or int(end.ending in (Ending.KILLED, Ending.FAILED))),
        conditions=conditions(operations_of_kinds(plan, tables.operations, WRITING_KINDS)),
        faults=faults,
        generator=generator_summary(
            statuses,
            tables.book,
            tables.shards,
            capacity.levels if capacity is not None else (),
            open_phases=[phase.name for phase in plan.phases if phase.kind in ("warm-up", "load", "limit")],
            void_phases=list(void),
        ),
        cleaned=_details_of(tables.events, EventKind.NOTE, "cleaned"),
        ending=end.ending,
        fleet=fleet,
        network=network_summary(plan, tables.events, tables.samples),
        mitigations=mitigations(signals),
        looked_on=vantages_of(events),
    )
    checks = run_checks(facts)
    verdict, exit_code = _verdict(checks, facts, end)
    began_ns, ended_ns = _span(tables)
    return Summary(
        maul_version=__version__,
        run_id=run.run_id,
        campaign=plan.campaign,
        target=plan.target,
        plan_hash=planned.hash,
        began_ns=began_ns,
        ended_ns=ended_ns,
        ending=end.ending,
        verdict=verdict,
        exit_code=exit_code,
        headline=_headline(verdict, checks, facts, (ended_ns - began_ns) / 1e9, end.says),
        checks=checks,
        phases=phases,
        capacity=capacity,
        limits=list(facts.limits),
        errors=errors,
        exhibits=exhibits_of(
            run.exhibits(),
            [tenant.prefix for tenant in plan.tenants],
            # an audit asks for deleted keys on purpose
            {phase.name: phase.endpoints for phase in plan.phases if phase.kind not in ("audit", "clean-up")},
        ),
        audit=facts.audit,
        faults=facts.faults,
        generator=facts.generator,
        gaps=_gaps(tables.events, began_ns),
        notes=_notes(tables.events),
        fleet=fleet,
        network=facts.network,
        mitigations=list(facts.mitigations),
        borne=list(borne(signals)),
        first_access=first_access(
            tables.operations, [phase.name for phase in plan.phases if phase.kind in ("warm-up", "load")]
        ),
    )


def _capacity(tables: Tables) -> Capacity | None:
    objectives = [
        Objective.of(objective)
        for objective in tables.plan.objectives
        if any(phase.levels for phase in tables.plan.phases if phase.name in objective.phases)
    ]
    limits = generator_limits(tables.plan, tables.shards)
    return find_capacity(tables.events, tables.book, tables.operations, tables.samples, objectives, generator=limits)


def _void_phases(tables: Tables, phases: Sequence[PhaseSummary], errors: Sequence[ErrorCount]) -> dict[str, list[str]]:
    """Of the phases that hold one rate; rising loads are asked level by level, closed loops go as fast as they can."""
    one_rate = {phase.name for phase in tables.plan.phases if phase.timed and not phase.levels}
    chosen = [phase for phase in phases if phase.name in one_rate]
    return void_phases(
        chosen, tables.book, Gauges(tables.samples), errors, generator_limits(tables.plan, tables.shards)
    )


def _audit(tables: Tables, run: RunReader, records_lost: int) -> AuditSummary | None:
    phase = next((phase for phase in tables.plan.phases if phase.kind == "audit"), None)
    if phase is None:
        return None
    listings = parse_listings(run.text(Text.LISTINGS)) if run.has(Text.LISTINGS) else []
    parts: list[AuditSummary] = []
    for index, tenant in enumerate(tables.plan.tenants):
        seen = tables.operations_of({"audit"}, index)
        written = tables.operations_of(WRITING_KINDS, index, whole=True)
        if not len(seen):
            continue
        parts.append(
            audit.judge(
                Ledger.from_operations(written, tables.unheard(index)),
                seen,
                list(phase.endpoints),
                tenant.prefix,
                [listing for listing in listings if listing.tenant == index],
                strong=tables.plan.consistency == "strong",
                records_lost=records_lost,
            )
        )
    if not parts:
        return None
    return audit.together(parts, tables.plan.tenant_names)


def _reads(tables: Tables, faults: Sequence[FaultSummary], records_lost: int) -> reads.ReadsSummary | None:
    plan = tables.plan
    endpoints = next(phase.endpoints for phase in plan.phases if phase.kind != "audit")
    total: reads.ReadsSummary | None = None
    for index, tenant in enumerate(plan.tenants):
        operations = tables.operations_of(WRITING_KINDS, index, whole=True)
        if not len(operations):
            continue
        part = reads.stale_reads(
            operations,
            list(endpoints),
            tenant.prefix,
            excused_ns=_after_restarts(plan, faults),
            records_lost=records_lost,
            unheard=tables.unheard(index),
        )
        total = part if total is None else total + part
    return total


def _after_restarts(plan: Plan, faults: Sequence[FaultSummary]) -> list[tuple[int, int]]:
    """The windows in which the site does not promise that acknowledged objects can be read."""
    hold_ns = {fault.name: int(fault.hold_s * 1e9) for fault in plan.faults}
    gap_ns = plan.restart_gap_ms * 1_000_000
    return [
        (min(fault.began_ns + hold_ns.get(fault.name, 0), fault.healed_ns), fault.healed_ns + gap_ns)
        for fault in faults
        if gap_ns and fault.healed_ns is not None and fault.undo.startswith(UndoKind.RESTART)
    ]


def _faults(tables: Tables, words: LastWords | None) -> list[FaultSummary]:
    customers = customers_during_faults(tables.events, tables.book, tables.operations)
    found = [
        FaultSummary.model_validate(json.loads(event["details"])["summary"])
        for event in _events(tables.events, EventKind.FAULT, Edge.ENDED)
    ]
    ended = {fault.name for fault in found}
    found += [fault for fault in (words.faults if words is not None else ()) if fault.name not in ended]
    found = [fault.model_copy(update={"customers": customers.get(fault.name, "")}) for fault in found]
    ended = {fault.name for fault in found}
    began = _events(tables.events, EventKind.FAULT, Edge.BEGAN)
    # Began and never ended: the run died while something was hurt.
    return found + [_unended(event, tables.plan) for event in began if event["name"] not in ended]


def _unended(event: Mapping[str, Any], plan: Plan) -> FaultSummary:
    target = next((fault.service for fault in plan.faults if fault.name == event["name"]), "")
    return FaultSummary(
        name=event["name"],
        target=target,
        began_ns=event["at_ns"],
        healed_ns=None,
        proven=False,
        healed=False,
        effect=event["says"],
        undo="the record ends while it was hurt; the dead-man helper heals it: see maul heal",
    )


def _events(events: pa.Table, kind: EventKind, edge: Edge | None = None) -> list[dict[str, Any]]:
    wanted = {"kind": str(kind)} if edge is None else {"kind": str(kind), "edge": str(edge)}
    return [row for row in events.to_pylist() if all(row[name] == value for name, value in wanted.items())]


def _details_of(events: pa.Table, kind: EventKind, name: str) -> dict[str, Any] | None:
    for row in reversed(_events(events, kind)):
        if row["name"] == name:
            details: dict[str, Any] = json.loads(row["details"])
            return {**details, "says": row["says"]}
    return None


def _errors(tables: Tables) -> list[ErrorCount]:
    """Without the audits: what they did not find is the ledger's business, and it expects deleted keys to be gone."""
    audits = {phase.name for phase in tables.plan.phases if phase.kind == "audit"}
    return [row for row in error_counts(tables.operations, tables.book) if row.phase not in audits]


@dataclass(frozen=True, slots=True)
class _End:
    """How it ended, why, and the exit code of what ended it."""

    ending: Ending
    says: str
    exit_code: int


def _end(events: pa.Table, words: LastWords | None) -> _End:
    if words is not None:
        return _End(words.ending, words.says, words.exit_code)
    ended = _events(events, EventKind.RUN, Edge.ENDED)
    if not ended:
        return _End(Ending.KILLED, "the record ends without an end: maul was killed", ExitCode.UNKNOWN)
    details = json.loads(ended[-1]["details"])
    exit_code = int(details.get("exit_code", ExitCode.UNKNOWN))
    return _End(Ending(details["ending"]), str(ended[-1]["says"]), exit_code)


def _span(tables: Tables) -> tuple[int, int]:
    """From the first event to the last; of a run without an end, to the last thing known of it."""
    times = [int(row["at_ns"]) for row in tables.events.to_pylist()]
    if not times:
        return 0, 0
    if _events(tables.events, EventKind.RUN, Edge.ENDED):
        return min(times), max(times)
    return min(times), last_known_ns(tables.events, tables.book, tables.operations)


def _gaps(events: pa.Table, began_ns: int) -> list[str]:
    """Each outage of a sensor, with its time in seconds of the run."""
    gaps: list[str] = []
    ends = [(row["name"], row["at_ns"]) for row in _events(events, EventKind.GAP, Edge.ENDED)]
    for row in _events(events, EventKind.GAP, Edge.BEGAN):
        end_ns = min((at_ns for name, at_ns in ends if name == row["name"] and at_ns >= row["at_ns"]), default=None)
        until = "to the end" if end_ns is None else f"to {(end_ns - began_ns) / 1e9:.0f} s"
        gaps.append(f"{row['name']}, from {(row['at_ns'] - began_ns) / 1e9:.0f} s {until}: {row['says']}")
    return gaps


def _notes(events: pa.Table) -> list[str]:
    rows = _events(events, EventKind.NOTE) + _events(events, EventKind.GUARD)
    return [str(row["says"]) for row in sorted(rows, key=lambda row: row["at_ns"]) if row["says"]]


def _verdict(checks: list[Check], facts: Facts, end: _End) -> tuple[Verdict, int]:
    """The worst check, and the exit code: who must act first."""
    verdict = worst(check.verdict for check in checks)
    if end.ending is not Ending.COMPLETED:
        verdict = max(verdict, Verdict.UNKNOWN)
    failed_with = end.exit_code if end.ending is Ending.FAILED else None
    if any(not fault.healed for fault in facts.faults) or failed_with == ExitCode.UNHEALED:
        return verdict, ExitCode.UNHEALED
    if end.ending is Ending.GUARD:
        return verdict, ExitCode.GUARD
    if failed_with is not None and verdict is not Verdict.FAIL:
        return verdict, failed_with
    return verdict, {
        Verdict.PASS: ExitCode.PASS,
        Verdict.UNKNOWN: ExitCode.UNKNOWN,
        Verdict.FAIL: ExitCode.FAIL,
    }[verdict]


def _headline(verdict: Verdict, checks: list[Check], facts: Facts, seconds: float, ending_says: str) -> str:
    passed = sum(check.verdict is Verdict.PASS for check in checks)
    if facts.ending is not Ending.COMPLETED:
        why = " ".join(ending_says.split()).rstrip(".")
        head = f"Not finished: {why}."
    elif verdict is Verdict.PASS:
        head = f"All {len(checks)} checks passed."
    else:
        names = dict.fromkeys(check.name for check in checks if check.verdict is verdict)
        word = "failed" if verdict is Verdict.FAIL else "could not be decided"
        head = f"{', '.join(names)} {word}; {passed} of {len(checks)} checks passed."
    return " ".join(
        [
            head,
            *_limit_words(facts.capacity),
            *_search_words(facts.limits),
            *_fault_words(facts.faults),
            _size_words(facts, seconds),
        ]
    )


def _limit_words(capacity: Capacity | None) -> list[str]:
    if capacity is None or capacity.highest_good_per_s is None:
        return []
    words = f"It held {capacity.highest_good_per_s:,.0f} operations per second"
    if capacity.first_bad_per_s is None and capacity.wall is not None:
        return [f"{words}; beyond that the load generator was the limit."]
    if capacity.first_bad_per_s is None:
        return [f"{words}, the most that was asked."]
    wall = f" ({capacity.wall.kind} was the wall)" if capacity.wall and capacity.wall.kind != "none" else ""
    return [f"{words} and gave way at {capacity.first_bad_per_s:,.0f}{wall}."]


def _search_words(limits: Sequence[AxisLimit]) -> list[str]:
    words: list[str] = []
    for limit in limits:
        low, high = (None if rate is None else show_limit(limit, rate) for rate in (limit.lower, limit.upper))
        if low is not None:
            words.append(f"The limit of {limit.axis} is {low} to {high}." if high else f"It held {low}.")
    return words


def _fault_words(faults: Sequence[FaultSummary]) -> list[str]:
    proven = [fault for fault in faults if fault.proven]
    if not proven:
        return []
    healed = sum(fault.healed for fault in proven)
    return [f"{len(proven)} fault{'s' * (len(proven) > 1)} proven, {healed} healed."]


def _size_words(facts: Facts, seconds: float) -> str:
    total = sum(phase.ok + phase.fail + phase.unknown for phase in facts.phases)
    return f"{total:,} operations in {show_duration(seconds)}."
