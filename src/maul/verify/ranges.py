"""Keys as ranges that a sequential pass of the engine can read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maul.core.operation import REGION_SHIFT, Region

_INDEX_MASK = (1 << REGION_SHIFT) - 1


@dataclass(frozen=True, slots=True)
class KeyRange:
    """`count` keys of a region from index `start` on."""

    region: Region
    start: int
    count: int


def key_ranges(keys: NDArray[np.uint64], ranges_max: int = 16) -> list[KeyRange]:
    """Ranges that cover all keys with as little in between as so many ranges can.

    There are at most `ranges_max` of them, but at least one for each region that has keys.

    >>> [(found.start, found.count) for found in key_ranges(np.array([1, 2, 3, 90, 91], np.uint64), 2)]
    [(1, 3), (90, 2)]
    """
    ordered = np.unique(keys.astype(np.uint64))
    if not len(ordered):
        return []
    regions = ordered[1:] >> np.uint64(REGION_SHIFT) != ordered[:-1] >> np.uint64(REGION_SHIFT)
    gaps = ordered[1:] - ordered[:-1]
    must = np.flatnonzero(regions)
    # cut at the widest gaps; neighbours are never cut apart
    widest = np.argsort(gaps, kind="stable")[::-1]
    may = widest[(gaps[widest] > 1) & ~regions[widest]]
    cuts = np.sort(np.concatenate([must, may[: max(0, ranges_max - 1 - len(must))]])).astype(np.int64)
    firsts = ordered[np.append(0, cuts + 1)]
    lasts = ordered[np.append(cuts, len(ordered) - 1)]
    return [
        KeyRange(Region(int(a) >> REGION_SHIFT), int(a) & _INDEX_MASK, int(b) - int(a) + 1)
        for a, b in zip(firsts, lasts, strict=True)
    ]
