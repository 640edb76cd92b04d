"""What the link guard leaves in the record: events of kind LINK. Written by `link_guard` and `trickle`, read by
`network_story`; nowhere else.

links · which directions are watched and which are not, once, before anything is sent · trickle · what became of each
rack's trickle · telemetry · from when the guard was blind to when it was not · DIRECTION · more than was predicted.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from maul.core.network_summary import TrickleRowSummary
from maul.core.verdict import VerdictName

LINKS, TRICKLE, TELEMETRY = "links", "trickle", "telemetry"
PREDICTED_BPS, PART = "predicted_bps", "part"
"""Metrics of samples: of probe `link`, what of ours each direction should carry; of probe `guard`, what each agent may
send."""


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LinksWords(_Words):
    """Of the event `links`: before the load. By direction, bits per second of others; by canary, p99 in ms and loss."""

    watched: dict[str, float]
    unwatched: dict[str, str]
    """Directions that carry our load and that nothing tells of, and why."""
    canaries: dict[str, tuple[float | None, float]] = {}
    silent_canaries: tuple[str, ...] = ()
    every_s: float = 1.0


class TrickleWords(_Words):
    """Of the event `trickle`."""

    verdict: VerdictName
    says: str
    rows: tuple[TrickleRowSummary, ...]


def as_details(words: _Words) -> dict[str, Any]:
    """For `Event.details`."""
    return words.model_dump(mode="json")
