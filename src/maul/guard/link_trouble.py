"""Is one direction of a link in trouble, and by what? Pure; `links.py` decides what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from maul.core.units import show_bitrate
from maul.guard.network_words import Direction, LinkReading

OVER = 1.02
"""A direction is hot above its cap by this; a little more or less is how counters read."""
FAR_OVER = 1.1
"""Above this one reading is enough."""
SURPRISE = 0.2
SURPRISE_OF_CAPACITY = 0.05
TOLD_AFTER, CUT_AFTER = 2, 5
"""Readings in a row that carry more than predicted: until it is told, until it is acted upon."""
DISCARDS_FACTOR = 1.5
"""What a link threw away before we began is not our doing; this times that is."""
FAILURE_CAP = 0.9
HOLD = 0.8
PATIENCE_POLLS = 300
"""How long a link that discarded is kept below what it carried then; twice as long each time it happens again."""
PATIENCE_MAX_POLLS = 4800


class Trouble(StrEnum):
    """What is wrong with a direction, the worst first."""

    DOWN = "down"
    DISCARDS = "discards"
    HOT = "hot"
    SURPRISE = "more-than-predicted"


@dataclass(frozen=True, slots=True)
class Background:
    """A direction before we began: `high_bps` its busiest reading, `discards_per_s` its worst."""

    mean_bps: float = 0.0
    high_bps: float = 0.0
    discards_per_s: float = 0.0


def background_of(readings: Sequence[LinkReading]) -> Background | None:
    """From readings without any load of ours; None when none told what was carried."""
    seen = [reading.bits_per_s for reading in readings if reading.bits_per_s is not None]
    lost = [reading.discards_per_s for reading in readings if reading.discards_per_s is not None]
    return Background(sum(seen) / len(seen), max(seen), max(lost, default=0.0)) if seen else None


@dataclass(frozen=True, slots=True)
class LinkMemory:
    """What the guard remembers of one direction. Begin with `LinkMemory()`."""

    last_ns: int = 0
    bits_per_s: float | None = None
    hot_row: int = 0
    surprise_row: int = 0
    accepted_bps: float = 0.0
    """More than predicted, once acted upon: it is now expected."""
    most_bps: float | None = None
    """What it carried when it threw away frames: it can do no more than that."""
    until_ns: int = 0
    patience_polls: int = PATIENCE_POLLS
    down: bool = False
    trouble: Trouble | None = None
    """At its last reading."""
    acute_ns: int = 0
    """When it was last down, hot, or threw away frames: what customers feel then comes from here."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Trouble that asks for something now. `act` False: it is only told."""

    trouble: Trouble
    says: str
    details: Mapping[str, Any]
    act: bool = True


@dataclass(frozen=True, slots=True)
class Expected:
    """What a reading is held against: `ours_bps` as predicted, `failing`: some link is down, so others carry more.

    `settled` False: a cut for this direction cannot have shown in the reading yet.
    """

    ours_bps: float
    background: Background
    failing: bool
    every_ns: int
    settled: bool = True


def look_at(
    direction: Direction, memory: LinkMemory, reading: LinkReading, expected: Expected
) -> tuple[LinkMemory, Alarm | None]:
    """Hold one fresh reading against what is allowed and what was predicted."""
    if reading.at_ns <= memory.last_ns:
        return memory, None
    seen = reading.bits_per_s
    went_down = reading.up is False and not memory.down
    memory = replace(
        memory,
        last_ns=reading.at_ns,
        bits_per_s=memory.bits_per_s if seen is None else seen,
        down=memory.down if reading.up is None else not reading.up,
        trouble=None,
    )
    if memory.most_bps is not None and reading.at_ns > memory.until_ns:
        memory = replace(memory, most_bps=None)
    if memory.down:
        memory = replace(memory, trouble=Trouble.DOWN, acute_ns=reading.at_ns, hot_row=0, surprise_row=0)
        return memory, Alarm(Trouble.DOWN, f"{direction.name} is down", {}) if went_down else None
    memory, alarm = _discards(direction, memory, reading, expected)
    if alarm is None and seen is not None:
        memory, alarm = _hot(direction, memory, seen, expected)
    if memory.trouble is not None:
        memory = replace(memory, acute_ns=reading.at_ns)
    if alarm is None and seen is not None and memory.trouble is None:
        memory, alarm = _surprise(direction, memory, seen, expected)
    return memory, alarm


def limit_bps(direction: Direction, *, failing: bool) -> float:
    """What the direction may carry; while another link is down, as much as the plan foresaw for that."""
    if not failing:
        return direction.limit_bps
    return max(direction.limit_bps, min(direction.worst_bps, FAILURE_CAP * direction.capacity_bps))


def room_bps(direction: Direction, memory: LinkMemory, *, failing: bool) -> float:
    """By how much generators that were cut may still rise here; negative when it is too full for any."""
    limit = limit_bps(direction, failing=failing)
    if memory.most_bps is not None:
        limit = min(limit, memory.most_bps)
    return HOLD * limit - (memory.bits_per_s or 0.0)


def _discards(
    direction: Direction, memory: LinkMemory, reading: LinkReading, expected: Expected
) -> tuple[LinkMemory, Alarm | None]:
    lost = reading.discards_per_s
    if lost is None or not direction.shared or lost <= DISCARDS_FACTOR * expected.background.discards_per_s:
        return memory, None
    if not expected.settled:
        return replace(memory, trouble=Trouble.DISCARDS), None
    carried = memory.bits_per_s if memory.bits_per_s is not None else expected.ours_bps
    again = memory.most_bps is not None or memory.until_ns > 0
    polls = min(memory.patience_polls * (2 if again else 1), PATIENCE_MAX_POLLS)
    memory = replace(
        memory,
        trouble=Trouble.DISCARDS,
        most_bps=carried if memory.most_bps is None else min(memory.most_bps, carried),
        until_ns=reading.at_ns + polls * expected.every_ns,
        patience_polls=polls,
    )
    says = f"{direction.name} throws away {lost:,.0f} frames per second while it carries {show_bitrate(carried)}"
    return memory, Alarm(Trouble.DISCARDS, says, {"discards_per_s": lost, "seen_bps": carried})


def _hot(direction: Direction, memory: LinkMemory, seen: float, expected: Expected) -> tuple[LinkMemory, Alarm | None]:
    limit = limit_bps(direction, failing=expected.failing)
    if seen <= limit * OVER:
        return replace(memory, hot_row=0), None
    memory = replace(memory, hot_row=memory.hot_row + 1, trouble=Trouble.HOT)
    if memory.hot_row < 2 and seen <= limit * FAR_OVER:
        return memory, None
    says = (
        f"{direction.name} carries {show_bitrate(seen)}, {seen / direction.capacity_bps:.0%} of its capacity; "
        f"{show_bitrate(limit)} is its cap"
    )
    return memory, Alarm(Trouble.HOT, says, {"seen_bps": seen, "cap_bps": limit, "predicted_bps": expected.ours_bps})


def _surprise(
    direction: Direction, memory: LinkMemory, seen: float, expected: Expected
) -> tuple[LinkMemory, Alarm | None]:
    others = max(direction.background_bps, expected.background.high_bps) + memory.accepted_bps
    predicted = expected.ours_bps + others
    if expected.failing:  # what others' traffic does then, nobody predicted
        predicted = max(predicted, direction.worst_bps)
    excess = seen - predicted
    if excess <= SURPRISE * predicted or excess <= SURPRISE_OF_CAPACITY * direction.capacity_bps:
        return replace(memory, surprise_row=0), None
    row = memory.surprise_row + 1
    memory = replace(memory, surprise_row=row)
    if row not in (TOLD_AFTER, CUT_AFTER):
        return memory, None
    says = (
        f"{direction.name} carries {show_bitrate(seen)}; {show_bitrate(expected.ours_bps)} of ours "
        f"and at most {show_bitrate(others)} of others were expected"
    )
    details = {"seen_bps": seen, "predicted_bps": expected.ours_bps, "others_bps": others}
    if row < CUT_AFTER:
        return memory, Alarm(Trouble.SURPRISE, says, details, act=False)
    memory = replace(memory, surprise_row=0, accepted_bps=memory.accepted_bps + excess)
    return memory, Alarm(Trouble.SURPRISE, says, details)
