"""Crew: the agents of a run as the conductor knows them, from pre-flight to the last one that is left."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from maul.conduct.fleet_events import MusterWords
from maul.core.generator import Generator, GeneratorStatus
from maul.core.vantage import Lookout
from maul.fleet.words import LostAgent, StartSkew
from maul.hosts.machine_counters import MachineCounters
from maul.plan.muster import Muster, without
from maul.s3.tcp_line import Gate

SETTLE_S = 15.0
"""How long preparing engines of a take-over may take at the end of a drive."""


class Many(Generator, Protocol):
    """A generator that is many; `maul.fleet.generator.FleetGenerator` is one."""

    def by_agent(self) -> Mapping[str, GeneratorStatus]:
        """Where each agent stands."""
        ...

    def lost(self) -> tuple[LostAgent, ...]:
        """Agents that do not take part any more."""
        ...

    def skew(self) -> StartSkew:
        """When each agent really began."""
        ...

    def throttle_agents(self, parts: Mapping[str, float]) -> tuple[str, ...]:
        """Send only these parts of the arrivals; the agents that did not confirm at once."""
        ...

    def take_over(self, plans: Mapping[str, Mapping[str, Any]], origin_ns: int, trace: bytes | None = None) -> None:
        """Start one more engine on each of these agents, as if it had begun at `origin_ns`."""
        ...


class Line(Protocol):
    """The connection to the agents."""

    def generator(
        self,
        plans: Mapping[str, Mapping[str, Any]],
        trace: bytes | None = None,
        *,
        run: str = "run",
        about: Mapping[str, str | int] | None = None,
    ) -> Many:
        """Engines on these agents, prepared. MaulError when there can be none.

        `about`: what agents note beside the results that they keep of this `run`.
        """
        ...

    def lookout(self, endpoint: str, gates: Mapping[str, Gate]) -> Lookout:
        """A sentinel at that endpoint in each agent. `gates`: where questions may lead, by the endpoint's name."""
        ...

    def machines(self) -> Mapping[str, MachineCounters]:
        """What the agents' machines count by now."""
        ...


def on_thread(act: Callable[[], None]) -> Callable[[float], None]:
    """Start it on a thread of its own; the answer waits for it."""
    thread = threading.Thread(target=act, name="maul-take-over", daemon=True)
    thread.start()
    return thread.join


class Progressing(Protocol):
    """Somebody who is told what happens."""

    def step(self, says: str) -> None:
        """One line."""
        ...


@dataclass(slots=True)
class Crew:
    """Who is there. `there` shrinks when an agent is lost; it is what the next phase is split over."""

    line: Line
    there: Muster
    words: MusterWords | None = None
    """What the record is told of them."""
    lost: dict[str, str] = field(default_factory=dict)
    """Why each of them was lost."""
    drilled_for_per_s: float = 0.0
    """The highest rate before which the kill switch was rehearsed."""
    start_beside: Callable[[Callable[[], None]], Callable[[float], None]] = on_thread
    _beside: list[Callable[[float], None]] = field(default_factory=list)

    def lose(self, why: Mapping[str, str]) -> None:
        """They take no part in what comes next."""
        self.lost.update(why)
        self.there = without(self.there, why.keys())

    def beside(self, act: Callable[[], None]) -> None:
        """Do something that takes its time, while leases are renewed."""
        self._beside.append(self.start_beside(act))

    def settle(self) -> None:
        """Wait for all of that."""
        waits, self._beside = self._beside, []
        for wait in waits:
            wait(SETTLE_S)
