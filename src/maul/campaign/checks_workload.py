"""Cross-checks of the workload: does the mix make sense, do the sizes? Of the campaign's, and of every tenant's."""

from collections.abc import Callable, Iterator, Sequence

from maul.campaign.model_keys import HotSet, Latest
from maul.campaign.model_mix import DELETES, PART_SIZE_MIN_BYTES, OpName
from maul.campaign.model_tenants import Tenant
from maul.campaign.model_workload import LognormalSize, UniformSize, WeightedSize, Workload
from maul.campaign.problems import Problem
from maul.campaign.yaml_source import KeyPath
from maul.core.units import show_size


def workload_is_possible(workload: Workload) -> Iterator[Problem]:
    """The campaign's own."""
    return _all(workload, ("workload",))


def workloads_of_tenants_are_possible(tenants: Sequence[Tenant]) -> Iterator[Problem]:
    """Those that tenants bring along."""
    for index, tenant in enumerate(tenants):
        if tenant.workload is not None:
            yield from _all(tenant.workload, ("tenants", index, "workload"))


def _all(workload: Workload, path: KeyPath) -> Iterator[Problem]:
    for check in _CHECKS:
        yield from check(workload, path)


def _mix(workload: Workload, path: KeyPath) -> Iterator[Problem]:
    """Something must be sent, and nothing may be deleted that was not created."""
    weights, path = workload.mix.by_op(), (*path, "mix")
    if not weights:
        yield Problem(path, "every weight is 0, so nothing would be sent; give an operation a weight")
    each: dict[OpName, int] = dict.fromkeys(DELETES, 1) | {"multi_delete": workload.multi_delete_keys}
    deleting = {op: weights[op] * each[op] for op in DELETES if op in weights}
    put, deletes = weights.get("put", 0.0), sum(deleting.values())
    if deletes > put:
        first = next(iter(deleting))
        terms = " + ".join(
            f"{op} {weights[op]:g}" + (f" × {each[op]:g} keys" if each[op] > 1 else "") for op in deleting
        )
        shown = f"{deletes:g}" if terms == f"delete {deletes:g}" else f"{terms} = {deletes:g}"
        yield Problem(
            (*path, first),
            f"deletes ({shown}) outweigh puts ({put:g}): only objects that this run created are deleted; "
            f"lower {first} or raise put",
        )
    if "get_deleted" in weights and not deleting:
        says = "reads what this run deleted, and nothing is deleted; give delete a weight, or drop it"
        yield Problem((*path, "get_deleted"), says)
    if "get_part" in weights and "multipart" not in weights:
        says = "reads parts of multipart uploads, and there are none; give multipart a weight, or drop it"
        yield Problem((*path, "get_part"), says)


def _sizes(workload: Workload, path: KeyPath) -> Iterator[Problem]:
    """Bounds in order, weights not all zero."""
    size, path = workload.size, (*path, "size")
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


def _keys(workload: Workload, path: KeyPath) -> Iterator[Problem]:
    """A hot set has at least one key; the newest keys and the living ones are those that puts create."""
    keys, mix, path = workload.keys, workload.mix.by_op(), (*path, "keys")
    if isinstance(keys, HotSet) and keys.hot_set.keys * workload.objects < 1:
        part = keys.hot_set.keys
        yield Problem(
            (*path, "hot_set", "keys"),
            f"{part:.6g} × {workload.objects:,} objects = {part * workload.objects:.3g} keys, less than one; "
            "raise it, or objects",
        )
    if (isinstance(keys, Latest) or keys == "churn") and not any(op in mix for op in DELETES):
        yield Problem(
            path,
            "asks for objects that puts create beside the base ones, and they do so only to feed deletes: there are "
            "none; give delete a weight, or choose other keys",
        )


def _multipart(workload: Workload, path: KeyPath) -> Iterator[Problem]:
    """S3 refuses a small part unless it is the last, and all parts of ours are alike."""
    shape, path = workload.multipart, (*path, "multipart")
    if shape.parts > 1 and shape.part_size_bytes < PART_SIZE_MIN_BYTES:
        yield Problem(
            (*path, "part_size"),
            f"a part of {show_size(shape.part_size_bytes)} is refused by S3; give at least "
            f"{show_size(PART_SIZE_MIN_BYTES)}, or one part",
        )
    if shape.part_size_bytes == 0 and shape.parts == 1:
        yield Problem((*path, "part_size"), "an upload needs at least one byte")
    if shape.parallel > shape.parts:
        says = f"{shape.parallel} parts at once, and an upload has {shape.parts}; lower it"
        yield Problem((*path, "parallel"), says)


_CHECKS: tuple[Callable[[Workload, KeyPath], Iterator[Problem]], ...] = (_mix, _sizes, _keys, _multipart)
