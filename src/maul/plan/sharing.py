"""Which arrivals are whose: a wheel and its stride (`crates/engine/src/schedule/numbers.rs`, in Python)."""

import functools
import math

STRIDE_REACH = 64
WHEEL_MAX = 65_536


@functools.cache
def stride(wheel: int) -> int:
    """How many places lie between an arrival and the next one on a wheel of so many places (1 to WHEEL_MAX).

    Arrival k stands at place (k * stride) mod wheel. Of the whole numbers coprime to the wheel and at most 64 from
    its golden section, the one whose continued fraction (stride / wheel) has the smallest greatest term, so that any
    interval of places is visited evenly in time; of several the nearest. ValueError for no such wheel.

    >>> [stride(wheel) for wheel in (1, 2, 3, 10, 1000)]
    [1, 1, 2, 7, 633]
    """
    if not 1 <= wheel <= WHEEL_MAX:
        raise ValueError(f"a wheel has 1 to {WHEEL_MAX} places, not {wheel}")
    if wheel <= 2:
        return 1
    golden = wheel * ((math.sqrt(5.0) - 1.0) / 2.0)
    near = range(max(1, int(golden) - STRIDE_REACH), min(int(golden) + 1 + STRIDE_REACH, wheel - 1) + 1)
    coprime = (one for one in near if math.gcd(one, wheel) == 1)
    return min(coprime, key=lambda one: (_greatest_term(one, wheel), abs(one - golden)))


def _greatest_term(part: int, whole: int) -> int:
    """Of the continued fraction of part / whole."""
    greatest = 0
    while part:
        greatest = max(greatest, whole // part)
        whole, part = part, whole % part
    return greatest
