"""The table of cross-checks: what no single key can know. Each names the sections that it reads.

A check runs when its sections are sound, so one typo does not hide what is wrong elsewhere.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from maul.campaign import checks_faults, checks_phases, checks_search, checks_workload
from maul.campaign.problems import Problem

Check = Callable[..., Iterable[Problem]]

CROSS_CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (checks_workload.mix_is_possible, ("workload",)),
    (checks_workload.sizes_are_possible, ("workload",)),
    (checks_workload.multipart_is_possible, ("workload",)),
    (checks_phases.phase_names_are_unique, ("phases",)),
    (checks_phases.profiles_are_whole, ("phases",)),
    (checks_phases.steps_rise, ("phases",)),
    (checks_phases.reads_find_something, ("phases", "workload")),
    (checks_phases.load_is_possible, ("load",)),
    (checks_phases.load_is_within_limits, ("load", "limits")),
    (checks_phases.phases_are_within_limits, ("phases", "load", "limits")),
    (checks_faults.fault_names_are_unique, ("faults",)),
    (checks_faults.faults_name_one_service, ("faults",)),
    (checks_faults.faults_fit_their_phase, ("faults", "phases")),
    (checks_faults.faults_do_not_collide, ("faults",)),
    (checks_faults.objective_names_are_unique, ("objectives",)),
    (checks_faults.objectives_fit_phases, ("objectives", "phases")),
    (checks_faults.objectives_fit_mix, ("objectives", "workload")),
    (checks_search.searches_rise, ("limit",)),
    (checks_search.searches_name_objectives, ("limit", "objectives")),
)


def cross_problems(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong between the sections given; checks that need another section are left out."""
    for check, needs in CROSS_CHECKS:
        if all(need in sections for need in needs):
            yield from check(*(sections[need] for need in needs))
