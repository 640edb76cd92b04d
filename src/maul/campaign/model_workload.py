"""What is sent: how many objects, how large, which keys, which operations."""

import math
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from maul.campaign.model_keys import KeyChoice
from maul.campaign.model_mix import ListShape, Mix, MultipartShape
from maul.campaign.model_requests import Connections, Slow
from maul.campaign.part import Part
from maul.campaign.quantities import OBJECTS_MAX, ObjectSize, Real, Seconds, Whole


class UniformSize(Part):
    """Every size between two bounds is equally likely."""

    uniform: tuple[ObjectSize, ObjectSize]
    """The smallest and the largest size."""

    @property
    def mean_bytes(self) -> float:
        """Mean size."""
        return sum(self.uniform) / 2

    @property
    def max_bytes(self) -> int:
        """Largest size."""
        return max(self.uniform)


class Lognormal(Part):
    """Parameters of a lognormal distribution, cut at `max`."""

    median_bytes: ObjectSize = Field(alias="median")
    """Half of the objects are smaller."""
    sigma: Real = Field(gt=0, le=5)
    """Spread of the logarithm: 0.5 is narrow, 2 is wild."""
    max_bytes: ObjectSize = Field(alias="max")
    """Larger draws are cut to this."""


class LognormalSize(Part):
    """Many small objects and a long tail of large ones, as real stores have."""

    lognormal: Lognormal

    @property
    def mean_bytes(self) -> float:
        """An upper bound of the mean: that of the uncut distribution, and never above the cut."""
        uncut = self.lognormal.median_bytes * math.exp(self.lognormal.sigma**2 / 2)
        return min(uncut, float(self.lognormal.max_bytes))

    @property
    def max_bytes(self) -> int:
        """Largest size."""
        return self.lognormal.max_bytes


class SizeBucket(Part):
    """One size and how often it comes."""

    size_bytes: ObjectSize = Field(alias="size")
    """Bytes of the object."""
    weight: Real = Field(ge=0)
    """Its share, relative to the other weights."""


class WeightedSize(Part):
    """A few sizes, each with a weight."""

    weighted: tuple[SizeBucket, ...] = Field(min_length=1, max_length=64)

    @property
    def mean_bytes(self) -> float:
        """Mean size; 0 when no size has a weight."""
        total = math.fsum(bucket.weight for bucket in self.weighted)
        return math.fsum(b.size_bytes * b.weight for b in self.weighted) / total if total else 0.0

    @property
    def max_bytes(self) -> int:
        """Largest size that comes at all."""
        return max((b.size_bytes for b in self.weighted if b.weight > 0), default=0)


SIZE_FORMS: dict[str, type[Part]] = {"uniform": UniformSize, "lognormal": LognormalSize, "weighted": WeightedSize}


def _size_form(value: object) -> str | None:
    if isinstance(value, dict):
        forms = [str(key) for key in value if key in SIZE_FORMS]
        return forms[0] if len(forms) == 1 else None
    return next((form for form, model in SIZE_FORMS.items() if isinstance(value, model)), "fixed")


Sizes = Annotated[
    Annotated[ObjectSize, Tag("fixed")]
    | Annotated[UniformSize, Tag("uniform")]
    | Annotated[LognormalSize, Tag("lognormal")]
    | Annotated[WeightedSize, Tag("weighted")],
    Discriminator(
        _size_form,
        custom_error_type="which_one",
        custom_error_message="a size is a number such as 4KiB, or exactly one of: uniform, lognormal, weighted",
    ),
]


def mean_size_bytes(sizes: int | UniformSize | LognormalSize | WeightedSize) -> float:
    """The mean size of an object.

    >>> mean_size_bytes(UniformSize(uniform=(0, 1000)))
    500.0
    """
    return float(sizes) if isinstance(sizes, int) else sizes.mean_bytes


class Workload(Part):
    """What the clients do."""

    objects: Whole = Field(ge=1, le=OBJECTS_MAX)
    """Objects of the base key space, filled by a `prepare` phase."""
    size: Sizes
    """Bytes of an object: one number, or `uniform`, `lognormal`, `weighted`."""
    keys: KeyChoice = "uniform"
    """Which object comes next: `uniform`, `sequential` (or `scan`), `churn` (any object that the run created and did
    not delete), `{zipf: 0.99}`, `{latest: 0.99}`, `{hot_set: {keys: 1%, traffic: 90%, moves_every: 30s}}`."""
    mix: Mix
    """Operations and their weights."""
    multipart: MultipartShape = MultipartShape()
    """The shape of multipart uploads, where the mix has any."""
    listing: ListShape = Field(default=ListShape(), alias="list")
    """The shape of listings, where the mix has any."""
    range_bytes: ObjectSize = Field(default=65_536, alias="range_size", ge=1)
    """Bytes that a `get_range` asks for."""
    multi_delete_keys: Whole = Field(default=100, ge=1, le=1000)
    """Keys of one `multi_delete`."""
    retention_s: Seconds = Field(default=60.0, alias="retention", ge=1, le=86_400)
    """How long `put_retention` locks an object."""
    connections: Connections = Connections()
    """How connections are used, unless a phase says otherwise."""
    slow: Slow | None = None
    """Clients that are slow on purpose, unless a phase says otherwise."""
