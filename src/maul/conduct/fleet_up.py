"""The fleet of a run: up or found, asked everything before any byte, and split anew without those that stay out.

`fleet.agents: N` starts N agents on this machine for the length of the run; hosts of the site are expected in the fleet
that `maul fleet up` brought up. An agent that the pre-flight leaves out is named. What it should have sent goes to the
others where their ceilings and the links allow all of it; where they do not, nothing begins.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from maul.conduct.collect import run_folder
from maul.conduct.crew import Crew, Progressing
from maul.conduct.fleet_events import AgentWords, MusterWords
from maul.core.errors import InternalError, MachineError
from maul.fleet import bringup, place
from maul.fleet.preflight import Question
from maul.fleet.words import AgentFacts, Preflight
from maul.hosts.deadman import DeadMan
from maul.hosts.local import LocalHost
from maul.load.rust import engine_version
from maul.plan import Plan
from maul.plan.fleet_model import FleetPlan
from maul.plan.muster import Muster, muster, without


@contextlib.contextmanager
def crew_of(
    plan: Plan, addresses: Mapping[str, tuple[str, ...]], permit: str, deadman: DeadMan, progress: Progressing
) -> Iterator[Crew | None]:
    """The agents of a plan, met and ready; None where one process makes the load. `permit`: its hash, or nothing.

    `addresses`: of each endpoint, as permitted. MachineError when there is no fleet, or what is left of it cannot carry
    the load.
    """
    fleet_plan = plan.fleet
    if fleet_plan is None:
        yield None
        return
    from maul.fleet.connection import Fleet  # noqa: PLC0415 — dask takes a second to import

    with contextlib.ExitStack() as stack:
        standing = _standing(stack, fleet_plan, plan.run_id, deadman, progress)
        fleet = stack.enter_context(Fleet.connect(standing.address, standing.certificates))
        names = [one.name for one in fleet_plan.generators]
        found = fleet.preflight(_question(plan, fleet_plan, addresses, permit), names)
        there = _mustered(fleet_plan, found, progress)
        yield Crew(fleet, there, words=_words(fleet_plan, there, found))


def is_local(plan: FleetPlan) -> bool:
    """Whether all agents are processes of this machine."""
    return all(one.host is None for one in plan.generators)


def _standing(
    stack: contextlib.ExitStack, plan: FleetPlan, run_id: str, deadman: DeadMan, progress: Progressing
) -> place.Standing:
    if is_local(plan):
        directory = run_folder(run_id)
        return stack.enter_context(bringup.embedded(directory, len(plan.generators), deadman, progress.step))
    standing = place.load(LocalHost(), place.fleet_directory())
    if standing is None:
        raise MachineError(
            "the plan sends from hosts of the site, and no fleet is up",
            str(place.fleet_directory()),
            "bring it up: maul fleet up; then run this again",
        )
    return standing


def _question(plan: Plan, fleet: FleetPlan, addresses: Mapping[str, tuple[str, ...]], permit: str) -> Question:
    """What every agent is asked. Nobody opens more connections than the share of the widest among them."""
    ports = {one.name: urlsplit(one.url) for one in plan.endpoints}
    reached = tuple(
        (address, ports[name].port or (443 if ports[name].scheme == "https" else 80))
        for name, found in addresses.items()
        if name in ports
        for address in found[:1]
    )
    most = max((one.engine.limits.connections for phase in plan.phases for one in phase.passes), default=0)
    widest = max(one.width for one in fleet.generators) / fleet.wheel
    connections = max(1, round(most * widest))
    return Question(
        addresses=tuple(dict.fromkeys(reached)),
        connections=connections,
        connections_each=connections,
        requests_per_s={one.name: one.load.requests_per_s for one in fleet.generators},
        permit=permit,
        engine_version=engine_version(),
    )


def _mustered(plan: FleetPlan, found: Preflight, progress: Progressing) -> Muster:
    """Those that are in, with the load of those that are not. MachineError when that is too much for them."""
    alone = len(plan.generators) if is_local(plan) else 1
    cores = {name: max(1, facts.cores // alone) for name, facts in found.ready.items()}
    ceilings = {
        name: facts.ceiling_per_s / alone for name, facts in found.ready.items() if facts.ceiling_per_s is not None
    }
    whole = muster(plan, cores, ceilings)
    for name, facts in found.ready.items():
        progress.step(f"agent {name}: {_told(facts)}")
    for name, why in found.left_out.items():
        progress.step(f"agent {name} is left out: {why}")
    if not found.left_out:
        return whole
    says = "; ".join(f"{name}: {why}" for name, why in found.left_out.items())
    there = without(whole, found.left_out, redistribute=True)
    if not there.posts:
        raise MachineError(f"no agent passed the pre-flight: {says}", cure="look at them: maul fleet status")
    if there.held:
        raise MachineError(
            f"{len(found.left_out)} agents are left out, and the others cannot carry {there.held / there.wheel:.1%} of "
            f"the load within their ceilings and the links' caps: {says}",
            cure="mend those agents, or ask for less load",
        )
    progress.step(f"the load is split over the {len(there.posts)} agents that are left")
    return replace(there, redistribute=whole.redistribute)


def _told(facts: AgentFacts) -> str:
    if facts.clock is None:
        raise InternalError("an agent passed the pre-flight without a clock", facts.name)
    clock = f"clock {facts.clock.offset_ns / 1e6:+.2f} ± {facts.clock.error_ns / 1e6:.2f} ms"
    ceiling = "not calibrated" if facts.ceiling_per_s is None else f"makes {facts.ceiling_per_s:,.0f}/s"
    return f"maul {facts.version}, {facts.cores} cores, {clock}, {facts.descriptors:,} descriptors, {ceiling}"


def _words(plan: FleetPlan, there: Muster, found: Preflight) -> MusterWords:
    agents = []
    for post in there.posts:
        clock = found.ready[post.name].clock
        agents.append(
            AgentWords(
                name=post.name,
                host=post.host,
                share=post.width / there.wheel,
                cores=post.cores,
                ceiling_per_s=post.ceiling_per_s,
                offset_ns=clock.offset_ns if clock is not None else 0,
                error_ns=clock.error_ns if clock is not None else 0,
            )
        )
    return MusterWords(
        agents=tuple(agents),
        left_out=dict(found.left_out),
        held=there.held / there.wheel,
        on_loss=plan.on_loss,
    )
