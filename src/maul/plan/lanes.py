"""Lanes: which new keys an engine may make, when several make new keys at once and must never make the same.

An engine of S shards in lane l of L makes the keys `start + (l * S + s) + (L * S) * n`. With an equal number of shards
everywhere the lanes 0 to L-1 are all there is to it. With unequal numbers the keys of two engines would meet; so the
number of shards becomes a power of two, and the lanes are laid out like blocks of memory, the widest first: each begins
at a multiple of its own width.
"""

from collections.abc import Sequence

from maul.plan.engine_plan import Lane

GENERATION_KEYS = 1 << 32
"""New keys of the engines that a phase begins with; those that take over later begin at a multiple of it."""
GENERATIONS_MAX = 1 << 12
"""A key's number has 48 bits; a sixteenth of them is used."""


def even_shards(shards: Sequence[int]) -> list[int]:
    """So many shards each that lanes can be laid out: as they are where all are alike, else the power of two below.

    >>> even_shards([3, 3]), even_shards([6, 2, 3])
    ([3, 3], [4, 2, 2])
    """
    if len(set(shards)) <= 1:
        return list(shards)
    return [1 << (count.bit_length() - 1) for count in shards]


def lay_lanes(shards: Sequence[int]) -> list[Lane]:
    """The lane of each engine, by its number of shards: all alike, or powers of two (`even_shards`).

    ValueError when they are neither.
    """
    if len(set(shards)) <= 1:
        return [Lane(index=place, count=len(shards)) for place in range(len(shards))]
    if any(count & (count - 1) or count < 1 for count in shards):
        raise ValueError(f"lanes of {shards} shards would meet")
    widest = max(shards)
    around = -(-sum(shards) // widest) * widest
    lanes: dict[int, Lane] = {}
    begin = 0
    for place in sorted(range(len(shards)), key=lambda one: -shards[one]):
        lanes[place] = Lane(index=begin // shards[place], count=around // shards[place])
        begin += shards[place]
    return [lanes[place] for place in range(len(shards))]
