"""When it is sent: phases in order.

Timed phases follow a profile whatever the target does; the others run once through.
"""

from typing import Annotated, Literal

from pydantic import Field

from maul.campaign.part import Part
from maul.campaign.quantities import Flag, Name, Rate, Ratio, Seconds, Whole

LEVELS_MAX = 200


class Steps(Part):
    """Levels of constant rate, one after the other."""

    from_per_s: Rate = Field(alias="from")
    """Rate of the first level."""
    to_per_s: Rate = Field(alias="to")
    """Rate of the last level."""
    count: Whole = Field(ge=1, le=LEVELS_MAX)
    """How many levels."""
    each_s: Seconds = Field(alias="each")
    """How long each level lasts."""
    spacing: Literal["geometric", "linear"] = "geometric"
    """Geometric: each level is the same factor above the last. Linear: the same amount."""

    def rates_per_s(self) -> list[float]:
        """The rate of every level.

        >>> Steps.model_validate({"from": 100, "to": 400, "count": 3, "each": "4s"}).rates_per_s()
        [100.0, 200.0, 400.0]
        """
        if self.count == 1:
            return [self.from_per_s]
        shares = [index / (self.count - 1) for index in range(self.count)]
        low, high = self.from_per_s, self.to_per_s
        if self.spacing == "linear":
            return [round(low + (high - low) * share, 3) for share in shares]
        return [round(low * (high / low) ** share, 3) for share in shares]


class Ramp(Part):
    """A rate that rises or falls evenly."""

    from_per_s: Rate = Field(alias="from")
    """Rate at the beginning."""
    to_per_s: Rate = Field(alias="to")
    """Rate at the end."""
    over_s: Seconds = Field(alias="over")
    """How long it takes."""


class Until(Part):
    """The steps end early when the target has given way."""

    achieved_below: Ratio
    """A level gave way when less than this part of its arrivals was answered well …"""
    levels: Whole = Field(default=1, ge=1, le=LEVELS_MAX)
    """… and so did this many levels in a row."""


class PreparePhase(Part):
    """Fill the base key space once: every object is put, one pass, fixed concurrency."""

    name: Name
    kind: Literal["prepare"]
    concurrency: Whole = Field(default=16, ge=1, le=65_535)
    """Requests in flight."""


class _Timed(Part):
    """A phase with a profile: `rate` and `for`, or `steps`, or `ramp`."""

    rate_per_s: Rate | None = Field(default=None, alias="rate")
    """A constant rate; needs `for`."""
    for_s: Seconds | None = Field(default=None, alias="for")
    """How long the constant rate lasts."""
    ramp: Ramp | None = None
    """An even rise or fall."""
    steps: Steps | None = None
    """Levels of constant rate: how the capacity is found."""

    @property
    def seconds(self) -> float:
        """Planned length."""
        if self.steps:
            return self.steps.count * self.steps.each_s
        return self.ramp.over_s if self.ramp else self.for_s or 0.0

    @property
    def peak_per_s(self) -> float:
        """Highest planned rate."""
        if self.steps:
            return max(self.steps.rates_per_s())
        return max(self.ramp.from_per_s, self.ramp.to_per_s) if self.ramp else self.rate_per_s or 0.0

    @property
    def arrivals(self) -> float:
        """Planned arrivals: the integral of the rate."""
        if self.steps:
            return sum(self.steps.rates_per_s()) * self.steps.each_s
        if self.ramp:
            return (self.ramp.from_per_s + self.ramp.to_per_s) / 2 * self.ramp.over_s
        return (self.rate_per_s or 0.0) * (self.for_s or 0.0)


class WarmUpPhase(_Timed):
    """Load that lets caches, connections and just-in-time things settle; judged only where an objective names it."""

    name: Name
    kind: Literal["warm-up"]


class LoadPhase(_Timed):
    """Load at exact rates, open loop: arrivals do not wait for answers."""

    name: Name
    kind: Literal["load"]
    until: Until | None = None
    """With `steps`: end early when the target has given way."""


class AuditPhase(Part):
    """Read every object back, through every endpoint named, and compare with what was acknowledged."""

    name: Name
    kind: Literal["audit"]
    through: tuple[Name, ...] = Field(default=(), max_length=64)
    """Endpoints to read through; every gateway of the site when empty."""
    concurrency: Whole = Field(default=16, ge=1, le=65_535)
    """Requests in flight."""
    listing: Flag = Field(default=True, alias="list")
    """Whether listings are compared too."""


class CleanUpPhase(Part):
    """Delete what this run wrote, and prove that it is gone."""

    name: Name
    kind: Literal["clean-up"]
    concurrency: Whole = Field(default=16, ge=1, le=65_535)
    """Requests in flight."""


TimedPhase = WarmUpPhase | LoadPhase
OncePhase = PreparePhase | AuditPhase | CleanUpPhase
Phase = Annotated[PreparePhase | WarmUpPhase | LoadPhase | AuditPhase | CleanUpPhase, Field(discriminator="kind")]
