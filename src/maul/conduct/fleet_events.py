"""What a fleet leaves in the record: events of kind AGENT. Written here, read by `fleet_story`; nowhere else.

muster · the agents that take part, once · left out · each that does not · engines · which epoch is whose, for each
drive · start · when each began · NAME lost · from the last word of an agent to when others took over, or to the end ·
kill switch drill · how long it took until all were silent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from maul.plan.engine_plan import EnginePlan

MUSTER, ENGINES, START, DRILL = "muster", "engines", "start", "kill switch drill"
LOST_SUFFIX = " lost"


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AgentWords(_Words):
    """One agent that takes part."""

    name: str
    host: str | None = None
    share: float
    cores: int = 1
    ceiling_per_s: float | None = None
    offset_ns: int = 0
    error_ns: int = 0


class MusterWords(_Words):
    """Of the event `muster`."""

    agents: tuple[AgentWords, ...]
    left_out: dict[str, str] = {}
    held: float = 0.0
    on_loss: str = "redistribute"


class EngineWords(_Words):
    """One engine: whose it is, and which new keys it may make: `start + first + (0 … shards-1) + around * n`."""

    agent: str
    epoch: int
    tenant: int
    start: int
    first: int
    shards: int
    around: int

    @classmethod
    def of(cls, agent: str, engine: EnginePlan) -> "EngineWords":
        """Of its plan."""
        lane = engine.keyspace.ephemeral_lane
        return cls(
            agent=agent,
            epoch=engine.epoch,
            tenant=engine.tenant,
            start=engine.keyspace.ephemeral_start,
            first=lane.index * engine.shards,
            shards=engine.shards,
            around=lane.count * engine.shards,
        )


class EnginesWords(_Words):
    """Of the event `engines`."""

    phase: str
    engines: tuple[EngineWords, ...]


class StartWords(_Words):
    """Of the event `start`: nanoseconds after `asked_ns` and ± error, by agent."""

    phase: str
    asked_ns: int
    began: dict[str, tuple[int, int]]
    spread_ns: int
    error_ns: int


class LossWords(_Words):
    """Of the event `NAME lost`, at its beginning and, with what came of it, at its end."""

    agent: str
    phase: str
    why: str
    policy: str
    share: float
    """Of the load, that it sent."""
    engines: tuple[EngineWords, ...] = ()
    """What it did after its last word is not in the record."""
    taken: dict[str, float] = {}
    """By agent, of the whole load: what it took over."""
    held: float = 0.0
    """Of the whole load: what nobody sends from here to the end of the phase."""
    why_held: str = ""
    not_sent: float = 0.0
    """Arrivals that were due meanwhile."""
    over: bool = False


class DrillWords(_Words):
    """Of the event `kill switch drill`. `seconds`: from the pull until the last of them was silent."""

    agents: int
    seconds: float
    passed: bool
    says: str
    by_agent: dict[str, float] = {}


def as_details(words: _Words) -> dict[str, Any]:
    """For `Event.details`."""
    return words.model_dump(mode="json")


def together(statuses: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, float]]:
    """What agents did, added up over several drives, or tenants: the counts of `KEPT`."""
    total: dict[str, dict[str, float]] = {}
    for one in statuses:
        for agent, counts in one.items():
            own = total.setdefault(agent, dict.fromkeys(KEPT, 0))
            for name in KEPT:
                own[name] += counts.get(name, 0)
    return total


KEPT = ("offered", "started", "completed", "ok", "fail", "unknown", "late", "dropped", "withheld", "cpu_seconds")
"""Of a status, what is told agent by agent."""
