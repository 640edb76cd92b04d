"""What the page is told once per second, as one JSON object."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["starting", "running", "stopping", "over"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One point of the curves: seconds since the beginning; per second; milliseconds."""

    at_s: float
    offered_per_s: float
    done_per_s: float
    bad_per_s: float
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Told:
    """Everything. `links`: direction to the part of its capacity in use; `errors`: class to count."""

    run: str
    state: State
    says: str = ""
    phase: str = ""
    stance: str = ""
    """Of the answer to a stop upstream: suspect, probing, held, recovered, over; empty: nothing of the kind."""
    waits: str = ""
    """What is waited for then."""
    elapsed_s: float = 0.0
    left_s: float | None = None
    run_left_s: float | None = None
    in_flight: int | None = None
    backlog: int | None = None
    dropped: int | None = None
    withheld: int | None = None
    errors: dict[str, int] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    steps: list[tuple[float, str]] = field(default_factory=list)
    agents: list[dict[str, Any]] = field(default_factory=list)
    links: dict[str, float] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)
