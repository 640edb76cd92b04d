"""Cross-checks of the workload: does the mix make sense, do the sizes?"""

from collections.abc import Iterator

from maul.campaign.model_workload import (
    PART_SIZE_MIN_BYTES,
    LognormalSize,
    UniformSize,
    WeightedSize,
    Workload,
)
from maul.campaign.problems import Problem
from maul.core.units import show_size


def mix_is_possible(workload: Workload) -> Iterator[Problem]:
    """Something must be sent, and nothing may be deleted that was not created."""
    mix, path = workload.mix, ("workload", "mix")
    if not mix.by_op():
        yield Problem(path, "every weight is 0, so nothing would be sent; give an operation a weight")
    if mix.delete > mix.put:
        yield Problem(
            (*path, "delete"),
            f"deletes ({mix.delete:g}) outweigh puts ({mix.put:g}): only objects that this run created are deleted; "
            "lower delete or raise put",
        )


def sizes_are_possible(workload: Workload) -> Iterator[Problem]:
    """Bounds in order, weights not all zero."""
    size, path = workload.size, ("workload", "size")
    if isinstance(size, UniformSize) and size.uniform[0] > size.uniform[1]:
        low, high = map(show_size, size.uniform)
        yield Problem((*path, "uniform"), f"the smallest size ({low}) is above the largest ({high}); swap them")
    if isinstance(size, LognormalSize) and size.lognormal.median_bytes > size.lognormal.max_bytes:
        median, most = show_size(size.lognormal.median_bytes), show_size(size.lognormal.max_bytes)
        yield Problem((*path, "lognormal", "max"), f"the cut ({most}) is below the median ({median}); raise max")
    if isinstance(size, LognormalSize) and size.lognormal.median_bytes == 0:
        yield Problem((*path, "lognormal", "median"), "the median must be more than 0")
    if isinstance(size, WeightedSize) and not any(bucket.weight for bucket in size.weighted):
        yield Problem((*path, "weighted"), "every weight is 0; give a size a weight")


def multipart_is_possible(workload: Workload) -> Iterator[Problem]:
    """S3 refuses a small part unless it is the last, and all parts of ours are alike."""
    shape, path = workload.multipart, ("workload", "multipart")
    if shape.parts > 1 and shape.part_size_bytes < PART_SIZE_MIN_BYTES:
        yield Problem(
            (*path, "part_size"),
            f"a part of {show_size(shape.part_size_bytes)} is refused by S3; give at least "
            f"{show_size(PART_SIZE_MIN_BYTES)}, or one part",
        )
    if shape.parts == 1 and shape.part_size_bytes == 0:
        yield Problem((*path, "part_size"), "an upload needs at least one byte")
