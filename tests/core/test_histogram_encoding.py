"""maul's histograms, read by an implementation that is not ours: the Python package hdrhistogram."""

import base64
import struct
import zlib

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from maul.core.histogram import Histogram

HOUR_NS = 3_600_000_000_000
COMPRESSED_V2 = 0x1C849304 | 0x10
PERCENTILES = (50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0)


def read_back(v2: bytes) -> HdrHistogram:
    packed = zlib.compress(v2)
    return HdrHistogram.decode(base64.b64encode(struct.pack(">II", COMPRESSED_V2, len(packed)) + packed))


def recorded(values: np.ndarray) -> Histogram:
    made = Histogram()
    for value in values.tolist():
        made.record(value)
    return made


def drawn(name: str) -> np.ndarray:
    rng = np.random.default_rng(11)
    if name == "latencies":
        values = rng.lognormal(14, 2, 60_000)
    elif name == "up to an hour":
        values = np.exp(rng.uniform(0, np.log(HOUR_NS), 60_000))
    elif name == "two humps":
        values = np.concatenate([rng.normal(1e6, 1e4, 30_000), rng.normal(5e9, 1e7, 500)])
    else:
        values = np.array([1, 1023, 1024, 2047, 2048, 999_999, HOUR_NS], float)
    return np.sort(np.clip(values, 1, HOUR_NS).astype(np.int64))


@pytest.mark.parametrize("name", ["latencies", "up to an hour", "two humps", "edges"])
def test_another_implementation_reads_the_same_within_a_thousandth(name: str) -> None:
    values = drawn(name)
    ours = recorded(values)
    theirs = read_back(ours.to_v2())
    assert theirs.get_total_count() == ours.count == values.size
    for percentile in PERCENTILES:
        # They round the rank to the nearest, we round it up: between them lies one value at most.
        rank = percentile / 100 * values.size
        low, high = (int(values[min(max(at, 1), values.size) - 1]) for at in (int(rank), int(rank) + 1))
        for found in (theirs.get_value_at_percentile(percentile), ours.percentile(percentile)):
            assert low * 0.999 - 1 <= found <= high * 1.001 + 1, (percentile, found, low, high)
    assert abs(theirs.get_max_value() - values[-1]) <= values[-1] / 1000 + 1
    assert abs(ours.max - values[-1]) <= values[-1] / 1000 + 1


def test_merging_there_and_here_is_the_same() -> None:
    first, second = drawn("latencies"), drawn("two humps")
    merged = recorded(first)
    merged.merge(recorded(second))
    theirs = read_back(recorded(first).to_v2())
    theirs.add(read_back(recorded(second).to_v2()))
    assert theirs.get_total_count() == merged.count
    for percentile in PERCENTILES:
        assert theirs.get_value_at_percentile(percentile) == pytest.approx(merged.percentile(percentile), rel=1e-3)


def test_what_another_implementation_wrote_is_read_here() -> None:
    theirs = HdrHistogram(1, HOUR_NS, 3)
    values = drawn("latencies")
    for value in values.tolist():
        theirs.record_value(value)
    packed = base64.b64decode(theirs.encode())
    ours = Histogram.from_v2(zlib.decompress(packed[8:]))
    assert ours.slots() == recorded(values).slots()


def test_slots_are_all_that_was_counted() -> None:
    values = drawn("up to an hour")
    slots = recorded(values).slots()
    assert sum(count for _, count in slots) == values.size
    assert [value for value, _ in slots] == sorted({value for value, _ in slots})
