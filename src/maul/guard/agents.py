"""Agents held against each other: is one of them answered much worse than the others? Pure.

One agent that fails where all others succeed tells of itself, not of the target: a protection that banned its address,
a way through the network that drops, a resolver of its own. It is no reason to stop: other limits judge the sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass

JUDGED_MIN = 50
"""Fewer operations of one agent say nothing."""
TIMES = 5.0
"""So many times the others' error ratio is odd,"""
ABOVE = 0.05
"""when it is so much above it, too."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an agent has had answered so far: operations that ended, and how many of them not well."""

    ended: int
    bad: int

    @property
    def ratio(self) -> float:
        """0 where nothing ended."""
        return self.bad / self.ended if self.ended else 0.0


def odd_agents(answered: Mapping[str, Answered]) -> dict[str, str]:
    """The sentence about each agent that stands out; all others are taken together.

    >>> odd_agents({"a": Answered(1000, 900), "b": Answered(1000, 1), "c": Answered(1000, 0)})["a"]
    'agent a: 90 % of its operations were not answered well, 0 % of the others’: is its address banned?'
    """
    told: dict[str, str] = {}
    for name, own in answered.items():
        rest = [other for other_name, other in answered.items() if other_name != name]
        others = Answered(sum(one.ended for one in rest), sum(one.bad for one in rest))
        if own.ended < JUDGED_MIN or others.ended < JUDGED_MIN:
            continue
        if own.ratio > TIMES * others.ratio and own.ratio > others.ratio + ABOVE:
            told[name] = (
                f"agent {name}: {100 * own.ratio:.0f} % of its operations were not answered well, "
                f"{100 * others.ratio:.0f} % of the others’: is its address banned?"
            )
    return told
