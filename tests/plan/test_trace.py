"""Traces: what is replayed of an earlier run, and what is said about it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maul.core.errors import CampaignError
from maul.core.operation import OPERATION_DTYPE, REGION_SHIFT, ErrorClass, Flag, Op, Outcome, Region
from maul.plan.trace import TRACE_DTYPE, OperationArray, Trace, mix_of, trace_of

S = 1_000_000_000
T0 = 1_800_000_000 * S


def key(region: Region, index: int) -> int:
    return region << REGION_SHIFT | index


def operations(*rows: dict[str, int]) -> OperationArray:
    made = np.zeros(len(rows), OPERATION_DTYPE)
    for place, row in zip(made, rows, strict=True):
        place["status"] = 200
        for name, value in row.items():
            place[name] = value
        place["start_ns"] = place["due_ns"] + 1000
    return made


def unpacked(trace: Trace) -> OperationArray:
    return np.frombuffer(trace.rows, TRACE_DTYPE)


def test_a_row_has_32_bytes_without_padding_of_its_own() -> None:
    assert TRACE_DTYPE.itemsize == 32
    offsets = [TRACE_DTYPE.fields[name][1] for name in ("due_ns", "key", "size", "op", "zero")]  # type: ignore[index]
    assert offsets == [0, 8, 16, 24, 25]


def test_what_was_due_is_due_again_k_times_faster() -> None:
    rows = operations(
        {"due_ns": T0 + 3 * S, "op": Op.GET, "key": key(Region.BASE, 9), "bytes": 77},
        {"due_ns": T0, "op": Op.PUT, "key": key(Region.BASE, 5), "bytes": 4096},
        {"due_ns": T0 + S, "op": Op.HEAD, "key": key(Region.MULTIPART, 2)},
    )
    trace = trace_of(rows, speed=2.0)
    packed = unpacked(trace)
    assert packed["due_ns"].tolist() == [0, S // 2, 3 * S // 2]
    assert packed["op"].tolist() == [Op.PUT, Op.HEAD, Op.GET]
    assert packed["key"].tolist() == [5, key(Region.MULTIPART, 2), 9]
    assert packed["size"].tolist() == [4096, 0, 0], "what a GET brought is not its own choice"
    assert not packed["zero"].any()
    assert (trace.count, trace.seconds, trace.bytes_written) == (3, 1.500000001, 4096)
    assert trace.ends == ((Region.BASE, 10), (Region.MULTIPART, 3))
    assert mix_of(trace) == (("put", 1.0), ("get", 1.0), ("head", 1.0))


def test_the_peak_is_that_of_the_replay() -> None:
    rows = operations(*({"due_ns": T0 + i * S // 10, "op": Op.GET} for i in range(40)))
    assert [trace_of(rows, speed).peak_per_s for speed in (0.5, 1.0, 2.0)] == [5, 10, 20]


def test_a_request_for_several_keys_is_one_arrival() -> None:
    shared = {"due_ns": T0, "op": Op.MULTI_DELETE}
    rows = operations(
        shared | {"key": key(Region.EPHEMERAL, 1)},
        shared | {"key": key(Region.EPHEMERAL, 2), "flags": Flag.SAME_REQUEST, "item": 1},
        shared | {"key": key(Region.EPHEMERAL, 3), "flags": Flag.SAME_REQUEST | Flag.RESUMED, "item": 2},
    )
    trace = trace_of(rows)
    assert (trace.count, unpacked(trace)["key"].tolist()) == (1, [key(Region.EPHEMERAL, 1)])


def test_sizes_that_nobody_noted_are_guessed_and_told() -> None:
    failed = {"op": Op.PUT, "outcome": Outcome.UNKNOWN, "error_class": ErrorClass.TIMEOUT}
    declined = {"op": Op.PUT_IF_NONE_MATCH, "status": 412}
    rows = operations(
        {"due_ns": T0, "op": Op.PUT, "bytes": 1000},
        failed | {"due_ns": T0 + 1},
        {"due_ns": T0 + 2, "op": Op.PRESIGNED_PUT, "bytes": 3000},
        declined | {"due_ns": T0 + 3},
    )
    trace = trace_of(rows)
    assert unpacked(trace)["size"].tolist() == [1000, 2000, 3000, 2000]
    assert (trace.guessed_sizes, trace.bytes_written) == (2, 8000)
    with pytest.raises(CampaignError, match="how large"):
        trace_of(rows[1:2])


def test_what_was_never_sent_is_left_out_and_told() -> None:
    dropped = {"op": Op.DELETE, "outcome": Outcome.DROPPED, "error_class": ErrorClass.BACKLOG}
    rows = operations({"due_ns": T0 + 5, "op": Op.GET}, dropped | {"due_ns": T0}, dropped | {"due_ns": T0 + 9})
    trace = trace_of(rows)
    assert (trace.count, trace.left_out, unpacked(trace)["due_ns"].tolist()) == (1, 2, [0])
    with pytest.raises(CampaignError, match="no operations"):
        trace_of(rows[1:])


def test_keys_that_the_trace_does_not_bring_are_counted() -> None:
    mine, others = key(Region.EPHEMERAL, 7), key(Region.EPHEMERAL, 8)
    rows = operations(
        {"due_ns": T0, "op": Op.GET, "key": mine},  # too early
        {"due_ns": T0 + 1, "op": Op.PUT, "key": mine, "bytes": 10},
        {"due_ns": T0 + 2, "op": Op.GET, "key": mine},
        {"due_ns": T0 + 3, "op": Op.DELETE, "key": mine},
        {"due_ns": T0 + 4, "op": Op.DELETE, "key": others},
        {"due_ns": T0 + 5, "op": Op.GET, "key": key(Region.BASE, 8)},
    )
    assert trace_of(rows).orphans == 2
    assert trace_of(rows[4:]).orphans == 1
    assert trace_of(rows[1:4]).orphans == 0


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf"), 1000.1])
def test_a_strange_speed_is_refused(speed: float) -> None:
    with pytest.raises(CampaignError, match="times its speed"):
        trace_of(operations({"due_ns": T0, "op": Op.GET}), speed)


@given(
    st.lists(st.tuples(st.integers(0, 10**13), st.integers(0, 30)), min_size=1, max_size=50),
    st.floats(0.01, 1000.0),
)
def test_rows_are_sorted_and_the_end_covers_them(dues: list[tuple[int, int]], speed: float) -> None:
    rows = operations(*({"due_ns": T0 + due, "op": Op.GET, "key": number} for due, number in dues))
    trace = trace_of(rows, speed)
    packed = unpacked(trace)
    assert (np.diff(packed["due_ns"].astype(np.int64)) >= 0).all()
    assert packed["due_ns"][0] == 0
    assert packed["due_ns"][-1] <= trace.seconds * 1e9, "the engine would refuse it"
    assert sorted(packed["key"].tolist()) == sorted(number for _, number in dues)
    length = max(due for due, _ in dues) - min(due for due, _ in dues)
    assert abs(int(packed["due_ns"][-1]) - length / speed) <= 2 + length / speed * 1e-12
