"""What went wrong, counted."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import ErrorCount
from maul.insight.latency import LatencyBook, Select

NOT_RECORDED = "not_recorded"


def error_counts(operations: pa.Table, book: LatencyBook | None = None) -> list[ErrorCount]:
    """Operations that were not OK by phase, op, outcome and class; the most frequent first.

    What the histograms of `book` counted and the operations do not hold (records lost or switched off) has
    the class `not_recorded`: an error without a name is still an error. What the client gave up on purpose is none.
    """
    wrong = pc.not_equal(operations["outcome"], pa.scalar(int(Outcome.OK), pa.uint8()))
    given_up = pc.equal(operations["error_class"], pa.scalar(int(ErrorClass.GIVEN_UP), pa.uint8()))
    bad = operations.filter(pc.and_not(wrong, given_up))
    groups = bad.group_by(["phase", "op", "outcome", "error_class"]).aggregate(
        [("due_ns", "count"), ("due_ns", "min"), ("due_ns", "max")]
    )
    found = [
        _error(
            (row["phase"], _name(Op, row["op"]), _name(Outcome, row["outcome"])),
            _name(ErrorClass, row["error_class"]),
            row["due_ns_count"],
            row["due_ns_min"],
            row["due_ns_max"],
        )
        for row in groups.to_pylist()
    ]
    if book is not None:
        found += _not_recorded(book, found)
    return sorted(found, key=lambda e: (-e.count, e.phase, e.op, e.outcome, e.error_class))


def _not_recorded(book: LatencyBook, found: list[ErrorCount]) -> list[ErrorCount]:
    named: Counter[tuple[str, str, str]] = Counter()
    for error in found:
        named[error.phase, error.op, error.outcome] += error.count
    missing: list[ErrorCount] = []
    for phase in book.phases():
        for op in book.ops(Select(phase=phase)):
            for outcome in (Outcome.FAIL, Outcome.UNKNOWN, Outcome.DROPPED):
                select = Select(phase=phase, op=op, outcomes=frozenset({outcome}))
                key = (phase, op.name.lower(), outcome.name.lower())
                count = book.counts(select)[outcome] - named[key]
                bounds = book.bounds(select)
                if count > 0 and bounds:
                    first_ns, last_ns = bounds[0] * 10**9, bounds[1] * 10**9 - 1
                    missing.append(_error(key, NOT_RECORDED, count, first_ns, last_ns))
    return missing


def _error(key: tuple[str, str, str], name: str, count: int, first_ns: int, last_ns: int) -> ErrorCount:
    phase, op, outcome = key
    return ErrorCount(
        phase=phase, op=op, outcome=outcome, error_class=name, count=count, first_ns=first_ns, last_ns=last_ns
    )


def _name(enum: type[Op] | type[Outcome] | type[ErrorClass], number: int) -> str:
    """Its name; a number that a newer engine wrote is shown as it is."""
    return next((member.name.lower() for member in enum if member.value == number), f"{number}")
