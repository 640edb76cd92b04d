"""How `maul limit` searches for the highest rate that still meets the objectives."""

from typing import Literal

from pydantic import Field

from maul.campaign.model_mix import OpName, Weight
from maul.campaign.part import Part
from maul.campaign.quantities import (
    OBJECTS_MAX,
    Bandwidth,
    Name,
    ObjectSize,
    Rate,
    Ratio,
    Seconds,
    SecondsOrZero,
    Whole,
)

AxisName = Literal["requests", "bytes", "connections"]
AXES: tuple[AxisName, ...] = ("requests", "bytes", "connections")


class RateAxis(Part):
    """Where to search on an axis that counts per second."""

    from_per_s: Rate | None = Field(default=None, alias="from")
    """The lowest rate, also sent while the target cools down; when absent 50/s (connections: 20/s), or less."""
    to_per_s: Rate | None = Field(default=None, alias="to")
    """The highest rate that may be asked; when absent what `limits` allows."""
    objectives: tuple[Name, ...] = Field(default=(), max_length=100)
    """Objectives that decide, by name; when absent all that speak of an operation of this axis, or of none."""


class LargeMix(Part):
    """What is done with large objects."""

    get: Weight = 1.0
    """Read one, and verify every byte."""
    put: Weight = 0.0
    """Overwrite one: a store that keeps the old version until it compacts fills its disks."""

    def by_op(self) -> dict[OpName, float]:
        """The operations that come at all, with their weights."""
        named: dict[OpName, float] = {"get": self.get, "put": self.put}
        return {op: weight for op, weight in named.items() if weight > 0}


class BytesAxis(Part):
    """Where to search for the most bytes per second, with large objects of their own."""

    from_bytes_per_s: Bandwidth | None = Field(default=None, alias="from")
    """The lowest bandwidth; when absent that of ten objects per second, or less."""
    to_bytes_per_s: Bandwidth | None = Field(default=None, alias="to")
    """The highest that may be asked; when absent what `limits` allows."""
    size_bytes: ObjectSize = Field(default=4 * 2**20, alias="size", ge=1)
    """Bytes of one object. Larger ones make longer trials: each needs 50 operations."""
    objects: Whole = Field(default=16, ge=1, le=OBJECTS_MAX)
    """How many; they are written before, beside those of the workload."""
    mix: LargeMix = LargeMix()
    """Reads and writes; only reads when absent."""
    objectives: tuple[Name, ...] = Field(default=(), max_length=100)
    """As on the other axes."""


class LimitSearch(Part):
    """The search of `maul limit`: growing steps, then bisection with longer trials, then a soak below the answer."""

    axes: tuple[AxisName, ...] = Field(default=("requests",), min_length=1, max_length=3)
    """What is raised: requests, bytes, or new connections per second; one after the other."""
    requests: RateAxis = RateAxis()
    """The campaign's own mix."""
    bytes: BytesAxis = BytesAxis()
    """Large objects."""
    connections: RateAxis = RateAxis()
    """HEAD requests, each on a new connection without TLS resumption."""
    trial_s: Seconds = Field(default=4.0, alias="trial", le=3600)
    """The first, short trials."""
    confirm_s: Seconds = Field(default=20.0, alias="confirm", le=36_000)
    """Trial time that a bound of the answer needs; at most a fifth of it may have been bad."""
    soak_s: SecondsOrZero = Field(default=30.0, alias="soak", le=86_400)
    """The last, long trial at 0.95 of the lower bound; 0 leaves it out."""
    cool_down_s: Seconds = Field(default=30.0, alias="cool_down", le=3600)
    """After a bad trial: how long the target may take until its median latency is back within 10 %."""
    width: Ratio = Field(default=0.05, gt=0)
    """How narrow the answer shall be: (upper - lower) / lower."""
    search_s: Seconds = Field(default=900.0, alias="at_most", le=86_400)
    """The search of one axis ends after this time with what it knows."""
