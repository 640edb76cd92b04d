"""Budget: the arithmetic of a plan against the limits of its campaign, shown when it does not come out."""

import math
from collections.abc import Callable, Iterator, Sequence

from maul.campaign import Campaign
from maul.campaign.model_phases import TimedPhase
from maul.campaign.problems import Problem
from maul.core.units import show_duration, show_size
from maul.plan.costs import mean_cost
from maul.plan.model import PhasePlan

_TERMS_MAX = 12


def over_budget(campaign: Campaign, phases: Sequence[PhasePlan]) -> Iterator[Problem]:
    """Every limit that the plan would exceed, with the sum."""
    limits = campaign.limits
    yield from _total(
        phases, ("requests", "requests"), lambda p: p.expected.requests, limits.requests, lambda n: f"{n:,.0f}"
    )
    yield from _total(phases, ("bytes", "bytes"), lambda p: p.expected.bytes, limits.total_bytes, show_size)
    timed = [phase for phase in phases if phase.timed]
    yield from _total(timed, ("duration", "time"), lambda p: p.seconds, limits.duration_s, show_duration)
    yield from _bandwidth(campaign)


def _total(
    phases: Sequence[PhasePlan],
    names: tuple[str, str],
    value: Callable[[PhasePlan], float],
    limit: float,
    show: Callable[[float], str],
) -> Iterator[Problem]:
    key, noun = names
    total = math.fsum(value(phase) for phase in phases)
    if total > limit:
        terms = [f"{phase.name} {show(value(phase))}" for phase in phases]
        if len(terms) > _TERMS_MAX:
            terms = [*terms[:_TERMS_MAX], f"{len(terms) - _TERMS_MAX} more"]
        yield Problem(
            ("limits", key),
            f"the plan needs {show(total)} of {noun}, and the limit is {show(limit)}: {' + '.join(terms)}; "
            f"raise limits.{key} or plan less",
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
