"""What the answer to a suspicion asks the conductor to do."""

from dataclasses import dataclass
from enum import StrEnum

from maul.core.vantage import Question
from maul.guard.mitigation.diagnosis import Diagnosis


class Stance(StrEnum):
    """Where the answer stands; it goes down this list, and back to NORMAL."""

    NORMAL = "normal"
    SUSPECT = "suspect"
    PROBING = "probing"  # frozen; asking gently
    HELD = "held"  # frozen; the cause is told, sparse canaries ask whether it is over
    RECOVERED = "recovered"  # everybody is answered again, for long enough
    OVER = "over"  # nothing more will be sent: not allowed, or held for too long


@dataclass(frozen=True, slots=True)
class Suspected:
    """Tell people; nothing is done yet."""

    says: str


@dataclass(frozen=True, slots=True)
class Freeze:
    """Fall silent at once: no lease, no retry, every socket aborted."""

    says: str
    onset_ns: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Make one attempt."""

    question: Question


@dataclass(frozen=True, slots=True)
class Verdict:
    """What it was, as far as can be told."""

    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True)
class Recovered:
    """It is over, by itself. `hold_s`: since the onset, give or take `quantum_s` (the gap between canaries)."""

    says: str
    hold_s: float
    quantum_s: float


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with at most this part of the load at the onset."""

    part: float
    says: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the run; nothing more is sent."""

    says: str


MitigationAction = Suspected | Freeze | Ask | Verdict | Recovered | Resume | GiveUp
