"""What the record says of every time that traffic was stopped: the summaries of `Summary.mitigations`. A fold.

The seconds of the record are classified again, with the terms of the record: a newer maul may know better. What load
was borne and what was not is worked out from the same seconds, and narrowed by what earlier runs had learnt when this
one began (`earlier-brackets.json`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from maul.conduct.earlier_runs import from_text
from maul.conduct.mitigation_words import (
    FROZEN,
    GIVEN_UP,
    RECOVERED,
    RESUMED,
    SUSPECTED,
    UNKNOWN,
    VANTAGE,
    VERDICT,
    VantageWords,
    VerdictWords,
)
from maul.conduct.recorded import Text
from maul.core.event import EventKind
from maul.core.mitigation_summary import BracketSummary, MitigationSummary
from maul.core.summary import FaultSummary
from maul.guard.mitigation.causes import Family
from maul.guard.mitigation.classify import classify
from maul.guard.mitigation.customers import sentences, work_of
from maul.guard.mitigation.fingerprint import brackets, detect_s, doubt, narrow
from maul.guard.mitigation.loads import amounts_of
from maul.guard.mitigation.signals import Second
from maul.guard.mitigation.signals_text import from_lines
from maul.guard.mitigation.ticket import TicketFacts, ticket
from maul.plan import PhasePlan, Plan
from maul.plan.resuming import RESUMED as SUFFIX
from maul.record import RunReader

HEALING_NS = 10_000_000_000
"""What is told so soon after a fault of our own was healed tells of that fault."""
COUNTED = frozenset({Family.PROTECTION, UNKNOWN})
"""Whose thresholds are looked for: what breaks by itself has none."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What the folds read. `seconds` in order of time; `earlier`: brackets of earlier runs at the same target."""

    plan: Plan
    events: pa.Table
    seconds: Sequence[Second]
    earlier: Sequence[BracketSummary] = ()
    faults: Sequence[FaultSummary] = ()


@dataclass(frozen=True, slots=True)
class _Told:
    """One event."""

    at_ns: int
    name: str
    says: str
    details: Mapping[str, Any]


@dataclass(slots=True)
class _Stop:
    """One time that traffic was stopped: its first event and those that followed, by name, the newest last."""

    told: dict[str, list[_Told]]
    since_ns: int
    """When the load before it began, or went on."""

    def last(self, name: str) -> _Told | None:
        found = self.told.get(name)
        return found[-1] if found else None

    def at(self, name: str) -> int | None:
        found = self.last(name)
        return found.at_ns if found is not None else None


def vantages_of(events: pa.Table) -> VantageWords | None:
    """Who looked on; None where nobody did: an older record."""
    found = next((one for one in _told(events) if one.name == VANTAGE), None)
    return VantageWords.model_validate(found.details) if found is not None else None


def mitigations(signals: Signals) -> list[MitigationSummary]:
    """Every time, in order. What was only told, and what our own faults did, is none."""
    words = vantages_of(signals.events)
    if words is None:
        return []
    found: list[MitigationSummary] = []
    for stop in _stops(_told(signals.events)):
        summary = _summary(stop, signals, words)
        if stop.last(FROZEN) is not None or (summary.family == Family.PROTECTION and not _ours(summary, signals)):
            found.append(summary)
    return found


def borne(signals: Signals) -> tuple[BracketSummary, ...]:
    """Of a run whose traffic nobody stopped: the most of each dimension that was survived."""
    words = vantages_of(signals.events)
    if words is None or any(True for _ in _stops(_told(signals.events))):
        return ()
    return brackets(amounts_of(signals.seconds, tls=words.tls), None)


def signals_of(run: RunReader, plan: Plan, events: pa.Table, faults: Sequence[FaultSummary]) -> Signals:
    """From a record. Of one from before there was a vigil, nothing."""
    seconds = tuple(from_lines(run.text(Text.SIGNALS).splitlines())) if run.has(Text.SIGNALS) else ()
    earlier = from_text(run.text(Text.EARLIER)) if run.has(Text.EARLIER) else ()
    return Signals(plan, events, seconds, earlier, faults)


def carried_out(plan: Plan, events: pa.Table) -> Plan:
    """The plan with the steady pieces that were sent after a stop, behind the phases that they are pieces of."""
    pieces = {
        str(one.details["of"]): str(one.details["phase"])
        for one in _told(events)
        if one.name == RESUMED and str(one.details.get("phase", "")).endswith(SUFFIX)
    }
    phases: list[PhasePlan] = []
    for phase in plan.phases:
        phases.append(phase)
        if phase.name in pieces:
            phases.append(phase.model_copy(update={"name": pieces[phase.name], "levels": (), "until": None}))
    return plan.model_copy(update={"phases": tuple(phases)}) if pieces else plan


def _told(events: pa.Table) -> list[_Told]:
    return [
        _Told(int(row["at_ns"]), str(row["name"]), str(row["says"]), json.loads(row["details"]))
        for row in events.to_pylist()
        if row["kind"] == EventKind.MITIGATION
    ]


def _stops(told: Sequence[_Told]) -> Iterator[_Stop]:
    """Each freeze with what came of it; and what was told without one."""
    since_ns, current = 0, _Stop({}, 0)
    for one in told:
        begins = one.name in (SUSPECTED, FROZEN) and any(name in current.told for name in (FROZEN, VERDICT))
        if begins and not (one.name == FROZEN and FROZEN not in current.told):
            yield current
            current = _Stop({}, since_ns)
        if one.name not in (VANTAGE,):
            current.told.setdefault(one.name, []).append(one)
        if one.name == RESUMED:
            since_ns = one.at_ns
    if FROZEN in current.told or VERDICT in current.told:
        yield current


def _summary(stop: _Stop, signals: Signals, words: VantageWords) -> MitigationSummary:
    verdict, frozen, recovered = stop.last(VERDICT), stop.last(FROZEN), stop.last(RECOVERED)
    given_up, resumed = stop.last(GIVEN_UP), stop.last(RESUMED)
    what, says = _judged(stop, signals, words)
    first = frozen or verdict
    onset_ns = what.onset_ns or (int(frozen.details["onset_ns"]) if frozen is not None else 0)
    onset_ns = onset_ns or (first.at_ns if first is not None else 0)
    load = [one for one in signals.seconds if stop.since_ns < one.at_ns <= onset_ns]
    amounts = amounts_of(load, tls=words.tls, requests_each=_requests_each(signals.plan, frozen))
    counts = what.family in COUNTED
    own = brackets(amounts, onset_ns if counts else None)
    known, doubts = narrow(signals.earlier, own) if counts and signals.earlier else ((), ())
    before = next((one for one in signals.earlier if one.dropped_at is not None and one.survived is not None), None)
    details = recovered.details if recovered is not None else {}
    summary = MitigationSummary(
        cause=what.cause,
        family=what.family,
        says=f"{says}. {doubt(doubts)}" if doubts else says,
        suspects=list(what.suspects),
        scope=list(what.scope),
        direction=what.direction,
        onset_ns=onset_ns,
        suspected_ns=stop.at(SUSPECTED),
        frozen_ns=stop.at(FROZEN),
        verdict_ns=stop.at(VERDICT),
        recovered_ns=stop.at(RECOVERED),
        resumed_ns=stop.at(RESUMED),
        resumed_part=float(resumed.details["part"]) if resumed is not None else None,
        detect_s=detect_s(amounts, onset_ns, before) if counts else None,
        hold_s=details.get("hold_s"),
        hold_quantum_s=details.get("quantum_s"),
        hold_at_least_s=_at_least_s(stop, onset_ns, given_up, signals),
        brackets=list(own),
        narrowed=list(known),
        separated_by=what.separated_by,
        missing=list(what.missing),
        customers=list(sentences(known or own, work_of(signals.plan), tls=words.tls)) if counts else [],
    )
    return summary.model_copy(update={"ticket": ticket(summary, _facts(signals.plan, words))})


def _judged(stop: _Stop, signals: Signals, words: VantageWords) -> tuple[VerdictWords, str]:
    """What it was: classified again, where the record allows it; else as it was told."""
    verdict, first = stop.last(VERDICT), stop.last(FROZEN) or stop.last(SUSPECTED)
    until_ns = stop.at(VERDICT) or (signals.seconds[-1].at_ns if signals.seconds else 0)
    seen = [one for one in signals.seconds if stop.since_ns < one.at_ns <= until_ns]
    if words.terms is not None and seen:
        found = classify(seen, words.terms)
        if verdict is None or not found.healthy:
            return VerdictWords.of(found), found.says
    if verdict is not None:
        return VerdictWords.model_validate(verdict.details), verdict.says
    says = first.says if first is not None else "answers ceased to come"
    return VerdictWords.unknown(), f"{says}; it ended before anybody could tell what it was"


def _at_least_s(stop: _Stop, onset_ns: int, given_up: _Told | None, signals: Signals) -> float | None:
    """Of one that was not seen to end."""
    if stop.last(RECOVERED) is not None or stop.last(FROZEN) is None:
        return None
    if given_up is not None:
        told = given_up.details.get("hold_at_least_s")
        return float(told) if told is not None else None
    last_ns = max((one.at_ns for one in signals.seconds), default=onset_ns)
    return max(0.0, (last_ns - onset_ns) / 1e9)


def _requests_each(plan: Plan, frozen: _Told | None) -> float:
    """HTTP requests of one operation of the phase that was stopped."""
    name = str(frozen.details["phase"]).removesuffix(SUFFIX) if frozen is not None else ""
    expected = next((phase.expected for phase in plan.phases if phase.name == name), None)
    return expected.requests / expected.operations if expected is not None and expected.operations else 1.0


def _ours(found: MitigationSummary, signals: Signals) -> bool:
    """Whether one of our own faults was in force, or had just been."""
    return any(
        one.began_ns <= found.onset_ns and (one.healed_ns is None or found.onset_ns <= one.healed_ns + HEALING_NS)
        for one in signals.faults
    )


def _facts(plan: Plan, words: VantageWords) -> TicketFacts:
    return TicketFacts(
        run_id=plan.run_id,
        campaign=plan.campaign,
        targets=words.targets,
        sources=words.sources,
        window=words.window,
        contacts=words.contacts,
        feeds=words.points.get("feed", ()),
    )
