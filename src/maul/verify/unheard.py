"""Unheard: engines whose last words are missing, because their agent was lost before they were fetched.

What such an engine did after its last word is not in the record. It may have written, acknowledged or not, and deleted
what it had made itself; each of that is a change of unknown outcome: it excuses what it could explain, and obliges to
nothing. A version says whose it is: its upper 16 bits are the engine's epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maul.core.operation import REGION_SHIFT, Region

EPOCH_SHIFT = 48
"""Of a version: what lies above is the epoch."""
_INDEX_MASK = np.uint64((1 << REGION_SHIFT) - 1)

Numbers = NDArray[np.uint64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class UnheardEngine:
    """One of them. Its new keys are `start + first + (0 … shards-1) + around * n`."""

    epoch: int
    start: int
    first: int
    shards: int
    around: int

    def made(self, index: Numbers) -> Flags:
        """Which of these indexes are among its new keys."""
        beyond = index >= np.uint64(self.start)
        place = (index - np.uint64(self.start)) % np.uint64(self.around)
        flags: Flags = beyond & (place >= self.first) & (place < self.first + self.shards)
        return flags


@dataclass(frozen=True, slots=True)
class Unheard:
    """All of them, of one tenant of one run; empty where everybody was heard to the end."""

    engines: Sequence[UnheardEngine] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.engines)

    def wrote(self, versions: Numbers) -> Flags:
        """Which of these versions one of them wrote. The record may know the write all the same."""
        epochs = np.array(sorted({engine.epoch for engine in self.engines}), np.uint64)
        flags: Flags = np.isin(versions >> np.uint64(EPOCH_SHIFT), epochs) & (versions != 0)
        return flags

    def may_have_made(self, keys: Numbers) -> Flags:
        """Under which of these keys one of them may have put an object: its own new ones, and any that all share."""
        region, index = keys >> np.uint64(REGION_SHIFT), keys & _INDEX_MASK
        own = np.zeros(len(keys), np.bool_)
        if not self.engines:
            return own
        for engine in self.engines:
            own |= engine.made(index)
        shared: Flags = np.isin(region, [int(Region.BASE), int(Region.MULTIPART), int(Region.COPY)])
        flags: Flags = shared | (own & (region == np.uint64(Region.EPHEMERAL)))
        return flags


HEARD = Unheard()
