"""Conditions: what was declined, what was granted, and what was ignored."""

import numpy as np
import pytest

from maul.core.operation import OPERATION_DTYPE, ErrorClass, Op, Outcome
from maul.core.verdict import Verdict
from maul.verify.conditions import CONDITIONAL, conditions

OK, FAIL, UNKNOWN, DROPPED = Outcome


def rows(*given):
    """Of (op, outcome, error class, status)."""
    made = np.zeros(len(given), OPERATION_DTYPE)
    for row, (op, outcome, error, status) in zip(made, given, strict=True):
        row["op"], row["outcome"], row["error_class"], row["status"] = op, outcome, error, status
    return made


GRANTED = (Op.PUT_IF_MATCH, OK, ErrorClass.NONE, 200)
DECLINED = (Op.PUT_IF_NONE_MATCH, OK, ErrorClass.NONE, 412)
UNCHANGED = (Op.GET_IF_NONE_MATCH, OK, ErrorClass.NONE, 304)


def test_granted_and_declined_are_both_heeded():
    found = conditions(rows(GRANTED, DECLINED, UNCHANGED)).check()
    assert found.verdict is Verdict.PASS
    assert found.says == "3 conditional operations: each was heeded"


@pytest.mark.parametrize("op", CONDITIONAL)
def test_one_that_was_ignored_fails_whatever_else_was_heeded(op):
    writes = op in (Op.PUT_IF_MATCH, Op.PUT_IF_NONE_MATCH)
    ignored = (op, UNKNOWN if writes else FAIL, ErrorClass.CONDITION_IGNORED, 200)
    summary = conditions(rows(*[GRANTED] * 500, ignored))
    assert (summary.answered, summary.ignored) == (501, {op.name.lower(): 1})
    found = summary.check()
    assert found.verdict is Verdict.FAIL
    assert f"of 501 conditional operations the target ignored the condition of 1 {op.name.lower()}" in found.says


def test_what_was_ignored_is_counted_by_its_kind():
    kinds = [Op.GET_IF_MATCH] * 2 + [Op.PUT_IF_MATCH] * 3
    summary = conditions(rows(*[(op, FAIL, ErrorClass.CONDITION_IGNORED, 200) for op in kinds]))
    assert summary.ignored == {"put_if_match": 3, "get_if_match": 2}


@pytest.mark.parametrize(
    "given",
    [
        [],
        [(Op.GET, OK, ErrorClass.NONE, 200), (Op.PUT, OK, ErrorClass.NONE, 200)],
        [(Op.PUT_IF_MATCH, UNKNOWN, ErrorClass.TIMEOUT, 0), (Op.GET_IF_MATCH, FAIL, ErrorClass.SLOW_DOWN, 503)],
        [(Op.PUT_IF_MATCH, DROPPED, ErrorClass.BACKLOG, 0)],
    ],
)
def test_where_none_was_answered_nothing_is_known(given):
    summary = conditions(rows(*given))
    assert (summary.answered, summary.ignored) == (0, {})
    assert summary.check().verdict is Verdict.UNKNOWN


def test_an_operation_without_a_condition_cannot_have_ignored_one():
    plain = conditions(rows((Op.PUT, UNKNOWN, ErrorClass.CONDITION_IGNORED, 200), GRANTED))
    assert (plain.answered, plain.ignored) == (1, {})
