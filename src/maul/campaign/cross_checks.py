"""The table of cross-checks: what no single key can know. Each names the sections that it reads.

A check runs when its sections are sound, so one typo does not hide what is wrong elsewhere.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from maul.campaign import checks_faults, checks_phases, checks_requests, checks_search, checks_tenants, checks_workload
from maul.campaign.problems import Problem

Check = Callable[..., Iterable[Problem]]

CROSS_CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (checks_workload.workload_is_possible, ("workload",)),
    (checks_workload.workloads_of_tenants_are_possible, ("tenants",)),
    (checks_requests.requests_are_possible, ("workload", "requests", "target", "tenants")),
    (checks_requests.slow_clients_can_finish, ("workload", "phases", "load")),
    (checks_tenants.tenant_names_are_unique, ("tenants",)),
    (checks_tenants.tenants_fit_the_load, ("tenants", "load")),
    (checks_tenants.rates_fit_phases, ("tenants", "phases")),
    (checks_tenants.buckets_agree, ("workload", "requests", "target", "tenants")),
    (checks_tenants.objectives_fit_tenants, ("objectives", "tenants")),
    (checks_tenants.objectives_fit_mix, ("objectives", "workload", "requests", "target", "tenants")),
    (checks_phases.phase_names_are_unique, ("phases",)),
    (checks_phases.profiles_are_whole, ("phases",)),
    (checks_phases.steps_rise, ("phases",)),
    (checks_phases.spikes_and_waves_fit, ("phases",)),
    (checks_phases.reads_find_something, ("phases", "workload", "requests", "target", "tenants")),
    (checks_phases.load_is_possible, ("load",)),
    (checks_phases.load_is_within_limits, ("load", "limits")),
    (checks_phases.phases_are_within_limits, ("phases", "load", "limits", "tenants")),
    (checks_faults.fault_names_are_unique, ("faults",)),
    (checks_faults.faults_name_one_service, ("faults",)),
    (checks_faults.faults_fit_their_phase, ("faults", "phases")),
    (checks_faults.faults_do_not_collide, ("faults",)),
    (checks_faults.objective_names_are_unique, ("objectives",)),
    (checks_faults.objectives_fit_phases, ("objectives", "phases")),
    (checks_search.searches_rise, ("limit",)),
    (checks_search.searches_name_objectives, ("limit", "objectives")),
)


def cross_problems(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong between the sections given; checks that need another section are left out."""
    for check, needs in CROSS_CHECKS:
        if all(need in sections for need in needs):
            yield from check(*(sections[need] for need in needs))
