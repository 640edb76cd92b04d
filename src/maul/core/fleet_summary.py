"""The fleet of a run, as its summary tells of it. Times are Unix ns, shares parts of the whole load, 0 to 1."""

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AgentSummary(_Part):
    """One agent. Counts are those of all phases; `start_skew_ms`: the largest distance from the start asked for."""

    name: str
    host: str | None
    share: float
    ceiling_per_s: float | None
    sent: int
    late: int
    dropped: int
    withheld: int
    bad: int
    """Operations that were not answered well, but for audit and clean-up, which ask for what is rightly gone."""
    cpu_seconds: float
    clock_offset_ms: float
    clock_error_ms: float
    start_skew_ms: float | None
    lost_ns: int | None = None
    lost_why: str = ""


class LossSummary(_Part):
    """An agent that was lost in a phase, from its last word until others had taken over, or to the end."""

    agent: str
    phase: str
    why: str
    policy: str
    began_ns: int
    ended_ns: int | None
    share: float
    taken: dict[str, float]
    held: float
    not_sent: int
    """Arrivals that were due meanwhile, about."""
    says: str

    @property
    def made_up(self) -> bool:
        """Whether others took over all of it."""
        return bool(self.taken) and self.held == 0


class DrillSummary(_Part):
    """The rehearsal of the kill switch: how long until every agent was silent."""

    at_ns: int
    agents: int
    seconds: float
    passed: bool
    says: str


class FleetSummary(_Part):
    """All agents of a run."""

    agents: list[AgentSummary]
    left_out: dict[str, str]
    """Why each of them did not take part."""
    losses: list[LossSummary]
    on_loss: str
    skew_ms: float | None
    """The largest of all timed phases, between the first and the last agent that began."""
    skew_error_ms: float
    clock_error_ms: float
    drill: DrillSummary | None
    doubts: list[str]
    """Why the numbers of the run may tell of the fleet instead of the target."""
    wrong: list[str]
    """Why they do."""
    says: str
