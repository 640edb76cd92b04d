"""What the vigil leaves in the record: events of kind MITIGATION, and a line of `signals.jsonl` per second. Written by
`vigil`, `hold` and `course`, read by `mitigation_story`; nowhere else.

vantage · which vantage points there are, once · suspected · answers begin to miss · frozen · everything was told to
fall silent · silent · when the last engine was · notice · what the network says of itself · verdict · what it was ·
recovered · it is over · resumed · how much is sent from here on · given up · nothing more is sent.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from maul.core.mitigation_summary import SuspectSummary
from maul.guard.mitigation.diagnosis import Diagnosis
from maul.guard.mitigation.terms import ClassifyTerms

VANTAGE, SUSPECTED, FROZEN, SILENT, NOTICE = "vantage", "suspected", "frozen", "silent", "notice"
VERDICT, RECOVERED, RESUMED, GIVEN_UP = "verdict", "recovered", "resumed", "given up"
UNKNOWN = "unknown"


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VantageWords(_Words):
    """Of the event `vantage`: who looks on, by kind of vantage point; what the plan says is done."""

    points: dict[str, tuple[str, ...]]
    act: str = "freeze"
    terms: ClassifyTerms | None = None
    """What the classifier knew of the place; None: a verdict cannot be found anew."""
    tls: bool = True
    targets: tuple[str, ...] = ()
    """`vip 198.51.100.10:443`, one each."""
    sources: tuple[str, ...] = ()
    """Addresses of the generators."""
    window: str = ""
    """Of the permit."""
    contacts: tuple[str, ...] = ()
    """Of the permit."""


class FrozenWords(_Words):
    """Of the event `frozen`. Rates per second, of the last seconds before the onset, all generators together."""

    phase: str
    onset_ns: int
    answered_per_s: float
    bytes_per_s: float


class SilentWords(_Words):
    """Of the event `silent`: how long after the decision the last engine was done and its connections closed."""

    phase: str
    decided_ns: int
    seconds: float
    in_flight: int
    """Requests that were cut off."""
    in_time: bool
    """Whether every engine ended when it was told to; else it fell silent when its lease was over."""


class NoticeWords(_Words):
    """Of the event `notice`."""

    source: str
    prefix: str
    action: str


class VerdictWords(_Words):
    """Of the event `verdict`."""

    cause: str
    family: str
    suspects: tuple[SuspectSummary, ...]
    scope: tuple[str, ...]
    direction: str
    onset_ns: int | None
    separated_by: str
    missing: tuple[str, ...]
    healthy: bool

    @classmethod
    def of(cls, found: Diagnosis) -> "VerdictWords":
        """Of a diagnosis."""
        return cls(
            cause=found.cause or UNKNOWN,
            family=found.cause.family if found.cause is not None else UNKNOWN,
            suspects=tuple(
                SuspectSummary(cause=one.cause, score=one.score, evidence=list(one.evidence), against=list(one.against))
                for one in found.ranked
            ),
            scope=tuple(found.scope),
            direction=found.direction,
            onset_ns=found.onset_ns,
            separated_by=found.separate_says,
            missing=tuple(found.missing),
            healthy=found.healthy,
        )

    @classmethod
    def unknown(cls) -> "VerdictWords":
        """Where it did not come to one."""
        return cls(
            cause=UNKNOWN,
            family=UNKNOWN,
            suspects=(),
            scope=(),
            direction="",
            onset_ns=None,
            separated_by="",
            missing=(),
            healthy=False,
        )


class RecoveredWords(_Words):
    """Of the event `recovered`."""

    hold_s: float
    quantum_s: float


class ResumedWords(_Words):
    """Of the event `resumed`."""

    phase: str
    of: str
    """The phase that was stopped."""
    part: float
    rate_per_s: float
    seconds: float


class GivenUpWords(_Words):
    """Of the event `given up`: how long it was not over, at least."""

    hold_at_least_s: float | None
    answers: bool | None
    """Whether the target answered in the end; None: nobody could ask."""


def as_details(words: _Words) -> dict[str, Any]:
    """For `Event.details`."""
    return words.model_dump(mode="json")


def first_sentence(says: Sequence[str] | str) -> str:
    """Of a text, what fits on one line of a screen."""
    text = says if isinstance(says, str) else " ".join(says)
    head, stop, _ = text.partition(". ")
    return head + ("." if stop else "")
