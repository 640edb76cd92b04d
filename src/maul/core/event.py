"""Event: something that began, ended, or happened at an instant: a phase, a fault, a guard action, a sensor's gap."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What kind of thing the event tells of."""

    RUN = "run"
    PHASE = "phase"
    LEVEL = "level"
    TRIAL = "trial"
    FAULT = "fault"
    GUARD = "guard"
    AGENT = "agent"
    LINK = "link"
    MITIGATION = "mitigation"
    GAP = "gap"
    LAB = "lab"
    NOTE = "note"


class Edge(StrEnum):
    """Whether the thing began, ended, or has no length."""

    BEGAN = "began"
    ENDED = "ended"
    INSTANT = "instant"


@dataclass(frozen=True, slots=True)
class Event:
    """`at_ns` is Unix time in nanoseconds; `name` pairs a BEGAN with its ENDED; `details` is JSON-able."""

    at_ns: int
    kind: EventKind
    edge: Edge
    name: str
    says: str = ""
    details: dict[str, Any] = field(default_factory=dict)
