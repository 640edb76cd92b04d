"""The wheel: the same strides as the engine's, and what makes them good ones."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maul.plan.sharing import WHEEL_MAX, stride

# crates/engine/src/schedule/tests/shares.rs has the same list
STRIDES = {
    1: 1, 2: 1, 3: 2, 4: 3, 5: 3, 6: 5, 7: 5, 10: 7, 12: 7, 60: 47, 97: 71, 1000: 633, 1024: 625, 10_000: 6181,
    30_030: 18_559, 65_535: 40_502, 65_536: 40_521,
}  # fmt: skip


def test_strides_are_those_of_the_engine() -> None:
    assert {wheel: stride(wheel) for wheel in STRIDES} == STRIDES


@given(wheel=st.integers(1, WHEEL_MAX))
def test_every_place_has_its_turn(wheel: int) -> None:
    assert math.gcd(stride(wheel), wheel) == 1
    assert 1 <= stride(wheel) <= max(1, wheel - 1)
    assert wheel < 200 or abs(stride(wheel) - wheel * 0.618034) < 66


@given(wheel=st.integers(2, 5000), width=st.floats(0.0, 1.0))
def test_any_interval_is_visited_evenly(wheel: int, width: float) -> None:
    places = max(1, min(wheel, round(wheel**width)))
    numbers = np.flatnonzero(np.arange(2 * wheel) * stride(wheel) % wheel < places)
    assert np.diff(numbers).max(initial=0) <= 4 * wheel / places


@pytest.mark.parametrize("wheel", [0, -1, WHEEL_MAX + 1])
def test_no_wheel(wheel: int) -> None:
    with pytest.raises(ValueError, match="a wheel has 1 to 65536 places"):
        stride(wheel)
