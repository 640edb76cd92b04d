"""Reads of copies: the right version, the wrong key's bytes, a version that nobody knows; alone and as a check."""

from typing import Any

import pytest
from numpy.typing import NDArray
from written_history import Change, operations, read, together

from maul.core.operation import REGION_SHIFT, ErrorClass, Op, Outcome, Region
from maul.core.verdict import Verdict
from maul.verify.audit import check as audit_check
from maul.verify.audit import judge
from maul.verify.classify import Answer, classify, evidence
from maul.verify.ledger import Ledger
from maul.verify.reads import check as reads_check
from maul.verify.reads import stale_reads

COPY_OF_1 = (Region.COPY << REGION_SHIFT) + 1
COPY_OF_2 = (Region.COPY << REGION_SHIFT) + 2
EPHEMERAL_1 = (Region.EPHEMERAL << REGION_SHIFT) + 1
OK, FAIL, UNKNOWN, _ = Outcome


def copied(start: int, end: int, key: int = COPY_OF_1, op: Op = Op.COPY, outcome: Outcome = OK) -> NDArray[Any]:
    row = operations([Change(start, end, 0, outcome, key=key)])
    row["op"] = op
    return row


WRITTEN = operations(
    [
        Change(1, 2, 5),
        Change(3, 4, 6),
        Change(1, 2, 15, key=2),
        Change(5, 6, 66, FAIL),
        Change(1, 2, 40, key=EPHEMERAL_1),
    ]
)


def answers(*reads: NDArray[Any], history: NDArray[Any]) -> list[Answer]:
    found = classify(Ledger.from_operations(history), evidence(together(*reads)))
    return [Answer(int(one)) for one in found]


@pytest.mark.parametrize("op", [Op.COPY, Op.MULTIPART_COPY])
def test_each_answer_of_a_copy(op: Op) -> None:
    history = together(WRITTEN, copied(10, 20, op=op))
    said = {
        6: Answer.RIGHT,
        5: Answer.STALE,  # replaced before the copy began
        15: Answer.PHANTOM,  # another base key's bytes
        40: Answer.PHANTOM,  # the number is the same, the region is not
        66: Answer.PHANTOM,  # its write was refused
        999: Answer.PHANTOM,  # nobody wrote it
        None: Answer.LOST,
    }
    found = answers(*[read(version, key=COPY_OF_1) for version in said], history=history)
    assert dict(zip(said, found, strict=True)) == said


def test_bytes_that_the_engine_found_wrong_are_corrupt_whatever_their_version() -> None:
    history = together(WRITTEN, copied(10, 20))
    wrong = [read(6, key=COPY_OF_1, error=error) for error in (ErrorClass.SWAPPED, ErrorClass.CORRUPT, ErrorClass.TORN)]
    assert answers(*wrong, history=history) == [Answer.CORRUPT] * 3


def test_a_copys_version_is_its_own_only_under_the_copy() -> None:
    """The base key is judged by its own writes, and no copy of another key counts."""
    history = together(WRITTEN, copied(10, 20), operations([Change(30, 40, 7)]))
    assert answers(read(6, key=1), read(7, key=1), history=history) == [Answer.STALE, Answer.RIGHT]
    assert answers(read(6, key=COPY_OF_1), history=history) == [Answer.RIGHT], "copies do not follow their original"
    assert answers(read(15, key=COPY_OF_2), history=history) == [Answer.PHANTOM], "nobody copied that one"
    assert answers(read(None, key=COPY_OF_2), history=history) == [Answer.RIGHT]


def test_a_second_copy_replaces_the_first() -> None:
    history = together(WRITTEN, copied(10, 20), operations([Change(30, 40, 7)]), copied(50, 60))
    assert answers(read(7, key=COPY_OF_1), read(6, key=COPY_OF_1), history=history) == [Answer.RIGHT, Answer.STALE]
    uncertain = together(history[:-1], copied(50, 60, outcome=UNKNOWN))
    assert answers(read(7, key=COPY_OF_1), read(6, key=COPY_OF_1), history=uncertain) == [Answer.RIGHT] * 2


def test_a_copy_that_was_refused_wrote_nothing() -> None:
    history = together(WRITTEN, copied(10, 20, outcome=FAIL))
    assert answers(read(None, key=COPY_OF_1), read(6, key=COPY_OF_1), history=history) == [Answer.RIGHT, Answer.PHANTOM]


@pytest.mark.parametrize(
    ("seen", "kind", "verdict"),
    [
        (6, None, Verdict.PASS),
        (5, "stale", Verdict.FAIL),
        (15, "phantom", Verdict.FAIL),
        (999, "phantom", Verdict.FAIL),
        (None, "lost", Verdict.FAIL),
    ],
)
def test_the_audit_of_a_copy(seen: int | None, kind: str | None, verdict: Verdict) -> None:
    ledger = Ledger.from_operations(together(operations([Change(1, 2, 5), Change(3, 4, 6)]), copied(10, 20)))
    others = Ledger.from_operations(WRITTEN)
    assert len(others.keys) == 3
    summary = judge(ledger, together(read(6, key=1), read(seen, key=COPY_OF_1)), ("vip",), "p/")
    assert audit_check(summary).verdict is verdict
    assert [(one.kind, one.key) for one in summary.findings] == ([(kind, "p/c000000000001")] if kind else [])


@pytest.mark.parametrize(
    ("seen", "verdict"), [(6, Verdict.PASS), (15, Verdict.FAIL), (40, Verdict.FAIL), (999, Verdict.FAIL)]
)
def test_reads_of_a_copy_during_the_load(seen: int, verdict: Verdict) -> None:
    history = together(WRITTEN, copied(10, 20), read(seen, key=COPY_OF_1, start=30, end=31))
    summary = stale_reads(history, ["vip"], "p/")
    assert reads_check(summary, strong=True).verdict is verdict
    assert summary.phantom == (verdict is Verdict.FAIL)
