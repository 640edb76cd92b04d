"""Conditions: did the target decline what it was asked to decline?"""

from dataclasses import dataclass

import numpy as np

from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import Check
from maul.core.verdict import Verdict
from maul.verify.ledger import Operations

CONDITIONAL = (Op.PUT_IF_NONE_MATCH, Op.PUT_IF_MATCH, Op.GET_IF_MATCH, Op.GET_IF_NONE_MATCH)


@dataclass(frozen=True, slots=True)
class ConditionsSummary:
    """How many conditional operations were answered, and how many of them as if there were no condition, by name."""

    answered: int
    ignored: dict[str, int]

    def check(self) -> Check:
        """FAIL when one was ignored, UNKNOWN when none was answered."""
        if self.ignored:
            names = ", ".join(f"{count:,} {name}" for name, count in self.ignored.items())
            says = (
                f"of {self.answered:,} conditional operations the target ignored the condition of {names}: it wrote, "
                "or answered, what it should have declined; writers that rely on it overwrite each other"
            )
            return Check(name="conditions", verdict=Verdict.FAIL, says=says)
        if not self.answered:
            return Check(name="conditions", verdict=Verdict.UNKNOWN, says="no conditional operation was answered")
        says = f"{self.answered:,} conditional operations: each was heeded"
        return Check(name="conditions", verdict=Verdict.PASS, says=says)


def conditions(operations: Operations) -> ConditionsSummary:
    """Of all operations of the load."""
    rows = operations[np.isin(operations["op"], CONDITIONAL)]
    ignored = rows["error_class"] == ErrorClass.CONDITION_IGNORED
    answered = (rows["outcome"] == Outcome.OK) | ignored
    counts = {op.name.lower(): int(np.count_nonzero(ignored & (rows["op"] == op))) for op in CONDITIONAL}
    return ConditionsSummary(int(np.count_nonzero(answered)), {name: n for name, n in counts.items() if n})
