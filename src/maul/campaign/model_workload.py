"""What is sent: how many objects, how large, which keys, which operations."""

import math
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from maul.campaign.part import Part
from maul.campaign.quantities import OBJECTS_MAX, ObjectSize, Real, Whole

PART_SIZE_MIN_BYTES = 5 * 2**20  # S3 refuses a smaller part unless it is the last


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


class Zipf(Part):
    """Few keys are asked for often, most hardly ever."""

    zipf: Real = Field(gt=0, le=5)
    """The exponent; 0.99 is the usual web-like skew."""


def _keys_kind(value: object) -> str:
    return "zipf" if isinstance(value, dict | Zipf) else "name"


KeyChoice = Annotated[
    Annotated[Literal["uniform", "sequential"], Tag("name")] | Annotated[Zipf, Tag("zipf")],
    Discriminator(_keys_kind),
]

Weight = Annotated[Real, Field(ge=0)]


class Mix(Part):
    """How often each operation comes, relative to the others."""

    get: Weight = 0.0
    """Read an object of the base key space, and verify every byte."""
    put: Weight = 0.0
    """Overwrite an object of the base key space, or create one to be deleted later."""
    head: Weight = 0.0
    """Ask for an object's metadata."""
    delete: Weight = 0.0
    """Delete an object that a put of this campaign created: cannot outweigh `put`."""
    listing: Weight = Field(default=0.0, alias="list")
    """List keys under the run's prefix."""
    multipart: Weight = 0.0
    """A whole multipart upload counts as one operation."""

    def by_op(self) -> dict[str, float]:
        """The operations that come at all, in the engine's names, with their weights."""
        weights = {
            "put": self.put, "get": self.get, "head": self.head,
            "delete": self.delete, "list": self.listing, "multipart": self.multipart,
        }  # fmt: skip
        return {op: weight for op, weight in weights.items() if weight > 0}


class MultipartShape(Part):
    """The shape of every multipart upload."""

    parts: Whole = Field(default=2, ge=1, le=10_000)
    """Parts of one upload."""
    part_size_bytes: ObjectSize = Field(default=PART_SIZE_MIN_BYTES, alias="part_size")
    """Bytes of each part; S3 wants 5 MiB or more."""
    objects: Whole = Field(default=8, ge=1, le=OBJECTS_MAX)
    """Distinct keys, written round and round."""

    @property
    def object_bytes(self) -> int:
        """Bytes of one whole object."""
        return self.parts * self.part_size_bytes

    @property
    def requests(self) -> int:
        """HTTP requests of one upload: create, the parts, complete."""
        return self.parts + 2


class ListShape(Part):
    """The shape of every listing."""

    max_keys: Whole = Field(default=100, ge=1, le=1000)
    """Keys of one answer."""


class Workload(Part):
    """What the clients do."""

    objects: Whole = Field(ge=1, le=OBJECTS_MAX)
    """Objects of the base key space, filled by a `prepare` phase."""
    size: Sizes
    """Bytes of an object: one number, or `uniform`, `lognormal`, `weighted`."""
    keys: KeyChoice = "uniform"
    """Which object comes next: `uniform`, `sequential`, or `{zipf: 0.99}`."""
    mix: Mix
    """Operations and their weights."""
    multipart: MultipartShape = MultipartShape()
    """The shape of multipart uploads, where the mix has any."""
    listing: ListShape = Field(default=ListShape(), alias="list")
    """The shape of listings, where the mix has any."""
