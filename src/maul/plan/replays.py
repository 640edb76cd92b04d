"""Replays: does a trace of another run fit this campaign? Its keys, its rate, its operations."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from maul.campaign import Campaign
from maul.campaign.model_mix import OF_VERSIONS
from maul.campaign.model_phases import TimedPhase
from maul.campaign.parties import Party
from maul.campaign.problems import Problem
from maul.core.operation import Region
from maul.plan.ground import TraceKey
from maul.plan.trace import Trace

NO_TRACES: Mapping[TraceKey, Trace] = MappingProxyType({})


def trace_problems(campaign: Campaign, parties: Sequence[Party], traces: Mapping[TraceKey, Trace]) -> Iterator[Problem]:
    """What speaks against replaying, with the arithmetic."""
    for index, phase in enumerate(campaign.phases):
        if not isinstance(phase, TimedPhase) or phase.trace is None:
            continue
        path = ("phases", index, "trace")
        found = [(party, traces[phase.name, party.index]) for party in parties if (phase.name, party.index) in traces]
        if not found:
            yield Problem(
                path, f'no operation of phase "{phase.trace.phase}" can be replayed; name another run or phase'
            )
        peak = sum(trace.peak_per_s for _, trace in found)
        if peak > campaign.limits.rate_per_s:
            yield Problem(
                path,
                f"its busiest second has {peak:,} arrivals at {phase.trace.speed:g} times its speed, above limits.rate "
                f"({campaign.limits.rate_per_s:g}/s); lower speed or raise the limit",
            )
        for party, trace in found:
            yield from _fits((*path, "run"), party, trace)


def _fits(path: tuple[str | int, ...], party: Party, trace: Trace) -> Iterator[Problem]:
    who = f" of tenant {party.name}" if party.name else ""
    base = dict(trace.ends).get(Region.BASE, 0)
    if base > party.workload.objects:
        yield Problem(
            path,
            f"asks for base object {base - 1:,}{who}, and workload.objects is {party.workload.objects:,}: the trace is "
            "that of another campaign, and its reads would find nothing; raise objects, or name another run",
        )
    names = {op.name.lower() for op, _ in trace.ops}
    versioned = sorted(names & {*OF_VERSIONS})
    if versioned and not party.versioning:
        yield Problem(path, f"has {', '.join(versioned)}{who}, which need versions; set versioning: true in target")
    if "put_retention" in names and not party.object_lock:
        yield Problem(path, f"has put_retention{who}, which needs object lock; set object_lock: true in target")
