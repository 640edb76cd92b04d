"""What every kind of operation leaves behind: conditions, copies, deletes of many keys, writes that were given up."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from maul.core.operation import OPERATION_DTYPE, REGION_SHIFT, WRITES, ErrorClass, Flag, Op, Outcome, Region
from maul.verify.audit import KINDS, judge
from maul.verify.ledger import Ledger
from maul.verify.reads import stale_reads

OK, FAIL, UNKNOWN, _ = Outcome
COPY = (Region.COPY << REGION_SHIFT) + 1
PREFIX = "maul/r1/"


def row(op: Op, start: int, end: int, version: int = 0, outcome: Outcome = OK, **more: Any) -> NDArray[Any]:
    one = np.zeros(1, OPERATION_DTYPE)
    given = {
        "op": op,
        "start_ns": start,
        "end_ns": end,
        "version": version,
        "outcome": outcome,
        "key": 1,
        "status": 200,
    }
    for name, value in (given | more).items():
        one[name] = value
    return one


def audited(changes: list[NDArray[Any]], version: int | None, key: int = 1) -> set[str]:
    """The kinds of findings when the audit sees this version, or nothing."""
    if version is None:
        seen = row(Op.GET, 900, 901, outcome=FAIL, error_class=ErrorClass.NO_SUCH_KEY, status=404, key=key)
    else:
        seen = row(Op.GET, 900, 901, version, key=key)
    summary = judge(Ledger.from_operations(np.concatenate(changes)), seen, ("vip",), PREFIX)
    return {kind for kind in KINDS if summary.counts[kind]}


@pytest.mark.parametrize("op", sorted(WRITES))
def test_every_write_replaces_what_was_there(op: Op) -> None:
    changes = [row(Op.PUT, 1, 2, 5), row(op, 3, 4, 7)]
    assert audited(changes, 7) == set()
    assert audited(changes, 5) == {"stale"}
    assert audited(changes, None) == {"lost"}


@pytest.mark.parametrize(("op", "status"), [(Op.PUT_IF_NONE_MATCH, 412), (Op.PUT_IF_MATCH, 412)])
def test_what_was_declined_wrote_nothing(op: Op, status: int) -> None:
    changes = [row(Op.PUT, 1, 2, 5), row(op, 3, 4, 0, status=status)]
    assert audited(changes, 5) == set()
    assert audited(changes, None) == {"lost"}


def test_an_ignored_condition_may_have_written() -> None:
    ignored = row(Op.PUT_IF_NONE_MATCH, 3, 4, 7, UNKNOWN, error_class=ErrorClass.CONDITION_IGNORED)
    changes = [row(Op.PUT, 1, 2, 5), ignored]
    assert audited(changes, 5) == audited(changes, 7) == set()


@pytest.mark.parametrize("status", [0, 503])
@pytest.mark.parametrize("op", [Op.ABORTED_PUT, Op.MULTIPART_ABORT])
def test_what_was_given_up_must_never_be_seen(op: Op, status: int) -> None:
    given_up = row(op, 3, 4, 7, FAIL, error_class=ErrorClass.GIVEN_UP, status=status)
    changes = [row(Op.PUT, 1, 2, 5), given_up]
    assert audited(changes, 5) == set()
    assert audited(changes, 7) == {"phantom"}


@pytest.mark.parametrize("op", [Op.DELETE, Op.DELETE_VERSION, Op.MULTI_DELETE])
def test_every_delete_ends_an_object(op: Op) -> None:
    changes = [row(Op.PUT, 1, 2, 5), row(op, 3, 4)]
    assert audited(changes, None) == set()
    assert audited(changes, 5) == {"resurrected"}


def test_each_key_of_a_request_has_its_own_fate() -> None:
    changes = [row(Op.PUT, 1, 2, key, key=key) for key in (1, 2, 3)]
    fates = {1: OK, 2: FAIL, 3: UNKNOWN}
    for item, (key, fate) in enumerate(fates.items()):
        flags = Flag.SAME_REQUEST if item else 0
        changes.append(row(Op.MULTI_DELETE, 3, 4, 0, fate, key=key, item=item, flags=flags))
    ledger = Ledger.from_operations(np.concatenate(changes))
    assert ledger.must_exist().tolist() == [2]
    assert ledger.present_ok.tolist() == [False, True, True]


def test_a_copy_shows_what_its_original_was_while_it_was_made() -> None:
    changes = [
        row(Op.PUT, 1, 2, 5),
        row(Op.PUT, 3, 4, 6),
        row(Op.PUT, 11, 18, 7),
        row(Op.COPY, 10, 20, key=COPY),
        row(Op.PUT, 30, 31, 8),
    ]
    assert audited(changes, 6, COPY) == audited(changes, 7, COPY) == set()
    assert audited(changes, 5, COPY) == {"stale"}, "it was replaced before"
    assert audited(changes, 8, COPY) == {"stale"}, "it was not written yet"
    assert audited(changes, None, COPY) == {"lost"}
    changes.append(row(Op.PUT, 1, 2, 9, key=2))
    assert audited(changes, 9, COPY) == {"phantom"}, "another original's"
    assert audited(changes[:3], 6, COPY) == {"phantom"}, "nothing was copied"


def test_a_copy_of_unknown_outcome_may_be_there() -> None:
    changes = [row(Op.PUT, 1, 2, 5), row(Op.MULTIPART_COPY, 10, 20, 0, UNKNOWN, key=COPY, status=0)]
    assert audited(changes, None, COPY) == audited(changes, 5, COPY) == set()


def test_reads_of_every_kind_are_held_against_the_writes() -> None:
    changes = [row(Op.PUT, 1, 2, 5), row(Op.PUT, 3, 4, 7)]
    for op in (Op.GET, Op.GET_RANGE, Op.GET_IF_MATCH, Op.GET_IF_NONE_MATCH, Op.PRESIGNED_GET):
        assert stale_reads(np.concatenate([*changes, row(op, 10, 11, 5)]), ("vip",), PREFIX).stale == 1, op
    # the engine's own word for it changes nothing
    own = row(Op.GET, 10, 11, 5, FAIL, error_class=ErrorClass.STALE)
    assert stale_reads(np.concatenate([*changes, own]), ("vip",), PREFIX).stale == 1
    # the past that was asked for, and what was declined, are no evidence
    past = [row(Op.GET_VERSION, 10, 11, 5), row(Op.GET_IF_NONE_MATCH, 10, 11, status=304)]
    found = stale_reads(np.concatenate([*changes, *past]), ("vip",), PREFIX)
    assert (found.reads, found.stale) == (0, 0)


def test_a_deleted_object_is_rightly_gone_or_wrongly_there() -> None:
    changes = [row(Op.PUT, 1, 2, 5), row(Op.DELETE, 3, 4)]
    gone = row(Op.GET_DELETED, 10, 11, status=404)
    back = row(Op.GET_DELETED, 10, 11, 5, FAIL, error_class=ErrorClass.RESURRECTED)
    found = stale_reads(np.concatenate([*changes, gone]), ("vip",), PREFIX)
    assert (found.reads, found.stale, found.missing) == (1, 0, 0)
    assert stale_reads(np.concatenate([*changes, back]), ("vip",), PREFIX).stale == 1
