"""What the link guard speaks of: directions of links, readings of them, what customers felt, and what is to be done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from maul.core.sample import Sample
from maul.plan.fleet_model import FleetPlan, GeneratorPlan, LinkLoad
from maul.site.model_network import Canary, Network
from maul.site.topology import graph

ALL_OF_IT = 0.999
"""A generator of whose traffic this part crosses a direction has no other way."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a link that may carry our load. Rates in bits per second."""

    name: str
    capacity_bps: float
    cap: float
    background_bps: float
    shared: bool
    worst_bps: float
    """Ours and others' while the worst single failure lasts."""
    by_generator: Mapping[str, float]
    """What each generator sends or receives here at the heaviest moment of the plan."""
    crossing: frozenset[str]
    """Generators whose traffic crosses here in normal state."""
    through: frozenset[str]
    """Of these: those that have no other way."""

    @property
    def takes_over(self) -> bool:
        """It carries more of ours while something else is down."""
        return self.worst_bps > (sum(self.by_generator.values()) + self.background_bps) * 1.001

    @property
    def limit_bps(self) -> float:
        """What may be carried, everybody's together."""
        return self.cap * self.capacity_bps

    def ours_bps(self, levels: Mapping[str, float]) -> float:
        """Predicted, when each generator makes this part of its heaviest load."""
        return sum(bps * levels.get(name, 0.0) for name, bps in self.by_generator.items())


def directions_of(fleet: FleetPlan) -> dict[str, Direction]:
    """Every direction of the plan, by name."""
    return {link.name: _direction(link, fleet.generators) for link in fleet.links}


def _direction(link: LinkLoad, generators: Sequence[GeneratorPlan]) -> Direction:
    through = {name for parts in (link.up, link.down) for name, part in parts.items() if part >= ALL_OF_IT}
    return Direction(
        name=link.name,
        capacity_bps=link.capacity_bps,
        cap=link.cap,
        background_bps=link.background_bps,
        shared=link.shared,
        worst_bps=max(link.worst_bps, link.ours_bps + link.background_bps),
        by_generator={one.name: link.bps_of(one) for one in generators if one.name in link.crossing},
        crossing=link.crossing,
        through=frozenset(through),
    )


@dataclass(frozen=True, slots=True)
class LinkReading:
    """What the counters of one direction said, over the time since the reading before. None: not told."""

    at_ns: int
    bits_per_s: float | None = None
    discards_per_s: float | None = None
    up: bool | None = None


@dataclass(frozen=True, slots=True)
class CanaryReading:
    """What a customer felt since its measurement before. A round trip is None where no answer came."""

    at_ns: int
    sent: float
    loss_ratio: float
    rtt_p99_ms: float | None = None

    @property
    def lost(self) -> float:
        """Packets without an answer."""
        return self.sent * self.loss_ratio


def links_of(samples: Iterable[Sample]) -> dict[str, LinkReading]:
    """The newest reading of each direction among the samples."""
    found: dict[str, dict[str, Sample]] = {}
    for sample in samples:
        if sample.probe == "link":
            of = found.setdefault(sample.subject, {})
            if sample.metric not in of or of[sample.metric].at_ns < sample.at_ns:
                of[sample.metric] = sample

    def value(of: Mapping[str, Sample], metric: str) -> float | None:
        return of[metric].value if metric in of else None

    return {
        name: LinkReading(
            max(sample.at_ns for sample in of.values()),
            value(of, "bits_per_s"),
            value(of, "discards_per_s"),
            None if "up" not in of else of["up"].value == 1,
        )
        for name, of in found.items()
    }


def together(readings: Sequence[LinkReading]) -> LinkReading:
    """Several readings of one direction since the last look as one: the newest, and the worst that was lost."""
    newest = readings[-1]
    bits = next((one.bits_per_s for one in reversed(readings) if one.bits_per_s is not None), None)
    lost = [one.discards_per_s for one in readings if one.discards_per_s is not None]
    up = next((one.up for one in reversed(readings) if one.up is not None), None)
    return LinkReading(newest.at_ns, bits, max(lost) if lost else None, up)


def canaries_of(samples: Iterable[Sample]) -> dict[str, list[CanaryReading]]:
    """Every measurement among the samples, by canary, the oldest first."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    for sample in samples:
        if sample.probe == "canary":
            found.setdefault((sample.subject, sample.at_ns), {})[sample.metric] = sample.value
    readings: dict[str, list[CanaryReading]] = {}
    for (name, at_ns), of in sorted(found.items()):
        if "loss_ratio" in of and "sent" in of:
            readings.setdefault(name, []).append(
                CanaryReading(at_ns, of["sent"], of["loss_ratio"], of.get("rtt_p99_ms"))
            )
    return readings


def path_of(network: Network, canary: Canary) -> frozenset[str]:
    """Directions on any shortest way between the canary's ends, there and back; empty when the site knows none.

    Hosts forward nothing: a way leads through switches.
    """
    switches = {switch.name for switch in network.switches}
    ways = graph(network).subgraph(switches | {canary.source, canary.target})
    found: set[str] = set()
    for source, target in ((canary.source, canary.target), (canary.target, canary.source)):
        if source not in ways or target not in ways or not nx.has_path(ways, source, target):
            continue
        away = nx.single_source_shortest_path_length(ways, source)
        left = nx.single_source_shortest_path_length(ways.reverse(copy=False), target)
        found |= {
            name
            for a, b, name in ways.edges(keys=True)
            if a in away and b in left and away[a] + 1 + left[b] == away[target]
        }
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class SetParts:
    """From now on each generator sends this part, 0 to 1, of what the plan says. Those not named stay as they are.

    `says` is empty where there is nothing to tell a person: a generator that was cut comes back step by step.
    """

    parts: Mapping[str, float]
    reason: str
    says: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Freeze:
    """No rate rises until `Thaw`, whatever the profile says; it is done through the parts that follow."""

    reason: str
    says: str


@dataclass(frozen=True, slots=True)
class Thaw:
    """What made the guard freeze is over."""

    reason: str
    says: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Something that people should know; nothing is done."""

    reason: str
    says: str
    details: Mapping[str, Any] = field(default_factory=dict)
