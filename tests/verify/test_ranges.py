"""Ranges that cover keys."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maul.core.operation import REGION_SHIFT, Region
from maul.verify.ranges import KeyRange, key_ranges


def keys(*numbers: int) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    return np.array(numbers, np.uint64)


E = Region.EPHEMERAL << REGION_SHIFT


def test_nothing() -> None:
    assert key_ranges(keys()) == []


def test_a_run_of_neighbours_is_one_range() -> None:
    assert key_ranges(keys(3, 4, 5, 4)) == [KeyRange(Region.BASE, 3, 3)]


def test_regions_are_never_joined() -> None:
    assert key_ranges(keys(1, E | 1, E | 2), 1) == [
        KeyRange(Region.BASE, 1, 1),
        KeyRange(Region.EPHEMERAL, 1, 2),
    ]


def test_cuts_at_the_widest_gaps() -> None:
    assert [(r.start, r.count) for r in key_ranges(keys(0, 10, 1000, 1005), 2)] == [(0, 11), (1000, 6)]


@given(st.sets(st.integers(0, 300)), st.sets(st.integers(0, 300)), st.integers(1, 9))
def test_covers_every_key_within_the_bound(base: set[int], ephemeral: set[int], most: int) -> None:
    wanted = base | {E | index for index in ephemeral}
    ranges = key_ranges(keys(*wanted), most)
    regions = bool(base) + bool(ephemeral)
    assert len(ranges) <= max(most, regions)
    covered = [(int(r.region) << REGION_SHIFT) + r.start + i for r in ranges for i in range(r.count)]
    assert all(r.count >= 1 for r in ranges)
    assert wanted <= set(covered)
    assert len(covered) == len(set(covered))
    assert all((int(r.region) << REGION_SHIFT | r.start) in wanted for r in ranges)
