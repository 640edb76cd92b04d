"""The ledger against an enumeration of linearizations, and against histories written by hand."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_history import Change, S, operations, possible_ends

from maul.core.errors import InternalError
from maul.core.operation import OPERATION_DTYPE, Op, Outcome
from maul.verify.ledger import Ledger

OK, FAIL, UNKNOWN, DROPPED = Outcome


def acceptable(ledger: Ledger, key: int = 1) -> set[int | None]:
    place = int(ledger.key_places(np.array([key], np.uint64))[0])
    if place < 0:
        return {None}
    of_key = (ledger.writes.key_place == place) & ledger.writes.acceptable & ~ledger.writes.delete
    versions: set[int | None] = {int(v) for v in ledger.writes.version[of_key]}
    assert bool(versions) == bool(ledger.present_ok[place])
    return versions | ({None} if ledger.absent_ok[place] else set())


@st.composite
def histories(draw: st.DrawFn, changes_max: int = 5, keys: int = 1) -> list[Change]:
    changes = []
    for version in range(1, draw(st.integers(0, changes_max)) + 1):
        start = draw(st.integers(1, 12))
        changes.append(
            Change(
                start=start,
                end=start + draw(st.integers(0, 5)),
                version=None if draw(st.integers(0, 3)) == 0 else version,
                outcome=draw(st.sampled_from([OK, OK, OK, UNKNOWN, FAIL, DROPPED])),
                key=draw(st.integers(1, keys)),
            )
        )
    return changes


@settings(max_examples=400, deadline=None)
@given(histories())
def test_acceptable_is_what_some_linearization_ends_in(history: list[Change]) -> None:
    assert acceptable(Ledger.from_operations(operations(history))) == possible_ends(history)


@settings(max_examples=100, deadline=None)
@given(histories(changes_max=8, keys=3), st.randoms(use_true_random=False))
def test_neither_order_nor_batches_nor_other_keys_matter(history: list[Change], random: Any) -> None:
    rows = [operations([change]) for change in history]
    random.shuffle(rows)
    whole = Ledger.from_operations(operations(history))
    parts = Ledger.from_operations(iter(rows))
    for key in (1, 2, 3):
        alone = Ledger.from_operations(operations([c for c in history if c.key == key]))
        assert acceptable(whole, key) == acceptable(parts, key) == acceptable(alone, key)


def test_an_acknowledged_write_must_exist() -> None:
    ledger = Ledger.from_operations(operations([Change(1, 2, 7)]))
    assert acceptable(ledger) == {7}
    assert ledger.must_exist().tolist() == [1]


def test_a_replaced_write_may_not_be_served_again() -> None:
    assert acceptable(Ledger.from_operations(operations([Change(1, 2, 7), Change(3, 4, 8)]))) == {8}


def test_two_writes_at_the_same_time_may_end_either_way() -> None:
    assert acceptable(Ledger.from_operations(operations([Change(1, 3, 7), Change(3, 4, 8)]))) == {7, 8}


def test_a_write_of_unknown_outcome_obliges_to_nothing() -> None:
    assert acceptable(Ledger.from_operations(operations([Change(1, 2, 7, UNKNOWN)]))) == {7, None}


def test_a_write_of_unknown_outcome_may_surface_long_after() -> None:
    late = [Change(1, 2, 7, UNKNOWN), Change(50, 51, 8)]
    assert acceptable(Ledger.from_operations(operations(late))) == {7, 8}


def test_an_uncertain_delete_allows_both() -> None:
    ledger = Ledger.from_operations(operations([Change(1, 2, 7), Change(3, 4, None, UNKNOWN)]))
    assert acceptable(ledger) == {7, None}


def test_a_refused_write_leaves_no_trace_and_is_remembered() -> None:
    ledger = Ledger.from_operations(operations([Change(1, 2, 7), Change(3, 4, 8, FAIL)]))
    assert acceptable(ledger) == {7}
    places, known = ledger.write_places(np.array([7, 8, 9], np.uint64))
    assert places.tolist() == [0, -1, -1]
    assert known.tolist() == [True, True, False]


def test_a_server_error_is_no_proof_of_a_refusal() -> None:
    ops = operations([Change(1, 2, 7), Change(3, 4, 8, FAIL), Change(3, 4, 9, FAIL), Change(3, 4, None, FAIL)])
    ops["status"] = [200, 503, 499, 500]
    assert acceptable(Ledger.from_operations(ops)) == {7, 8, None}


def test_a_dropped_write_was_never_sent() -> None:
    assert len(Ledger.from_operations(operations([Change(1, 2, 7, DROPPED)])).keys) == 0


def test_one_version_twice_is_our_bug() -> None:
    with pytest.raises(InternalError, match=r"0\.0\.7"):
        Ledger.from_operations(operations([Change(1, 2, 7), Change(1, 2, 7, key=2)]))


def test_nothing_written() -> None:
    for nothing in ([], np.zeros(0, OPERATION_DTYPE), [np.zeros(0, OPERATION_DTYPE)]):
        ledger = Ledger.from_operations(nothing)
        assert len(ledger.keys) == 0
        assert ledger.explain(5) == "no object: nothing was ever written there"
        assert ledger.write_places(np.array([3], np.uint64))[0].tolist() == [-1]


def test_explains_in_words() -> None:
    version = (3 << 48) | (1 << 40) | 9
    at = 1_700_000_000 * S
    ledger = Ledger.from_operations(
        operations([
            Change(at, at + S, version),
            Change(at + 2 * S, at + 7 * S, version + 1, UNKNOWN),
            Change(at, at + S, None, key=2),
            Change(at, at + S, 5, UNKNOWN, key=3),
            *(Change(at, at + S, 10 + i, key=4) for i in range(6)),
        ])
    )  # fmt: skip
    assert ledger.explain(1) == (
        "version 3.1.9 (written, acknowledged 22:13:21.000 UTC) or "
        "version 3.1.10 (a write of unknown outcome, sent 22:13:22.000 UTC)"
    )
    assert ledger.explain(2) == "no object (deleted, acknowledged 22:13:21.000 UTC)"
    assert ledger.explain(3) == (
        "version 0.0.5 (a write of unknown outcome, sent 22:13:20.000 UTC) or no object (no write was acknowledged)"
    )
    assert ledger.explain(4).endswith(" or 3 more")


def test_a_million_operations_in_seconds() -> None:
    count = 1_000_000
    random = np.random.default_rng(1)
    ops = np.zeros(count, OPERATION_DTYPE)
    ops["key"] = random.integers(0, 200_000, count)
    ops["start_ns"] = 1_700_000_000 * S + random.integers(0, 600 * S, count)
    ops["end_ns"] = ops["start_ns"] + random.integers(0, S, count).astype(np.uint64)
    ops["op"] = random.choice([Op.PUT, Op.GET, Op.DELETE], count, p=[0.6, 0.3, 0.1])
    ops["version"] = (1 << 48) + np.arange(count)
    ops["outcome"] = random.choice([OK, UNKNOWN], count, p=[0.99, 0.01])
    began = time.process_time()
    ledger = Ledger.from_operations(ops)
    assert time.process_time() - began < 4.0  # about 1 s on a quiet machine
    assert len(ledger.keys) > 190_000
