"""The trickle as a phase: a little of the heaviest load, one rack after the other, before the first timed phase.

And what is to be said where nothing would see it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maul.campaign import Campaign
from maul.campaign.problems import Problem
from maul.plan.budget import peak_per_s
from maul.plan.engine_plan import Constant, OpenArrivals
from maul.plan.fleet_model import FleetPlan
from maul.plan.model import Amount, PassPlan, PhasePlan
from maul.site import Site

KIND = "trickle"
READINGS = 6
"""Of the counters, in each window that counts."""
REACTION_S = 2.0
"""Until a change of who sends shows everywhere: it is told once per second, and heeded within a turn."""


@dataclass(frozen=True, slots=True)
class TrickleTimes:
    """How long each window is; the first `settle_s` of it are not looked at."""

    settle_s: float
    window_s: float
    racks: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Quiet, rack, quiet, rack, … quiet; and a little, for the last reading to come in."""
        return (2 * len(self.racks) + 1) * self.window_s + self.settle_s


def times_of(fleet: FleetPlan, every_s: float) -> TrickleTimes:
    """The windows for the racks that send, when the counters are fresh every `every_s`.

    >>> times_of(FleetPlan.model_construct(generators=()), 1.0).window_s
    9.0
    """
    every_s = max(1.0, every_s)
    racks = tuple(dict.fromkeys(one.rack or one.name for one in fleet.generators))
    settle_s = REACTION_S + every_s
    return TrickleTimes(settle_s, settle_s + READINGS * every_s, racks)


def with_trickle(phases: Sequence[PhasePlan], fleet: FleetPlan, part: float, every_s: float) -> tuple[PhasePlan, ...]:
    """The phases with the trickle before the first timed one; as they are where nothing can be measured or paced.

    `part`: of the heaviest phase's rate. Its mix and its requests are those of that phase.
    """
    timed = [phase for phase in phases if phase.timed and any(_rate(phase, one) for one in phase.passes)]
    if not part or not fleet.links or not timed:
        return tuple(phases)
    heaviest = max(timed, key=lambda phase: sum(_rate(phase, one) for one in phase.passes))
    seconds = times_of(fleet, every_s).seconds
    paced = [(one, _rate(heaviest, one) * part) for one in heaviest.passes]
    passes = tuple(_trickled(one, rate, seconds) for one, rate in paced if rate)
    names = {phase.name for phase in phases}
    name = next(name for name in (KIND, *(f"{KIND}-{i}" for i in range(len(names) + 1))) if name not in names)
    made = PhasePlan(
        name=name,
        kind="trickle",
        timed=True,
        seconds=seconds,
        expected=sum((one.expected for one in passes), Amount()),
        endpoints=heaviest.endpoints,
        passes=passes,
    )
    first = next(index for index, phase in enumerate(phases) if phase.timed)
    return (*phases[:first], made, *phases[first:])


def unwatched_problems(campaign: Campaign, site: Site) -> Iterator[Problem]:
    """A fleet may not cross customers' links while nothing reads their counters, unless the campaign says so."""
    network = site.network
    if campaign.fleet is None or network is None or network.counters is not None or campaign.fleet.unwatched:
        return
    shared = [link for link in network.links if link.shared_by]
    if site.kind != "lab" and shared:
        yield Problem(
            ("fleet",),
            f"customers use {len(shared)} links of this site ({' - '.join(shared[0].between)} …), and nothing tells "
            "what they carry: name network.counters in the site, or say fleet.unwatched: true",
        )


def unguarded_problems(campaign: Campaign, site: Site) -> Iterator[Problem]:
    """A guard that only watches is for labs: nobody's customers are to be hurt for a look at it."""
    if campaign.fleet is None or campaign.fleet.guard == "act" or site.kind == "lab" or site.network is None:
        return
    shared = [link for link in site.network.links if link.shared_by]
    if shared:
        yield Problem(
            ("fleet", "guard"),
            f"customers use {len(shared)} links of this site ({' - '.join(shared[0].between)} …): a guard that only "
            "watches would let us hurt them; leave fleet.guard out, or use a lab",
        )


def watch_notes(site: Site, fleet: FleetPlan) -> tuple[str, ...]:
    """What the plan says about who watches the links."""
    network = site.network
    if all(one.host is None for one in fleet.generators):
        return ()  # processes of this machine
    if network is None or not fleet.links:
        return ("the site knows no network: nothing can be promised about links, and nothing watches them",)
    if network.counters is None:
        return (
            "nothing watches the links: no counters in the site, so no trickle, no guard, and links-kept is UNKNOWN",
        )
    if not fleet.guard_acts:
        return ("the link guard only watches: nobody is cut, whatever customers feel",)
    blind = [canary.name for canary in network.canaries if canary.selector and network.counters.kind != "prometheus"]
    return (f"canaries that only Prometheus knows are not read: {', '.join(blind)}",) if blind else ()


def _rate(phase: PhasePlan, one: PassPlan) -> float:
    """Operations per second at most; 0 for what has no rate of its own."""
    if not isinstance(one.engine.arrivals, OpenArrivals):
        return 0.0
    return phase.search.to_per_s if phase.search is not None else peak_per_s(one.engine.arrivals)


def _trickled(one: PassPlan, rate: float, seconds: float) -> PassPlan:
    """`rate`: operations per second, of all racks together."""
    arrivals = one.engine.arrivals
    assert isinstance(arrivals, OpenArrivals)
    constant = arrivals.model_copy(update={"profile": (Constant(rate=rate, seconds=seconds),)})
    limits = one.engine.limits.model_copy(update={"seconds": max(one.engine.limits.seconds, seconds + 60.0)})
    operations = round(rate * seconds)
    grown = operations / one.expected.operations if one.expected.operations else 0.0
    return one.model_copy(
        update={
            "seconds": seconds,
            "ephemeral_end": 0,
            "expected": Amount(
                operations=operations,
                requests=round(one.expected.requests * grown),
                bytes_sent=round(one.expected.bytes_sent * grown),
                bytes_received=round(one.expected.bytes_received * grown),
            ),
            "engine": one.engine.model_copy(update={"arrivals": constant, "limits": limits}),
        }
    )
