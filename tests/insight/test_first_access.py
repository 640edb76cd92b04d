"""First and repeated reads of keys whose caching is made up."""

import numpy as np
import pyarrow as pa
import pytest
from made_records import SECOND, T0, operations_table

from maul.core.operation import OPERATION_DTYPE, Flag, Op, Outcome
from maul.insight.first_access import first_access


def reads(
    first_ms: float = 2.0, again_ms: float = 2.0, *, warm: bool = False, keys: int = 2000, count: int = 6000,
    new: bool = False, op: Op = Op.GET,
) -> pa.Table:  # fmt: skip
    rng = np.random.default_rng(1)
    made = np.zeros(count, OPERATION_DTYPE)
    made["key"] = rng.integers(0, keys, count)
    first = np.zeros(count, bool)
    first[np.unique(made["key"], return_index=True)[1]] = True
    ms = np.where(first, first_ms, again_ms) * np.exp(0.4 * rng.normal(size=count))
    if warm:  # everything is slow in the beginning, first or not
        ms *= 1 + 5 * np.exp(-np.arange(count) / 800)
    made["due_ns"] = made["start_ns"] = T0 * SECOND + np.arange(count) * 10**7
    made["end_ns"] = made["start_ns"] + (ms * 1e6).astype(np.uint64)
    made["op"], made["outcome"] = op, Outcome.OK
    if new:
        made["flags"][first] = Flag.NEW_CONNECTION
    return operations_table({"load": [rng.permutation(made)]})


def test_a_cache_is_seen() -> None:
    found = first_access(reads(6.0, 2.0), ["load"])
    assert found is not None
    assert found.differs
    assert found.effect == pytest.approx(2.0, abs=0.2)
    assert (found.first_p50_ms, found.repeated_p50_ms) == (pytest.approx(6, rel=0.05), pytest.approx(2, rel=0.05))
    assert "slower than further GETs" in found.says
    assert found.first + found.repeated == 6000


@pytest.mark.parametrize("warm", [False, True])
def test_without_a_cache_nothing_is_said_even_when_the_beginning_is_slow(warm: bool) -> None:
    found = first_access(reads(warm=warm), ["load"])
    assert found is not None
    assert not found.differs
    assert found.says == ""
    if warm:  # the naive comparison would have been wrong
        assert found.first_p50_ms > 1.3 * found.repeated_p50_ms


def test_new_connections_are_no_first_access() -> None:
    assert first_access(reads(6.0, 2.0, new=True), ["load"]) is None


@pytest.mark.parametrize(
    "table",
    [
        reads(count=0),
        reads(count=50),
        reads(6.0, 2.0, op=Op.PUT),
        reads(6.0, 2.0, keys=10),
        reads(6.0, 2.0, keys=10**9),
    ],
)
def test_too_little_of_either_is_no_answer(table: pa.Table) -> None:
    assert first_access(table, ["load"]) is None


def test_other_phases_do_not_count() -> None:
    assert first_access(reads(6.0, 2.0), ["audit"]) is None
    assert first_access(reads(6.0, 2.0), []) is None
