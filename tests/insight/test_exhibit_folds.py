import doctest

import numpy as np
import pyarrow as pa

from maul.core.operation import OPERATION_DTYPE, ErrorClass, Op
from maul.insight import exhibits, exhibits_of

MS = 10**6
ENDPOINTS = {"load": ("vip", "s3-1")}


def row(reason: str, latency_ms: int, **fields: object) -> dict[str, object]:
    operation = dict.fromkeys(OPERATION_DTYPE.names or (), 0)
    times = {"due_ns": 1_000 * MS, "start_ns": 1_001 * MS, "end_ns": (1_000 + latency_ms) * MS}
    words = {"phase": "load", "reason": reason, "request_id": "", "says": "", "expected": "", "found": ""}
    return {**operation, **times, **words, "offset": None, "op": int(Op.GET), **fields}


def shown(*rows: dict[str, object]):
    return exhibits_of(pa.Table.from_pylist(list(rows)), ["maul/r/"], ENDPOINTS)


def test_examples_in_docstrings_run():
    assert doctest.testmod(exhibits).failed == 0


def test_the_slowest_of_all_shards_come_slowest_first_and_are_bounded():
    rows = [row("slowest", latency_ms, request_id=f"id-{latency_ms}") for latency_ms in range(10, 60)]
    found = shown(*np.random.default_rng(1).permutation(rows).tolist())
    assert [one.request_id for one in found] == [f"id-{ms}" for ms in range(59, 39, -1)]
    assert (found[0].latency_ms, found[0].service_ms) == (59.0, 58.0)


def test_of_each_kind_of_error_the_first_are_shown_in_the_order_of_time():
    torn = [row("error", 5, due_ns=n, error_class=int(ErrorClass.TORN), says=f"{n}") for n in (9, 3, 7, 5, 1, 8, 2)]
    slow = row("error", 5, due_ns=4, error_class=int(ErrorClass.SLOW_DOWN), status=503)
    found = shown(*torn, slow)
    assert [one.says for one in found if one.error_class == "TORN"] == ["1", "2", "3", "5", "7"]
    assert [one.status for one in found if one.error_class == "SLOW_DOWN"] == [503]


def test_keys_and_endpoints_have_their_names():
    one, unknown, listing = shown(
        row("slowest", 30, key=(1 << 56) | 255, endpoint=1),
        row("slowest", 20, endpoint=7),
        row("slowest", 10, op=int(Op.LIST)),
    )
    assert (one.key, one.endpoint) == ("maul/r/e0000000000ff", "s3-1")
    assert (unknown.endpoint, listing.key) == ("7", "")


def test_the_parts_end_where_the_operation_ended():
    answered = row("slowest", 9, connected_ns=1_002 * MS, secured_ns=1_004 * MS, sent_ns=1_005 * MS)
    (half,) = shown({**answered, "first_byte_ns": 0})
    assert half.parts_ms == {"connect": 1.0, "tls": 2.0, "send": 1.0}
    (whole,) = shown({**answered, "first_byte_ns": 1_008 * MS})
    assert whole.parts_ms == {"connect": 1.0, "tls": 2.0, "send": 1.0, "wait": 3.0, "body": 1.0}
    assert sum(whole.parts_ms.values()) == whole.service_ms


def test_of_several_exchanges_no_parts_are_told_and_other_phases_are_left_out():
    (upload,) = shown(row("slowest", 9, exchanges=4, sent_ns=1_002 * MS), row("slowest", 99, phase="audit"))
    assert upload.parts_ms == {}
