import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import SECOND, T0, Record, latency_table, load, rows, spoil

from maul.core.errors import CampaignError
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.operation import ErrorClass, Op, Outcome
from maul.insight import LatencyBook, Select, percentiles, phase_summaries, series

NS = st.integers(min_value=1, max_value=3_600_000_000_000)


def row(values: list[int], second: int = T0, op: Op = Op.GET, outcome: Outcome = Outcome.OK) -> LatencyRow:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return LatencyRow(second, op, outcome, LatencyKind.LATENCY, len(values), histogram.to_v2())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(NS, min_size=1, max_size=30), min_size=1, max_size=8))
def test_percentiles_of_the_merge_are_those_of_all_the_data(parts: list[list[int]]) -> None:
    whole = Histogram()
    for value in (v for part in parts for v in part):
        whole.record(value)
    merged = LatencyBook.of_rows("p", [row(part) for part in parts]).merged(LatencyKind.LATENCY)
    assert percentiles(merged) == percentiles(whole)
    data = sorted(v for part in parts for v in part)
    for percentile in (50.0, 99.0):
        exact = data[max(0, math.ceil(len(data) * percentile / 100) - 1)]
        assert merged.percentile(percentile) == pytest.approx(exact, rel=0.002)


def test_percentiles_are_not_averages_of_percentiles() -> None:
    # One second with 900 quick operations, one with 100 slow ones: p50 of all is quick.
    book = LatencyBook.of_rows("p", [row([1_000_000] * 900), row([1_000_000_000] * 100, T0 + 1)])
    found = percentiles(book.merged(LatencyKind.LATENCY))
    assert (round(found.p50), round(found.p90), round(found.p99)) == (1, 1, 1000)
    assert found.mean == pytest.approx(100.9, rel=0.002)
    assert found.count == 1000


def test_an_empty_histogram_has_numbers_and_no_nan() -> None:
    found = percentiles(Histogram())
    assert found.count == 0
    assert set(found.model_dump().values()) == {0}


def test_quick_failures_do_not_flatter_and_long_silence_counts() -> None:
    book = LatencyBook.of_rows(
        "p",
        [
            row([10_000_000] * 10),
            row([1_000] * 990, outcome=Outcome.FAIL),
            row([5_000_000_000] * 10, outcome=Outcome.UNKNOWN),
        ],
    )
    found = percentiles(book.merged(LatencyKind.LATENCY))
    assert found.count == 20
    assert found.p50 == pytest.approx(10, rel=0.002)
    assert found.max == pytest.approx(5000, rel=0.002)


def test_select_narrows_by_everything() -> None:
    parts = [row([1]), row([1, 1], T0 + 1), row([1] * 4, op=Op.PUT), row([1] * 8, outcome=Outcome.FAIL)]
    book = LatencyBook.of(latency_table({"a": parts, "b": [row([1] * 16)]}))

    def count(select: Select) -> int:
        return sum(book.counts(select).values())

    assert count(Select()) == 31
    assert count(Select(phase="a")) == 15
    assert count(Select(phase="a", op=Op.GET)) == 11
    assert count(Select(phase="a", op=Op.GET, seconds=(T0, T0 + 1))) == 9
    assert count(Select(phase="a", outcomes=frozenset({Outcome.FAIL}))) == 8
    assert count(Select(phase="none")) == 0
    assert book.counts(Select(phase="a"))[Outcome.FAIL] == 8
    assert book.ops() == [Op.PUT, Op.GET]
    assert book.phases() == ["a", "b"]


def test_series_have_no_holes_and_say_nan_where_nothing_was_measured() -> None:
    operations = np.concatenate([load(0, 10, 1, service_ms=2), load(3, 20, 1, service_ms=8)])
    found = series(LatencyBook.of_rows("p", rows(spoil(operations, 10, Outcome.FAIL, ErrorClass.SLOW_DOWN))))
    assert found.second.tolist() == [T0, T0 + 1, T0 + 2, T0 + 3]
    assert found.per_second[Outcome.OK].tolist() == [9, 0, 0, 18]
    assert found.per_second[Outcome.FAIL].tolist() == [1, 0, 0, 2]
    assert found.per_second[Outcome.DROPPED].tolist() == [0, 0, 0, 0]
    assert found.latency_ms["p50"][[0, 3]] == pytest.approx([2, 8], rel=0.002)
    assert np.isnan(found.latency_ms["p999"][[1, 2]]).all()
    assert set(found.latency_ms) == set(found.service_ms) == {"p50", "p90", "p99", "p999"}


def test_series_keep_latency_and_service_apart() -> None:
    found = series(LatencyBook.of_rows("p", rows(load(0, 100, 1, service_ms=2, lag_ms=30))))
    assert found.latency_ms["p99"] == pytest.approx([32], rel=0.002)
    assert found.service_ms["p99"] == pytest.approx([2], rel=0.002)


def test_series_of_nothing() -> None:
    found = series(LatencyBook.of(latency_table({})))
    assert found.second.size == 0
    assert all(line.size == 0 for line in (*found.per_second.values(), *found.latency_ms.values()))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(list(Outcome)), st.sampled_from(list(Op)), st.integers(0, 5)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 20),
)
def test_every_offered_operation_has_exactly_one_outcome(kinds: list[tuple[Outcome, Op, int]], lost: int) -> None:
    operations = load(0, len(kinds), 1)
    for one, (outcome, op, second) in zip(operations, kinds, strict=True):
        one["outcome"], one["op"] = outcome, op
        one["due_ns"] = one["start_ns"] = (T0 + second) * SECOND
        one["end_ns"] = one["due_ns"] + 1_000_000
    whole, torn = Record(), Record()
    for record, kept in ((whole, operations), (torn, operations[lost:])):
        record.phase("load", 0, 6)
        record.operate("load", kept)
    # The histograms count every operation, also those whose records were lost; not what was given up on purpose.
    phase = phase_summaries(torn.events, whole.book, torn.operations)[0]
    given_up = sum((outcome, op) == (Outcome.FAIL, Op.ABORTED_PUT) for outcome, op, _ in kinds)
    assert phase.ok + phase.fail + phase.unknown + phase.dropped == phase.offered == len(kinds) - given_up
    assert phase.dropped == sum(outcome is Outcome.DROPPED for outcome, _, _ in kinds)


def test_a_damaged_histogram_is_named() -> None:
    broken = LatencyRow(T0, Op.GET, Outcome.OK, LatencyKind.LATENCY, 3, b"no histogram")
    with pytest.raises(CampaignError, match="a histogram of the record is damaged"):
        LatencyBook.of_rows("p", [row([1]), broken]).merged(LatencyKind.LATENCY)


def test_five_thousand_rows_are_folded_in_a_moment() -> None:
    values = np.random.default_rng(7).lognormal(15, 1, 50).astype(np.int64).tolist()
    one = row(values)
    book = LatencyBook.of_rows("p", [one] * 5_000)
    began = time.process_time()
    assert book.merged(LatencyKind.LATENCY).count == 250_000
    assert time.process_time() - began < 3  # about half a second on a slow core; a wrong algorithm takes minutes
