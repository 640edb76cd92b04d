"""Judge: from the record of a run to its summary. A fold: it reads the run directory and nothing else.

The same record judged twice gives the same summary; a newer maul may judge an older record anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from maul import __version__
from maul.conduct.checks import Facts, run_checks
from maul.conduct.listings import parse_listings
from maul.conduct.operations import WRITING_KINDS, operations_of_kinds
from maul.core.errors import ExitCode
from maul.core.event import Edge, EventKind
from maul.core.summary import AuditSummary, Capacity, Check, Ending, FaultSummary, Summary
from maul.core.units import show_duration
from maul.core.verdict import Verdict, worst
from maul.insight import (
    LatencyBook,
    Objective,
    customers_during_faults,
    error_counts,
    find_capacity,
    generator_summary,
    phase_summaries,
)
from maul.insight.levels import GeneratorLimits
from maul.insight.phases import final_statuses
from maul.plan import Plan
from maul.record import RunReader
from maul.verify import audit, reads
from maul.verify.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Tables:
    """The record in memory, and the plan that it followed."""

    plan: Plan
    events: pa.Table
    samples: pa.Table
    book: LatencyBook
    operations: pa.Table


def judge(run: RunReader) -> Summary:
    """The whole answer of a run. Raises CampaignError when the record is not one of ours."""
    plan = Plan.model_validate_json(run.text("plan.json"))
    tables = Tables(plan, run.events(), run.samples(), LatencyBook.of(run.latency()), run.operations())
    statuses = final_statuses(tables.events)
    capacity = _capacity(tables)
    phases = phase_summaries(tables.events, tables.book, tables.operations, statuses)
    ending, ending_says = _ending(tables.events)
    facts = Facts(
        plan=plan,
        phases=phases,
        book=tables.book,
        capacity=capacity,
        audit=_audit(tables, run),
        reads=_reads(tables),
        faults=_faults(tables),
        generator=generator_summary(
            statuses, tables.book, plan.shards, capacity.levels if capacity is not None else ()
        ),
        cleaned=_details_of(tables.events, EventKind.NOTE, "cleaned"),
        ending=ending,
    )
    checks = run_checks(facts)
    verdict, exit_code = _verdict(checks, facts)
    began_ns, ended_ns = _span(tables.events)
    return Summary(
        maul_version=__version__,
        run_id=run.run_id,
        campaign=plan.campaign,
        target=plan.target,
        plan_hash=plan.hash,
        began_ns=began_ns,
        ended_ns=ended_ns,
        ending=ending,
        verdict=verdict,
        exit_code=exit_code,
        headline=_headline(verdict, checks, facts, (ended_ns - began_ns) / 1e9, ending_says),
        checks=checks,
        phases=phases,
        capacity=capacity,
        errors=error_counts(tables.operations, tables.book),
        audit=facts.audit,
        faults=facts.faults,
        generator=facts.generator,
        gaps=_gaps(tables.events),
        notes=_notes(tables.events),
    )


def _capacity(tables: Tables) -> Capacity | None:
    objectives = [
        Objective(
            name=objective.name,
            percentile=objective.percentile or 99.0,
            latency_below_ms=objective.latency_below_ms,
            errors_below=objective.errors_below,
            op=objective.op,
        )
        for objective in tables.plan.objectives
        if any(phase.levels for phase in tables.plan.phases if phase.name in objective.phases)
    ]
    limits = GeneratorLimits(cores=tables.plan.shards)
    return find_capacity(tables.events, tables.book, tables.operations, tables.samples, objectives, generator=limits)


def _audit(tables: Tables, run: RunReader) -> AuditSummary | None:
    phase = next((phase for phase in tables.plan.phases if phase.kind == "audit"), None)
    seen = operations_of_kinds(tables.plan, tables.operations, {"audit"})
    if phase is None or not len(seen):
        return None
    ledger = Ledger.from_operations(operations_of_kinds(tables.plan, tables.operations, WRITING_KINDS))
    listings = parse_listings(run.text("listings.json")) if run.has("listings.json") else ()
    return audit.judge(
        ledger,
        seen,
        list(phase.endpoints),
        tables.plan.prefix,
        listings,
        strong=tables.plan.consistency == "strong",
    )


def _reads(tables: Tables) -> reads.ReadsSummary | None:
    operations = operations_of_kinds(tables.plan, tables.operations, WRITING_KINDS)
    if not len(operations):
        return None
    endpoints = next(phase.endpoints for phase in tables.plan.phases if phase.kind != "audit")
    return reads.stale_reads(operations, list(endpoints), tables.plan.prefix)


def _faults(tables: Tables) -> list[FaultSummary]:
    customers = customers_during_faults(tables.events, tables.book, tables.operations)
    found = []
    for event in _events(tables.events, EventKind.FAULT, Edge.ENDED):
        summary = FaultSummary.model_validate(json.loads(event["details"])["summary"])
        found.append(summary.model_copy(update={"customers": customers.get(summary.name, "")}))
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


def _ending(events: pa.Table) -> tuple[Ending, str]:
    ended = _events(events, EventKind.RUN, Edge.ENDED)
    if not ended:
        return Ending.KILLED, "the record ends without an end: maul was killed"
    return Ending(json.loads(ended[-1]["details"])["ending"]), str(ended[-1]["says"])


def _span(events: pa.Table) -> tuple[int, int]:
    times = [int(row["at_ns"]) for row in events.to_pylist()]
    return (min(times), max(times)) if times else (0, 0)


def _gaps(events: pa.Table) -> list[str]:
    return [f"{row['name']}: {row['says']}" for row in _events(events, EventKind.GAP, Edge.BEGAN)]


def _notes(events: pa.Table) -> list[str]:
    rows = _events(events, EventKind.NOTE) + _events(events, EventKind.GUARD)
    return [str(row["says"]) for row in sorted(rows, key=lambda row: row["at_ns"]) if row["says"]]


def _verdict(checks: list[Check], facts: Facts) -> tuple[Verdict, int]:
    verdict = worst(check.verdict for check in checks)
    if facts.ending is not Ending.COMPLETED:
        verdict = max(verdict, Verdict.UNKNOWN)
    if any(not fault.healed for fault in facts.faults):
        return verdict, ExitCode.UNHEALED
    if facts.ending is Ending.GUARD:
        return verdict, ExitCode.GUARD
    return verdict, {
        Verdict.PASS: ExitCode.PASS,
        Verdict.UNKNOWN: ExitCode.UNKNOWN,
        Verdict.FAIL: ExitCode.FAIL,
    }[verdict]


def _headline(verdict: Verdict, checks: list[Check], facts: Facts, seconds: float, ending_says: str) -> str:
    passed = sum(check.verdict is Verdict.PASS for check in checks)
    if facts.ending is not Ending.COMPLETED:
        head = f"Not finished: {ending_says}."
    elif verdict is Verdict.PASS:
        head = f"All {len(checks)} checks passed."
    else:
        worst_checks = [check.name for check in checks if check.verdict is verdict]
        word = "failed" if verdict is Verdict.FAIL else "could not be decided"
        head = f"{', '.join(worst_checks)} {word}; {passed} of {len(checks)} checks passed."
    capacity = f" {facts.capacity.says}" if facts.capacity is not None else ""
    total = sum(phase.offered for phase in facts.phases)
    bad = sum(phase.offered - phase.ok for phase in facts.phases if phase.kind != "audit")
    return f"{head}{capacity} {total:,} operations in {show_duration(seconds)}, {bad:,} of them not ok."
