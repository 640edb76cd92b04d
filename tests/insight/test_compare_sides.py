"""Comparison of made-up runs: what differs is known, and what does not."""

from collections.abc import Callable

import numpy as np
import pytest
from made_records import T0

from maul.core.comparison import ComparedRow, Judgement, Metric
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.operation import Op, Outcome
from maul.core.summary import Capacity
from maul.insight import LatencyBook
from maul.insight.compare import Measured, compare
from maul.insight.compare_capacity import compare_capacity

KEY = ("load", "load")


def run(
    seed: int,
    *,
    median_ms: float = 5.0,
    tail: float = 1.0,
    seconds: int = 60,
    rate: int = 100,
    fails: float = 0.0,
    at: Callable[[int], float] = lambda _: 1.0,
    void: bool = False,
) -> Measured:
    """Lognormal latencies; the slowest fiftieth are `tail` times as slow; `at` multiplies each second's."""
    rng = np.random.default_rng(seed)
    rows = []
    for second in range(seconds):
        values = median_ms * at(second) * np.exp(0.3 * rng.normal(size=rate))
        values[rng.random(rate) < 0.02] *= 4 * tail
        failed = rng.random(rate) < fails
        for outcome, chosen in ((Outcome.OK, values[~failed]), (Outcome.FAIL, values[failed])):
            if chosen.size:
                made = Histogram()
                for value, count in zip(*np.unique((chosen * 1e3).astype(int), return_counts=True), strict=True):
                    made.record(int(value) * 1000, int(count))
                rows.append(LatencyRow(T0 + second, Op.GET, outcome, LatencyKind.LATENCY, made.count, made.to_v2()))
    phases = {"load": "the generator was the limit"} if void else {}
    return Measured(f"r{seed}", LatencyBook.of_rows("load", rows), {KEY: (T0, T0 + seconds)}, phases)


def rows_of(a: list[Measured], b: list[Measured]) -> dict[Metric, ComparedRow]:
    found = compare(a, b)
    return {row.metric: row for row in found.rows}


def test_two_of_the_same_are_no_different() -> None:
    for seed in range(5):
        rows = rows_of([run(seed)], [run(100 + seed)])
        assert set(rows) == {Metric.OK, Metric.P50, Metric.P99, Metric.ERRORS}
        for row in rows.values():
            assert row.judgement in (Judgement.SAME, Judgement.UNKNOWN), row
        assert rows[Metric.P50].judgement is Judgement.SAME
        assert rows[Metric.OK].effect == 0


def test_a_slower_run_is_worse_and_the_other_way_round_better() -> None:
    rows = rows_of([run(1)], [run(2, median_ms=8.0)])
    p50 = rows[Metric.P50]
    assert p50.judgement is Judgement.WORSE
    assert p50.effect == pytest.approx(0.6, abs=0.05)
    assert p50.low is not None and p50.high is not None and p50.floor is not None
    assert 0.5 < p50.low < 0.6 < p50.high < 0.7
    assert p50.floor == pytest.approx(0.105, abs=0.01)  # a tenth as a logarithm: single runs
    back = rows_of([run(2, median_ms=8.0)], [run(1)])[Metric.P50]
    assert back.judgement is Judgement.BETTER
    assert back.effect == pytest.approx(1 / 1.6 - 1, abs=0.03)


def test_one_run_a_side_does_not_settle_what_two_equal_runs_may_show() -> None:
    row = rows_of([run(1)], [run(2, median_ms=6.8)])[Metric.P50]
    assert row.effect is not None and row.low is not None and row.floor is not None
    assert row.effect > row.low > row.floor  # sure of these two runs, not of the next two
    assert row.judgement is Judgement.UNKNOWN
    assert "repeat both" in row.why
    a, b = ([run(seed + i, median_ms=ms) for i in range(3)] for seed, ms in ((300, 5.0), (310, 6.8)))
    assert rows_of(a, b)[Metric.P50].judgement is Judgement.WORSE


def test_only_the_tail_is_slower() -> None:
    rows = rows_of([run(3, seconds=200)], [run(4, seconds=200, tail=3.0)])
    assert rows[Metric.P50].judgement is Judgement.SAME
    assert rows[Metric.P99].judgement is Judgement.WORSE
    assert rows[Metric.P99].effect is not None
    assert rows[Metric.P99].effect > 1.0


def test_figures_are_those_of_the_whole_merged_histogram() -> None:
    one = run(5)
    row = rows_of([one], [run(6)])[Metric.P99]
    merged = one.book.merged(LatencyKind.LATENCY)
    cut_may_shift = 0.05
    assert row.a == pytest.approx(merged.percentile(99.0) / 1e6, rel=cut_may_shift)


def test_errors_are_told_apart_from_chance() -> None:
    many = rows_of([run(7)], [run(8, fails=0.03)])[Metric.ERRORS]
    assert (many.judgement, many.a) == (Judgement.WORSE, 0.0)
    assert many.effect == pytest.approx(0.03, abs=0.008)
    one = rows_of([run(7)], [run(8, fails=0.0003)])[Metric.ERRORS]
    assert one.judgement is Judgement.SAME
    none = rows_of([run(7)], [run(9)])[Metric.ERRORS]
    assert none.low is not None and none.high is not None
    assert none.low < 0 < none.high < 0.001  # none in 6,000 is not none at all


def test_lost_throughput_is_worse() -> None:
    row = rows_of([run(10)], [run(11, fails=0.5)])[Metric.OK]
    assert row.judgement is Judgement.WORSE
    assert row.effect == pytest.approx(-0.5, abs=0.03)


def test_the_warm_up_does_not_count() -> None:
    warm = run(12, at=lambda second: 6.0 if second < 8 else 1.0, seconds=80)
    assert rows_of([run(13, seconds=80)], [warm])[Metric.P99].judgement is not Judgement.WORSE
    assert rows_of([run(13, seconds=80)], [warm])[Metric.P50].judgement is Judgement.SAME


def test_a_run_that_drifts_hides_what_is_smaller_than_its_drift() -> None:
    drifting = run(14, at=lambda second: 1 + second / 60)
    row = rows_of([drifting], [run(15, median_ms=9.0)])[Metric.P50]
    assert row.floor is not None
    assert row.floor > 0.3
    assert row.judgement is not Judgement.BETTER
    assert "did not settle" in " ".join(compare([drifting], [run(15)]).notes)


@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_repeats_measure_how_far_runs_of_the_same_lie_apart(shift: float) -> None:
    scatter = (0.85, 1.0, 1.2)
    a = [run(20 + i, median_ms=5 * s) for i, s in enumerate(scatter)]
    b = [run(30 + i, median_ms=5 * s * shift) for i, s in enumerate((1.1, 0.9, 1.25))]
    row = rows_of(a, b)[Metric.P50]
    assert row.floor is not None and row.effect is not None
    assert row.floor > 0.3
    if shift == 1.0:
        assert row.judgement in (Judgement.SAME, Judgement.UNKNOWN)
        assert row.repeats_p is not None and row.repeats_p > 0.3
    else:
        assert row.judgement is Judgement.WORSE
        assert row.effect == pytest.approx(1.0, abs=0.25)
        assert row.repeats_p == pytest.approx(0.1)  # the least that three against three can give


def test_repeats_that_overlap_are_no_finding_however_sure_each_is() -> None:
    a = [run(40, median_ms=5.0), run(41, median_ms=5.05)]
    b = [run(42, median_ms=5.02), run(43, median_ms=8.0)]
    assert rows_of(a, b)[Metric.P50].judgement not in (Judgement.WORSE, Judgement.BETTER)


def test_too_little_is_left_out_and_said() -> None:
    short = compare([run(50, seconds=6)], [run(51, seconds=60)])
    assert not short.rows
    assert "6 s of steady time are too few" in short.notes[-1]
    few = compare([run(52, rate=4)], [run(53, rate=4)])
    assert [note.split(":")[0] for note in few.notes] == ["load, GET p99_ms"]
    assert Metric.P99 not in {row.metric for row in few.rows}
    assert few.notes[0].endswith("operations are too few (at least 500)")
    nothing = Measured("x", LatencyBook.of_rows("load", []), {KEY: (T0, T0 + 60)}, {})
    assert not compare([nothing], [nothing]).rows
    other = Measured("y", nothing.book, {("other", "other"): (T0, T0 + 60)}, {})
    assert compare([nothing], [other]).notes == [
        "load: not in every run, left out",
        "other: not in every run, left out",
    ]


def test_where_the_generator_gave_nothing_is_said_of_the_target() -> None:
    for a, b in (([run(60)], [run(61, median_ms=50, void=True)]), ([run(62, void=True)], [run(63)])):
        assert {row.judgement for row in compare(a, b).rows} == {Judgement.UNKNOWN}


def test_everything_failed_is_survived() -> None:
    rows = rows_of([run(70)], [run(71, fails=1.0)])
    assert rows[Metric.ERRORS].judgement is Judgement.WORSE
    assert rows[Metric.OK].judgement is Judgement.WORSE


def test_the_same_twice_gives_the_same() -> None:
    assert compare([run(80)], [run(81)]).rows == compare([run(80)], [run(81)]).rows


# ---------------------------------------------------------------- capacity


def capacity(good: float | None, bad: float | None) -> Capacity:
    return Capacity(phase="ramp", levels=[], highest_good_per_s=good, first_bad_per_s=bad, broke="", wall=None, says="")


@pytest.mark.parametrize(
    ("a", "b", "judgement"),
    [
        ((700, 800), (700, 800), Judgement.SAME),
        ((700, 800), (600, 700), Judgement.WORSE),
        ((600, 700), (700, 800), Judgement.BETTER),
        ((600, 800), (700, 900), Judgement.SAME),
        ((700, None), (700, None), Judgement.SAME),
        ((700, None), (700, 800), Judgement.UNKNOWN),
        ((700, None), (500, 600), Judgement.WORSE),
        ((500, 600), (700, None), Judgement.BETTER),
        ((700, 800), (None, 100), Judgement.WORSE),
        ((700, None), (800, None), Judgement.UNKNOWN),
    ],
)
def test_limits_are_brackets(
    a: tuple[float | None, float | None], b: tuple[float | None, float | None], judgement: Judgement
) -> None:
    row = compare_capacity([capacity(*a)], [capacity(*b)])
    assert row is not None
    assert row.judgement is judgement
    if row.low is not None and row.high is not None and judgement is Judgement.SAME:
        assert row.low <= 0 <= row.high


def test_repeats_widen_the_bracket() -> None:
    row = compare_capacity([capacity(700, 800), capacity(500, 600)], [capacity(600, 700)])
    assert row is not None
    assert (row.a, row.judgement) == (500, Judgement.SAME)
    assert compare_capacity([capacity(None, 100)], [capacity(None, 100)]) is None
