"""Shares: parts of the load become whole numbers of places in the wheel, without breaking what they kept."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from maul.plan.placement.wiring import Floats
from maul.plan.sharing import WHEEL_MAX

WHEELS = (55_440, 65_520, 50_400, 64_800, 60_060, WHEEL_MAX)  # many divisors: halves, thirds, sevenths … come out even
MOVES_MAX = 5000


def widths_of(parts: Sequence[float], wheel: int) -> list[int]:
    """The wheel divided as the parts say, at least one place each; they add up to it.

    >>> widths_of([0.5, 0.25, 0.25], 10), widths_of([1, 1, 1], 4), widths_of([1, 1e-9], 10)
    ([5, 3, 2], [2, 1, 1], [9, 1])
    """
    total = math.fsum(parts)
    exact = [wheel * one / total for one in parts]
    found = [max(1, math.floor(one + 1e-9)) for one in exact]
    by_rest = sorted(range(len(found)), key=lambda place: found[place] - exact[place])
    while sum(found) < wheel:
        for place in by_rest[: wheel - sum(found)]:
            found[place] += 1
    while sum(found) > wheel:
        largest = max(range(len(found)), key=lambda place: found[place] - exact[place] if found[place] > 1 else -wheel)
        found[largest] -= 1
    return found


def rounded(
    parts: Sequence[float], breaks: Callable[[Floats], float], weighs: Callable[[Floats], Floats]
) -> tuple[int, list[int]] | None:
    """Wheel and widths that break nothing, or None when none are found.

    `breaks`: by how much shares break the worst of what must be kept, 0 for none; `weighs`: what each share adds to
    the worst broken one.
    """
    fewest = len(parts)
    even = [fewest * (WHEEL_MAX // fewest)] if fewest <= WHEEL_MAX else []
    for wheel in (*WHEELS, *even):
        if wheel < fewest:
            continue
        widths = widths_of(parts, wheel)
        if breaks(np.array(widths) / wheel) <= 0:
            return wheel, widths
    return _repaired(parts, breaks, weighs)


def _repaired(
    parts: Sequence[float], breaks: Callable[[Floats], float], weighs: Callable[[Floats], Floats]
) -> tuple[int, list[int]] | None:
    """Moves single places from those who weigh most on what is broken to those who weigh least."""
    widths = np.array(widths_of(parts, WHEEL_MAX))
    broken = breaks(widths / WHEEL_MAX)
    for _ in range(MOVES_MAX):
        if broken <= 0:
            return WHEEL_MAX, [int(one) for one in widths]
        weight = weighs(widths / WHEEL_MAX)
        givers = [int(one) for one in np.argsort(-weight, kind="stable") if widths[one] > 1 and weight[one] > 0][:3]
        takers = [int(one) for one in np.argsort(weight, kind="stable")][:8]
        better = None
        for giver in givers:
            for taker in takers:
                if taker == giver:
                    continue
                moved = widths.copy()
                moved[giver] -= 1
                moved[taker] += 1
                now = breaks(moved / WHEEL_MAX)
                if now < broken:
                    better, broken = moved, now
        if better is None:
            return None
        widths = better
    return None
