"""Shapes: sizes, keys, uploads and listings of a workload in the engine's words."""

from collections.abc import Mapping

from maul.campaign.model_keys import HotSet, Latest, Zipf
from maul.campaign.model_mix import OpName
from maul.campaign.model_workload import LognormalSize, UniformSize, WeightedSize, Workload
from maul.plan.engine_plan import (
    FixedSizes,
    KeyChoice,
    Listing,
    LognormalSizes,
    Multipart,
    SizeBucket,
    UniformSizes,
    WeightedSizes,
)

Sizes = FixedSizes | UniformSizes | LognormalSizes | WeightedSizes
IN_PARTS: tuple[OpName, ...] = ("multipart", "multipart_abort", "get_part")
"""Operations that need the shape of uploads."""


def engine_sizes(workload: Workload) -> Sizes:
    """The size distribution."""
    size = workload.size
    if isinstance(size, UniformSize):
        return UniformSizes(min=size.uniform[0], max=size.uniform[1])
    if isinstance(size, LognormalSize):
        shape = size.lognormal
        return LognormalSizes(median=float(shape.median_bytes), sigma=shape.sigma, max=shape.max_bytes)
    if isinstance(size, WeightedSize):
        buckets = tuple(SizeBucket(bytes=b.size_bytes, weight=b.weight) for b in size.weighted)
        return WeightedSizes(buckets=buckets)
    return FixedSizes(bytes=size)


def engine_multipart(workload: Workload, mix: Mapping[OpName, float]) -> Multipart | None:
    """The shape of uploads; None where the mix has none."""
    if not any(op in mix for op in IN_PARTS):
        return None
    shape = workload.multipart
    return Multipart(
        parts=shape.parts, part_bytes=shape.part_size_bytes, objects=shape.objects, parallel=shape.parallel
    )


def engine_listing(workload: Workload) -> Listing:
    """The shape of listings."""
    shape = workload.listing
    return Listing(max_keys=shape.max_keys, delimiter=shape.delimiter, pages=shape.pages)


def engine_keys(workload: Workload) -> KeyChoice:
    """The key choice."""
    keys = workload.keys
    if isinstance(keys, Zipf):
        return KeyChoice(kind="zipf", exponent=keys.zipf)
    if isinstance(keys, Latest):
        return KeyChoice(kind="latest", exponent=keys.latest)
    if isinstance(keys, HotSet):
        shape = keys.hot_set
        return KeyChoice(kind="hot_set", keys=shape.keys, traffic=shape.traffic, moves_every_s=shape.moves_every_s)
    return KeyChoice(kind="sequential" if keys == "scan" else keys)
