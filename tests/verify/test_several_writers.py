"""Several machines write the same keys: their clocks differ, and one is lost before all that it did was told."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from written_history import Change, operations, possible_ends, possible_reads

from maul.core.operation import OPERATION_DTYPE, REGION_SHIFT, ErrorClass, Op, Outcome, Region
from maul.verify import audit, reads
from maul.verify.classify import Answer, classify
from maul.verify.clocks import widened
from maul.verify.ledger import Ledger
from maul.verify.listing import Listing
from maul.verify.unheard import EPOCH_SHIFT, Unheard, UnheardEngine

OK, FAIL, UNKNOWN, DROPPED = Outcome
T = 1_000_000  # of the histories below one tick: so far apart that errors fit between
EPHEMERAL = int(Region.EPHEMERAL) << REGION_SHIFT
COPY = int(Region.COPY) << REGION_SHIFT


def version(epoch: int, number: int) -> int:
    return epoch << EPOCH_SHIFT | number


def lost(epoch: int, *, first: int = 0, around: int = 2, start: int = 0) -> Unheard:
    return Unheard((UnheardEngine(epoch, start, first, 1, around),))


@st.composite
def histories(draw, changes_max: int = 5, deletes: bool = False) -> list[tuple[int, Change]]:
    """Changes of one base key by two writers; who wrote is in the version."""
    made = []
    for number in range(1, draw(st.integers(1, changes_max)) + 1):
        writer = draw(st.sampled_from([1, 2]))
        start = draw(st.integers(4, 16)) * T
        made.append(
            (
                writer,
                Change(
                    start=start,
                    end=start + draw(st.integers(0, 4)) * T,
                    version=None if deletes and draw(st.booleans()) else version(writer, number),
                    outcome=draw(st.sampled_from([OK, OK, UNKNOWN])),
                ),
            )
        )
    return made


def seen(states: set[int | None], start: int = 100 * T, key: int = 1) -> np.ndarray:
    """One read for each state that it may show."""
    rows = np.zeros(len(states), OPERATION_DTYPE)
    for row, state in zip(rows, sorted(states, key=str), strict=True):
        row["key"], row["op"], row["start_ns"], row["end_ns"] = key, Op.GET, start, start + T
        row["version"], row["status"] = state or 0, 404 if state is None else 200
        row["outcome"] = FAIL if state is None else OK
        row["error_class"] = ErrorClass.NO_SUCH_KEY if state is None else ErrorClass.NONE
    return rows


@settings(max_examples=300, deadline=None)
@given(histories(), st.integers(-T * 3, T * 3), st.integers(0, T * 3))
def test_whatever_two_clocks_say_what_can_be_is_never_called_wrong(history, offset, more):
    told = [
        Change(c.start + offset * (who == 2), c.end + offset * (who == 2), c.version, c.outcome) for who, c in history
    ]
    # each clock is right to within its error; what was measured lies anywhere in it
    ledger = Ledger.from_operations(widened(operations(told), abs(offset) + more))
    truth = possible_ends([change for _, change in history])
    assert set(classify(ledger, seen(truth))) <= {Answer.RIGHT}


@settings(max_examples=200, deadline=None)
@given(histories(changes_max=4), st.integers(-T * 3, T * 3), st.integers(1, 18))
def test_nor_is_a_read_during_the_load(history, offset, at):
    truth = possible_reads([change for _, change in history], at * T, (at + 1) * T)
    shown = seen(truth, at * T)
    shown["start_ns"] += np.uint64(abs(offset))  # the reader is one of the two, or a third
    shown["end_ns"] += np.uint64(abs(offset))
    rows = np.concatenate([operations([change for _, change in history]), shown])
    found = reads.stale_reads(widened(rows, abs(offset)), ["vip"], "p/")
    assert (found.stale, found.missing, found.phantom) == (0, 0, 0), found.findings


def test_what_is_further_apart_than_the_error_is_still_judged():
    rows = operations([Change(10, 20, version(1, 1)), Change(100, 120, version(2, 1))])
    old = seen({version(1, 1)})
    assert classify(Ledger.from_operations(widened(rows, 39)), old)[0] == Answer.STALE
    assert classify(Ledger.from_operations(widened(rows, 40)), old)[0] == Answer.RIGHT  # 60 and 60: at one instant


@settings(max_examples=300, deadline=None)
@given(histories(), st.integers(0, 18))
def test_what_a_lost_writer_did_unheard_explains_what_it_can(history, cut):
    """Of writer 2 only what had ended by the cut is known: every true end of the story is right all the same."""
    told = [change for who, change in history if who == 1 or change.end <= cut * T]
    ledger = Ledger.from_operations(operations(told), lost(2))
    truth = possible_ends([change for _, change in history])
    right = {state for state in truth if state is not None}  # a base key is never deleted
    assert set(classify(ledger, seen(right))) <= {Answer.RIGHT}


@settings(max_examples=200, deadline=None)
@given(histories(deletes=True), st.integers(0, 18))
def test_and_deletes_of_its_own_new_keys_too(history, cut):
    """An ephemeral key of the lost writer's own: it alone changes it."""
    mine = [change for who, change in history if who == 2]
    key = EPHEMERAL | 4
    moved = [Change(c.start, c.end, c.version, c.outcome, key) for c in mine]
    ledger = Ledger.from_operations(operations(c for c in moved if c.end <= cut * T), lost(2))
    truth = possible_ends(mine)
    assert set(classify(ledger, seen(truth, key=key))) <= {Answer.RIGHT}


def test_a_lost_writer_may_have_deleted_what_it_had_made_and_nothing_of_others():
    rows = operations([Change(1, 2, version(2, 1), key=EPHEMERAL | 4), Change(1, 2, version(1, 1), key=EPHEMERAL | 5)])
    ledger = Ledger.from_operations(rows, lost(2))
    assert classify(ledger, seen({None}, key=EPHEMERAL | 4))[0] == Answer.RIGHT
    assert classify(ledger, seen({None}, key=EPHEMERAL | 5))[0] == Answer.LOST
    assert list(ledger.must_exist()) == [EPHEMERAL | 5]


def test_it_explains_nothing_else():
    rows = operations([Change(1, 2, version(1, 1)), Change(3, 4, version(1, 2)), Change(5, 6, version(2, 1))])
    ledger = Ledger.from_operations(rows, lost(2))
    of_others = seen({version(1, 1), version(1, 2), version(3, 9)})
    assert list(classify(ledger, of_others)) == [Answer.STALE, Answer.STALE, Answer.PHANTOM]
    assert classify(ledger, seen({None}))[0] == Answer.LOST  # no agent deletes base keys
    assert list(classify(ledger, seen({version(2, 7)}))) == [Answer.RIGHT]
    assert list(classify(Ledger.from_operations(rows), seen({version(2, 7)}))) == [Answer.PHANTOM]


def test_a_known_version_under_another_key_is_a_phantom_whoever_wrote_it():
    rows = operations([Change(1, 2, version(2, 1), key=1), Change(1, 2, version(1, 1), key=2)])
    assert classify(Ledger.from_operations(rows, lost(2)), seen({version(2, 1)}, key=2))[0] == Answer.PHANTOM


def test_only_its_own_new_keys_may_be_there_untold():
    ledger = Ledger.from_operations(operations([Change(1, 2, version(1, 1))]), lost(2, first=1, around=4, start=8))
    mine, others, before = (EPHEMERAL | index for index in (13, 14, 5))
    for key, answer in ((mine, Answer.RIGHT), (others, Answer.PHANTOM), (before, Answer.PHANTOM)):
        assert classify(ledger, seen({version(2, 3)}, key=key))[0] == answer
    names = [f"p/{letter}{key & 0xFF:012x}" for letter, key in (("b", 1), ("e", mine), ("e", others))]
    listed = audit.judge(ledger, seen({version(1, 1)}), ["vip"], "p/", [Listing("vip", names)])
    assert listed.counts["phantom"] == 1 and listed.findings[0].key.endswith("00e")


def test_an_untold_copy_carries_what_its_original_was():
    base = [Change(1, 2, version(1, 1)), Change(3, 4, version(1, 2))]
    told = Ledger.from_operations(operations(base), lost(2))
    for state, answer in (
        (version(1, 1), Answer.RIGHT),
        (version(1, 2), Answer.RIGHT),
        (version(1, 3), Answer.PHANTOM),
    ):
        assert classify(told, seen({state}, key=COPY | 1))[0] == answer
    assert classify(Ledger.from_operations(operations(base)), seen({version(1, 1)}, key=COPY | 1))[0] != Answer.RIGHT
