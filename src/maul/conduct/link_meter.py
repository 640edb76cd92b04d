"""What each agent really moves, as a part of what the plan says of its heaviest moment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from maul.core.generator import GeneratorState, GeneratorStatus
from maul.plan.fleet_model import FleetPlan, Load
from maul.plan.placement.demand import OVERHEAD

LESSER = 0.1
"""The way that carries less than this part of the other is mostly acknowledgements: it says little."""
STANDSTILL_NS = 3_000_000_000
"""An agent of which nothing new was heard for so long is taken to send nothing."""


@dataclass(slots=True)
class _Engine:
    """The last status of one engine group, and the rates up to it."""

    status: GeneratorStatus
    at_ns: int
    sent_bps: float = 0.0
    received_bps: float = 0.0
    due_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Moved:
    """Of one agent. `made`: the part of its heaviest load, by the direction that is further along. Totals in bits, of
    the loads that are there, as engines count them."""

    made: float
    due_per_s: float
    sent_bits: float = 0.0
    received_bits: float = 0.0
    connections: int = 0


@dataclass(slots=True)
class LinkMeter:
    """Turns statuses into rates, by each generator's own time: one that is heard late is not taken for a fast one."""

    planned: Mapping[str, Load]
    _engines: dict[tuple[int, str], _Engine] = field(default_factory=dict)

    @classmethod
    def of(cls, fleet: FleetPlan) -> "LinkMeter":
        """For the generators of a plan."""
        return cls({generator.name: generator.load for generator in fleet.generators})

    def read(self, now_ns: int, statuses: Iterable[tuple[int, Mapping[str, GeneratorStatus]]]) -> dict[str, Moved]:
        """By agent. `statuses`: by load (a number that stays its own) and agent; loads that are over are forgotten."""
        seen: set[tuple[int, str]] = set()
        for load, by_agent in statuses:
            for agent, status in by_agent.items():
                seen.add((load, agent))
                self._advance((load, agent), status, now_ns)
        self._engines = {key: engine for key, engine in self._engines.items() if key in seen}
        return {agent: self._moved(agent) for agent in self.planned}

    def _advance(self, key: tuple[int, str], status: GeneratorStatus, now_ns: int) -> None:
        last = self._engines.get(key)
        if last is None:
            self._engines[key] = _Engine(status, now_ns)
            return
        lasted_s = status.elapsed_s - last.status.elapsed_s
        if status.state is GeneratorState.DONE or (now_ns - last.at_ns > STANDSTILL_NS and lasted_s <= 0):
            self._engines[key] = _Engine(status, last.at_ns)
        elif lasted_s > 0:
            sent = (status.bytes_sent - last.status.bytes_sent) * 8 / lasted_s
            received = (status.bytes_received - last.status.bytes_received) * 8 / lasted_s
            due = (status.offered + status.withheld - last.status.offered - last.status.withheld) / lasted_s
            self._engines[key] = _Engine(status, now_ns, sent, received, due)

    def _moved(self, agent: str) -> Moved:
        own = [engine for (_, name), engine in self._engines.items() if name == agent]
        sent, received = sum(one.sent_bps for one in own), sum(one.received_bps for one in own)
        load = self.planned[agent]
        least = LESSER * max(load.sent_bps, load.received_bps)
        ways = ((sent, load.sent_bps), (received, load.received_bps))
        parts = [OVERHEAD * bps / planned for bps, planned in ways if planned > least]
        return Moved(
            made=max(parts, default=0.0),
            due_per_s=sum(one.due_per_s for one in own),
            sent_bits=8.0 * sum(one.status.bytes_sent for one in own),
            received_bits=8.0 * sum(one.status.bytes_received for one in own),
            connections=sum(one.status.connections for one in own),
        )
