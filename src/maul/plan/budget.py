"""Budget: the arithmetic of a plan against the limits of its campaign, shown when it does not come out."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from maul.campaign import Campaign
from maul.campaign.parties import Party
from maul.campaign.problems import Problem
from maul.core.units import show_duration, show_size
from maul.plan.costs import mean_cost
from maul.plan.engine_plan import ClosedArrivals, Constant, OpenArrivals, Ramp, Sine, TraceArrivals
from maul.plan.model import PhasePlan

_TERMS_MAX = 12


Show = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class _Sum:
    """One quantity that adds up over phases: its key in the limits, and how it is told."""

    key: str
    value: Callable[[PhasePlan], float]
    says: str
    show: Show
    exact: Show


_REQUESTS = _Sum(
    "requests",
    lambda phase: phase.expected.requests,
    "the plan sends {} requests",
    lambda count: f"{count:,.0f}",
    lambda count: f"{count:,.0f}",
)
_BYTES = _Sum(
    "bytes",
    lambda phase: phase.expected.bytes,
    "the plan moves {}, headers included",
    show_size,
    lambda size: f"{size:,.0f} B",
)
_TIME = _Sum(
    "duration",
    lambda phase: phase.seconds,
    "the phases with a fixed length take {}",
    show_duration,
    lambda seconds: f"{seconds:g} s",
)


def over_budget(campaign: Campaign, phases: Sequence[PhasePlan], parties: Sequence[Party]) -> Iterator[Problem]:
    """Every limit that the plan would exceed, with the sum."""
    limits = campaign.limits
    yield from _over(_REQUESTS, phases, limits.requests)
    yield from _over(_BYTES, phases, limits.total_bytes)
    yield from _over(_TIME, [phase for phase in phases if phase.timed], limits.duration_s)
    yield from _bandwidth(campaign, phases, parties)


def _over(quantity: _Sum, phases: Sequence[PhasePlan], limit: float) -> Iterator[Problem]:
    total = math.fsum(quantity.value(phase) for phase in phases)
    if total <= limit:
        return
    show = quantity.show if quantity.show(total) != quantity.show(limit) else quantity.exact
    terms = [f"{phase.name} {show(quantity.value(phase))}" for phase in phases]
    if len(terms) > _TERMS_MAX:
        terms = [*terms[:_TERMS_MAX], f"{len(terms) - _TERMS_MAX} more"]
    yield Problem(
        ("limits", quantity.key),
        f"{quantity.says.format(show(total))}, and the limit is {show(limit)}: {' + '.join(terms)}; "
        f"raise limits.{quantity.key} or plan less",
    )


def _bandwidth(campaign: Campaign, phases: Sequence[PhasePlan], parties: Sequence[Party]) -> Iterator[Problem]:
    """At its peak, every tenant with the mean size of its own operations."""
    limit = campaign.limits.bandwidth_bytes_per_s
    each = [mean_cost(party.workload.mix.by_op(), party.workload).bytes for party in parties]
    for index, phase in enumerate(phases):
        peaks = [peak_per_s(one.engine.arrivals) for one in phase.passes] if phase.timed else []
        moved = math.fsum(peak * size for peak, size in zip(peaks, each, strict=False))
        if moved <= limit:
            continue
        terms = [
            f"{peak:g}/s × {show_size(size)} an operation" + (f" of {party.name}" if party.name else "")
            for peak, size, party in zip(peaks, each, parties, strict=True)
        ]
        yield Problem(
            ("phases", index),
            f'"{phase.name}" peaks at {" + ".join(terms)} = {show_size(moved)}/s, above limits.bandwidth '
            f"({show_size(limit)}/s); lower the rate or the sizes, or raise the limit",
        )


def peak_per_s(arrivals: OpenArrivals | ClosedArrivals | TraceArrivals) -> float:
    """The highest rate that a profile plans; 0 where none does."""
    if not isinstance(arrivals, OpenArrivals):
        return 0.0
    return max(_segment_peak(segment) for segment in arrivals.profile)


def phase_peak_per_s(phase: PhasePlan) -> float:
    """The highest rate of a phase; infinite where nothing paces it."""
    if phase.search is not None:
        return phase.search.to_per_s
    profiles = [one.engine.arrivals for one in phase.passes]
    paced = all(isinstance(arrivals, OpenArrivals) for arrivals in profiles)
    return sum(peak_per_s(arrivals) for arrivals in profiles) if paced else math.inf


def _segment_peak(segment: Constant | Ramp | Sine) -> float:
    if isinstance(segment, Ramp):
        return max(segment.from_per_s, segment.to_per_s)
    return segment.rate + (segment.amplitude if isinstance(segment, Sine) else 0.0)
