"""Profiles: when operations are due in a timed phase."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from maul.campaign.part import Part
from maul.campaign.quantities import Flag, Name, Rate, Real, Seconds, SecondsOrZero, Whole

LEVELS_MAX = 200


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a profile: the rate goes evenly from one value to another, and a wave may lie on it."""

    from_per_s: float
    to_per_s: float
    seconds: float
    amplitude_per_s: float = 0.0
    period_s: float = 0.0

    @property
    def peak_per_s(self) -> float:
        """Highest rate."""
        return max(self.from_per_s, self.to_per_s) + self.amplitude_per_s

    @property
    def arrivals(self) -> float:
        """The integral of the rate."""
        even = (self.from_per_s + self.to_per_s) / 2 * self.seconds
        if not self.period_s:
            return even
        turn = 2 * math.pi / self.period_s
        return even + self.amplitude_per_s / turn * (1 - math.cos(turn * self.seconds))


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

    def stretches(self) -> Iterator[Stretch]:
        """One for each level."""
        return (Stretch(rate, rate, self.each_s) for rate in self.rates_per_s())


class Ramp(Part):
    """A rate that rises or falls evenly."""

    from_per_s: Rate = Field(alias="from")
    """Rate at the beginning."""
    to_per_s: Rate = Field(alias="to")
    """Rate at the end."""
    over_s: Seconds = Field(alias="over")
    """How long it takes."""

    def stretches(self) -> Iterator[Stretch]:
        """One."""
        yield Stretch(self.from_per_s, self.to_per_s, self.over_s)


class Spike(Part):
    """A calm rate, a sudden peak, and the calm again: does the target come back?"""

    base_per_s: Rate = Field(alias="base")
    """The calm rate."""
    peak_per_s: Rate = Field(alias="peak")
    """The rate of the peak."""
    at_s: Seconds = Field(alias="at")
    """When the peak begins."""
    for_s: Seconds = Field(alias="for")
    """How long the peak lasts."""
    total_s: Seconds = Field(alias="total")
    """How long all of it lasts."""

    def stretches(self) -> Iterator[Stretch]:
        """Before, during and after the peak."""
        yield Stretch(self.base_per_s, self.base_per_s, self.at_s)
        yield Stretch(self.peak_per_s, self.peak_per_s, self.for_s)
        after_s = round(self.total_s - self.at_s - self.for_s, 9)
        if after_s > 0:
            yield Stretch(self.base_per_s, self.base_per_s, after_s)


class Sine(Part):
    """A rate that swings around its mean, as days and nights do."""

    mean_per_s: Rate = Field(alias="mean")
    """The rate in the middle, where it begins, rising."""
    amplitude_per_s: Rate = Field(alias="amplitude")
    """How far it swings to either side; at most the mean."""
    period_s: Seconds = Field(alias="period")
    """Length of one whole swing."""
    for_s: Seconds = Field(alias="for")
    """How long all of it lasts."""

    def stretches(self) -> Iterator[Stretch]:
        """One."""
        yield Stretch(self.mean_per_s, self.mean_per_s, self.for_s, self.amplitude_per_s, self.period_s)


class Think(Part):
    """The pause of a closed loop's client before its next operation."""

    mean_s: SecondsOrZero = Field(alias="mean", le=3600)
    """On average."""
    exponential: Flag = False
    """Exponentially distributed, as people's pauses are, instead of always alike."""


class Closed(Part):
    """So many clients, each waiting for its answer: for comparison only. It slows down with the target and hides
    outages."""

    clients: Whole = Field(ge=1, le=65_535)
    """Operations in flight, always."""
    for_s: Seconds = Field(alias="for")
    """How long."""
    think: Think | None = None
    """A pause before each operation; none when absent."""


class TraceSource(Part):
    """The arrivals of an earlier run, again: the same operations on the same keys at the same moments."""

    run: str = Field(min_length=1, max_length=4096)
    """Its run id, a path, or `latest`."""
    phase: Name
    """Which phase of it."""
    speed: Real = Field(default=1.0, ge=0.01, le=1000)
    """Twice as fast: 2."""
