"""What the classifier says: the two causes that fit best, why, and what would tell them apart."""

from collections.abc import Sequence
from dataclasses import dataclass

from maul.core.vantage import Question, Vantage
from maul.guard.mitigation.causes import Cause


@dataclass(frozen=True, slots=True)
class Suspect:
    """One cause, and what speaks for and against it. `score`: log-likelihood, in nats, against "nothing is wrong"."""

    cause: Cause
    score: float
    evidence: Sequence[str] = ()  # each one sentence, with its figure
    against: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`cause` None: unknown, and `says` tells which vantage points would be needed. Ranked has the top two or less."""

    at_ns: int
    cause: Cause | None
    ranked: Sequence[Suspect]
    says: str
    onset_ns: int | None = None  # when answers ceased to come; None: they did not
    scope: Sequence[str] = ()  # what it hits: the address, the prefix, sources, the port
    direction: str = ""  # "towards the target", "back from it", "both", "" unknown
    separate: Question | None = None  # the cheapest attempt that would tell the two apart
    separate_says: str = ""
    missing: Sequence[Vantage] = ()  # vantage points without which it is not surer
    healthy: bool = False  # nothing is wrong at all
