"""Budget: the arithmetic of a plan against the limits of its campaign, shown when it does not come out."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from maul.campaign import Campaign
from maul.campaign.model_phases import TimedPhase
from maul.campaign.problems import Problem
from maul.core.units import show_duration, show_size
from maul.plan.costs import mean_cost
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


def over_budget(campaign: Campaign, phases: Sequence[PhasePlan]) -> Iterator[Problem]:
    """Every limit that the plan would exceed, with the sum."""
    limits = campaign.limits
    yield from _over(_REQUESTS, phases, limits.requests)
    yield from _over(_BYTES, phases, limits.total_bytes)
    yield from _over(_TIME, [phase for phase in phases if phase.timed], limits.duration_s)
    yield from _bandwidth(campaign)


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


def _bandwidth(campaign: Campaign) -> Iterator[Problem]:
    limit = campaign.limits.bandwidth_bytes_per_s
    each = mean_cost(campaign.workload.mix.by_op(), campaign.workload).bytes
    for index, phase in enumerate(campaign.phases):
        if isinstance(phase, TimedPhase) and phase.peak_per_s * each > limit:
            yield Problem(
                ("phases", index),
                f'"{phase.name}" peaks at {phase.peak_per_s:g}/s × {show_size(each)} an operation = '
                f"{show_size(phase.peak_per_s * each)}/s, above limits.bandwidth ({show_size(limit)}/s); "
                "lower the rate or the sizes, or raise the limit",
            )
