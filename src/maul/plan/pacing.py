"""Pacing: when each tenant's operations are due in a timed phase, how many there will be, how fast they may go."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maul.campaign.model_mix import OpName
from maul.campaign.model_phases import TimedPhase
from maul.campaign.model_profiles import Closed, Stretch
from maul.core.operation import Region
from maul.plan.costs import mean_cost
from maul.plan.engine_plan import ClosedArrivals, Constant, OpenArrivals, Ramp, Sine, Think, TraceArrivals
from maul.plan.ground import Arrivals, Ground, Portion, apportion
from maul.plan.trace import Trace, mix_of

POISSON_SIGMAS = 5.0  # a random number of arrivals stays below its mean and so many standard deviations


@dataclass(frozen=True, slots=True)
class Pace:
    """The arrivals of one tenant. `operations`: at most; `peak_per_s`: inf where nobody plans one.

    `mix`: the operations that come, where it is not the workload's mix that says so.
    """

    arrivals: Arrivals
    operations: int
    seconds: float
    peak_per_s: float
    mix: Mapping[OpName, float] | None = None
    ephemeral_end: int = 0


def replays(ground: Ground, phase: TimedPhase) -> bool:
    """False for a tenant that has nothing to do in a phase that replays a trace."""
    return phase.trace is None or (phase.name, ground.party.index) in ground.traces


def paces(grounds: Sequence[Ground], phase: TimedPhase) -> list[Pace]:
    """One for each tenant: its part of the phase's profile, or the rate of its own."""
    sharing = [ground.party for ground in grounds if phase.name not in ground.party.rates_per_s]
    whole = math.fsum(party.share for party in sharing)
    clients = iter(apportion(phase.closed.clients, [party.share for party in sharing]) if phase.closed else ())
    made: list[Pace] = []
    for ground in grounds:
        own = ground.party.rates_per_s.get(phase.name)
        if phase.trace is not None:
            made.append(_traced(ground.traces[phase.name, ground.party.index]))
        elif own is not None:
            made.append(_open((Stretch(own, own, phase.seconds),), phase))
        elif phase.closed is not None:
            made.append(_closed(ground, phase.closed, next(clients)))
        else:
            part = ground.party.share / whole
            made.append(_open(tuple(_scaled(one, part) for one in phase.stretches()), phase))
    return made


def whole_portion(ground: Ground) -> Portion:
    """All that the campaign allows, for an engine that runs alone."""
    limits, load = ground.campaign.limits, ground.campaign.load
    return Portion(limits.rate_per_s, float(limits.bandwidth_bytes_per_s), load.in_flight, load.connections)


def portions(grounds: Sequence[Ground], made: Sequence[Pace]) -> list[Portion]:
    """The campaign's ceilings divided, so that all tenants together never exceed them."""
    limits, load = grounds[0].campaign.limits, grounds[0].campaign.load
    if len(made) == 1:
        return [whole_portion(grounds[0])]
    paced = math.fsum(pace.peak_per_s for pace in made if pace.peak_per_s < math.inf)
    unpaced = sum(pace.peak_per_s == math.inf for pace in made)
    # what no profile plans goes as fast as the rest of the limit allows
    peaks = [
        pace.peak_per_s if pace.peak_per_s < math.inf else max(1.0, (limits.rate_per_s - paced) / unpaced)
        for pace in made
    ]
    each = [mean_cost(ground.workload.mix.by_op(), ground.workload).bytes for ground in grounds]
    moved = [peak * size for peak, size in zip(peaks, each, strict=True)]
    in_flight, connections = apportion(load.in_flight, peaks), apportion(load.connections, peaks)
    return [
        Portion(
            limits.rate_per_s * peaks[place] / math.fsum(peaks),
            limits.bandwidth_bytes_per_s * moved[place] / math.fsum(moved),
            in_flight[place],
            connections[place],
        )
        for place in range(len(made))
    ]


def _traced(trace: Trace) -> Pace:
    mix: dict[OpName, float] = dict(mix_of(trace))  # type: ignore[assignment]
    return Pace(
        TraceArrivals(seconds=trace.seconds),
        trace.count,
        trace.seconds,
        float(trace.peak_per_s),
        mix,
        dict(trace.ends).get(Region.EPHEMERAL, 0),
    )


def _open(stretches: Sequence[Stretch], phase: TimedPhase) -> Pace:
    arrivals = math.ceil(round(math.fsum(one.arrivals for one in stretches), 6))  # rounded up, as the engine does
    if phase.arrivals == "poisson":
        arrivals += math.ceil(POISSON_SIGMAS * math.sqrt(arrivals))
    return Pace(
        OpenArrivals(profile=tuple(_segment(one) for one in stretches), process=phase.arrivals),
        arrivals,
        math.fsum(one.seconds for one in stretches),
        max(one.peak_per_s for one in stretches),
    )


def _segment(stretch: Stretch) -> Constant | Ramp | Sine:
    if stretch.period_s:
        return Sine(
            rate=stretch.from_per_s,
            amplitude=stretch.amplitude_per_s,
            period_s=stretch.period_s,
            seconds=stretch.seconds,
        )
    if stretch.from_per_s == stretch.to_per_s:
        return Constant(rate=stretch.from_per_s, seconds=stretch.seconds)
    return Ramp(from_per_s=stretch.from_per_s, to_per_s=stretch.to_per_s, seconds=stretch.seconds)


def _scaled(stretch: Stretch, part: float) -> Stretch:
    if part == 1:
        return stretch
    return Stretch(
        stretch.from_per_s * part,
        stretch.to_per_s * part,
        stretch.seconds,
        stretch.amplitude_per_s * part,
        stretch.period_s,
    )


def _closed(ground: Ground, closed: Closed, clients: int) -> Pace:
    """At most as many operations as the rate limit allows, or as the clients' thinking leaves time for."""
    think = closed.think
    fastest = ground.campaign.limits.rate_per_s
    if think is not None and think.mean_s > 0:
        fastest = min(fastest, clients / think.mean_s)
    return Pace(
        ClosedArrivals(
            concurrency=clients,
            seconds=closed.for_s,
            think=Think(mean_ms=think.mean_s * 1000, exponential=think.exponential) if think is not None else None,
        ),
        math.ceil(round(fastest * closed.for_s, 6)) + clients,
        closed.for_s,
        math.inf,
    )
