"""What the fleet tells about its agents."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maul.core.generator import GeneratorStatus


@dataclass(frozen=True, slots=True)
class ClockReading:
    """An agent's clock against ours: theirs - ours lies within `offset_ns` ± `error_ns`. `at_ns` is our time."""

    offset_ns: int
    error_ns: int
    at_ns: int

    def agrees_with(self, later: "ClockReading", drift_ppm: float) -> bool:
        """Whether both can be true of clocks that run apart by no more than `drift_ppm`."""
        drift_ns = abs(later.at_ns - self.at_ns) * drift_ppm / 1e6
        return abs(later.offset_ns - self.offset_ns) <= self.error_ns + later.error_ns + drift_ns


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What an agent is and has. `reach` says for each address what a connection met: empty is fine."""

    name: str
    address: str
    version: str
    engine_version: str
    cores: int
    clock: ClockReading | None = None
    descriptors: int = 0
    """How many it may have open."""
    ports: int = 0
    """Local ports for connections to one address and port."""
    ceiling_per_s: float | None = None
    """Requests per second by its own calibration; None: never calibrated."""
    spool_free_bytes: int = 0
    permit: str = ""
    """Hash of the permit that it was shown."""
    reach: Mapping[str, str] = field(default_factory=dict)
    spooled_runs: tuple[str, ...] = ()
    """Runs of which it keeps results that nobody fetched."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """Which agents are in, and which are left out, by name, with the reason."""

    ready: Mapping[str, AgentFacts]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LostAgent:
    """An agent that does not take part any more. `at_ns`: when it was last heard of, our time."""

    name: str
    at_ns: int
    why: str
    status: GeneratorStatus


@dataclass(frozen=True, slots=True)
class StartSkew:
    """When the agents really began, on our clock: for each (nanoseconds after `asked_ns`, ± error)."""

    asked_ns: int
    began: Mapping[str, tuple[int, int]]

    @property
    def spread_ns(self) -> int:
        """From the first to the last."""
        times = [after_ns for after_ns, _ in self.began.values()]
        return max(times) - min(times) if times else 0

    @property
    def error_ns(self) -> int:
        """How wrong `spread_ns` may be: the two largest errors together."""
        return sum(sorted((error_ns for _, error_ns in self.began.values()), reverse=True)[:2])
