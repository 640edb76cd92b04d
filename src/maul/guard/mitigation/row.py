"""One row of the decision table: how much each level of each feature weighs for a cause. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One cause. `weights`: by feature and level. `prior`: how rare it is against the others, in nats.

    `needs`: of each line at least one sign must have been seen before the cause may be said.
    """

    weights: Mapping[str, Mapping[str, float]]
    needs: Sequence[frozenset[tuple[str, str]]]
    prior: float = 0.0

    def weight(self, feature: str, level: str) -> float:
        """In nats; 0 for what says nothing of this cause."""
        levels = self.weights.get(feature)
        return 0.0 if levels is None else levels.get(level, levels.get("*", 0.0))


def row(needs: Sequence[str], prior: float = 0.0, **features: str) -> Row:
    """A row from its text.

    >>> one = row(("control=ok|slow notice=vip",), loss="all+1 part-0.5 *-4")
    >>> one.weight("loss", "part"), one.weight("loss", "none"), one.weight("pace", "step")
    (-0.5, -4.0, 0.0)
    >>> sorted(one.needs[0])
    [('control', 'ok'), ('control', 'slow'), ('notice', 'vip')]
    """
    weights = {name: dict(map(_weight, text.split())) for name, text in features.items()}
    return Row(weights, tuple(frozenset(_signs(line)) for line in needs), prior)


def _weight(word: str) -> tuple[str, float]:
    at = max(word.rfind("+"), word.rfind("-"))
    return word[:at], float(word[at:])


def _signs(line: str) -> list[tuple[str, str]]:
    split = (word.partition("=") for word in line.split())
    return [(name, level) for name, _, levels in split for level in levels.split("|")]
