"""The network of a run, as its summary tells of it: links, canaries, the trickle, who was cut. Bits per second."""

from pydantic import BaseModel, ConfigDict

from maul.core.verdict import VerdictName


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LinkSummary(_Part):
    """One direction of a link that was to carry our load. Bits per second; `seen` is everybody's traffic together.

    None: nothing told. `over_cap_s`: how long it carried more than its cap; `cuts`: how often load was cut for it.
    """

    name: str
    shared: bool
    capacity_bps: float
    cap_bps: float
    background_bps: float
    planned_bps: float
    """Of ours, at the heaviest moment of the plan."""
    before_bps: float | None
    """Of others, before we began."""
    seen_mean_bps: float | None
    seen_max_bps: float | None
    predicted_max_bps: float | None
    """Of ours, by what was really sent."""
    discards: float | None
    """Frames thrown away while the run lasted, beyond what was usual before it."""
    down_s: float
    over_cap_s: float
    cuts: int
    unwatched: str = ""
    """Why nothing was told of it; empty when it was watched."""


class CanarySummary(_Part):
    """What customers felt of each other. None: nothing was measured."""

    name: str
    before_p99_ms: float | None
    p99_ms: float | None
    """Median of the p99 of its measurements while we sent."""
    worst_p99_ms: float | None
    sent: float
    lost: float
    harmed: list[str] = []
    """Each harm that was called, in words."""


class TrickleRowSummary(_Part):
    """One direction while one rack sent its trickle. Bits per second of ours; `noise`: what was seen may be off by."""

    rack: str
    link: str
    predicted_bps: float
    seen_bps: float | None
    noise_bps: float
    verdict: VerdictName
    says: str = ""


class PartSpan(_Part):
    """How far the guard cut one agent at most, and for how long it sent less than its whole part."""

    agent: str
    least: float
    seconds: float


class NetworkSummary(_Part):
    """What the run was to the network, and to those who use it too."""

    links: list[LinkSummary]
    canaries: list[CanarySummary]
    trickle: list[TrickleRowSummary] = []
    trickle_verdict: VerdictName | None = None
    """None: no trickle was sent."""
    trickle_says: str = ""
    cut: list[PartSpan] = []
    frozen_s: float = 0.0
    """How long the guard was blind."""
    says: str = ""
