import dataclasses

import pytest
from made_records import Record, load, ns, ramp, samples_of, spoil

from maul.core.event import EventKind
from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import Capacity, Level
from maul.insight import GeneratorLimits, Objective, find_capacity, search_limit

P99 = Objective("p99 of everything", latency_below_ms=100)


def fold(record: Record, *objectives: Objective, cores: int = 1) -> Capacity:
    found = find_capacity(
        record.events, record.book, record.operations, record.samples, objectives,
        generator=GeneratorLimits(cores=cores),
    )  # fmt: skip
    assert found is not None
    return found


# ---------------------------------------------------------------- one level


def test_a_queueing_wall_is_found_where_arithmetic_puts_it() -> None:
    # 250/s is what the target can do: 100 and 200 hold, 300 leaves a sixth unanswered, queueing up to 1 s.
    found = fold(ramp([100, 200, 300], capacity=250), P99)
    assert [level.meets for level in found.levels] == [True, True, False]
    assert (found.highest_good_per_s, found.first_bad_per_s, found.phase) == (200, 300, "ramp")
    first, _, last = found.levels
    assert first.achieved_per_s == pytest.approx(100, rel=0.01)
    assert first.p99_ms == pytest.approx(2, rel=0.01)
    assert last.achieved_per_s == pytest.approx(250, rel=0.01)
    # The k-th of 1,500 arrivals waits k * (1/250 - 1/300): the median 0.5 s, the last 1 s.
    assert last.p50_ms == pytest.approx(500, rel=0.02)
    assert last.p99_ms == pytest.approx(990, rel=0.02)
    assert "only 83 % of what was offered was achieved" in found.broke
    assert "p99 of everything: p99 of all operations was 99" in found.broke
    assert found.broke.endswith(" ms, not below 100 ms")
    assert found.says.startswith("It held 200/s and gave at 300/s (")


def test_overload_shows_even_when_every_late_answer_comes_in_the_end() -> None:
    (level,) = fold(ramp([300], capacity=250)).levels  # no objective: the throughput alone betrays it
    assert level.error_ratio == level.dropped_ratio == 0
    assert not level.meets


@pytest.mark.parametrize("rate", [4, 11, 97])
def test_low_rates_are_not_bad_because_of_the_edges(rate: float) -> None:
    record = ramp([rate], seconds=5, service_ms=180)
    (ops,) = record.by_phase["ramp"]
    ops["end_ns"][-3:] += 1_000_000_000  # the last that were due ended outside
    assert fold(record).levels[0].meets


@pytest.mark.parametrize(("share", "meets"), [(60, True), (40, False)])
def test_less_than_98_per_cent_achieved_is_not_achieved(share: int, meets: bool) -> None:
    record = ramp([1000])
    record.by_phase["ramp"] = [spoil(ops, share, Outcome.FAIL, ErrorClass.SLOW_DOWN) for ops in record.by_phase["ramp"]]
    level = fold(record).levels[0]
    assert level.error_ratio == pytest.approx(1 / share, rel=0.01)
    assert level.meets is meets


def test_one_dropped_arrival_is_one_too_many() -> None:
    record = ramp([100])
    record.by_phase["ramp"] = [spoil(ops, 500, Outcome.DROPPED, ErrorClass.BACKLOG) for ops in record.by_phase["ramp"]]
    level = fold(record).levels[0]
    assert level.dropped_ratio == 1 / 500
    assert "1 arrivals were dropped" in level.why_not


@pytest.mark.parametrize(
    ("objective", "why"),
    [
        (Objective("quick", latency_below_ms=40.5), ""),
        (Objective("quick", latency_below_ms=40), "quick: p99 of all operations was 40"),
        (Objective("median", percentile=50, latency_below_ms=3), ""),
        (Objective("reads", op="get", latency_below_ms=3), ""),
        (Objective("writes", op="put", latency_below_ms=3), "writes: p99 of PUT was 40"),
        (
            Objective("tail", percentile=99.9, op="get", latency_below_ms=1),
            "tail: p99.9 of GET was 2 ms, not below 1 ms",
        ),
        (Objective("lists", op="list", latency_below_ms=3), "lists: no list was due, so it is not known"),
        (Objective("errors", errors_below=0.01), ""),
        (
            Objective("errors", errors_below=0.001),
            "errors: 0.45 % of all operations went wrong, not below 0.1 %",
        ),
        (Objective("errors", op="get", errors_below=0), "errors: 0.5 % of GET went wrong, not below 0 %"),
        (Objective("errors", op="put", errors_below=0), ""),
    ],
)
def test_objectives(objective: Objective, why: str) -> None:
    record = ramp([200])
    gets = record.by_phase["ramp"][0]
    record.by_phase["ramp"] = [spoil(gets, 200, Outcome.FAIL, ErrorClass.SLOW_DOWN)]
    record.operate("ramp", load(0, 20, 5, op=Op.PUT, service_ms=40))
    level = fold(record, objective).levels[0]
    assert level.meets is (not why)
    assert level.why_not.startswith(why)


def test_what_the_end_of_the_run_cut_off_is_no_error_of_the_target() -> None:
    record = ramp([100], seconds=5)
    (ops,) = record.by_phase["ramp"]
    ops["outcome"][-50:], ops["error_class"][-50:] = Outcome.UNKNOWN, ErrorClass.STOPPED
    ops["outcome"][-5:], ops["start_ns"][-5:] = Outcome.DROPPED, 0  # these had not even been sent
    level = fold(record, Objective("errors", errors_below=0.0001)).levels[0]
    assert (level.error_ratio, level.dropped_ratio, level.meets) == (0, 0, True)


def test_a_level_that_was_cut_short_is_judged_by_what_was_due_in_it() -> None:
    record = ramp([100], seconds=5)
    record.by_phase["ramp"] = [record.by_phase["ramp"][0][:400]]  # the load ended after 4 s, the level after 5 s
    level = fold(record).levels[0]
    assert level.meets
    assert level.achieved_per_s == pytest.approx(100, rel=0.01)


def test_levels_need_not_begin_at_full_seconds() -> None:
    record = Record()
    record.phase("ramp", 0.3, 10.3)
    for number, (at_s, rate, service_ms) in enumerate([(0.3, 100, 2), (5.3, 200, 50)]):
        record.span(EventKind.LEVEL, f"level {number + 1}", at_s, at_s + 5, rate=rate)
        record.operate("ramp", load(at_s, rate, 5, service_ms=service_ms))
    first, second = fold(record).levels
    assert first.p999_ms == pytest.approx(2, rel=0.01)  # nothing of the next level's 50 ms
    assert second.p50_ms == pytest.approx(50, rel=0.01)
    assert first.meets
    assert second.meets


def test_levels_without_recorded_operations_are_measured_by_their_histograms() -> None:
    record = ramp([100, 200])
    found = find_capacity(record.events, record.book, Record().operations, record.samples, [P99])
    assert found is not None
    assert [level.achieved_per_s for level in found.levels] == [100, 200]
    assert all(level.meets for level in found.levels)


def test_a_level_without_operations_is_not_good() -> None:
    record = ramp([100, 200])
    record.by_phase["ramp"].pop()
    found = fold(record, P99)
    assert found.levels[1].why_not == "no operation was due in this level"
    assert (found.levels[1].p99_ms, found.levels[1].achieved_per_s, found.levels[1].error_ratio) == (0, 0, 0)
    assert (found.highest_good_per_s, found.first_bad_per_s) == (100, None)  # nothing is known of 200/s
    assert found.says == "It held 100/s, the highest rate that was measured; its limit lies above."


def test_a_level_that_had_just_begun_is_no_evidence() -> None:
    record = ramp([100, 200, 300])
    record.facts[-1] = dataclasses.replace(record.facts[-1], at_ns=ns(11))  # stopped a second after it began
    record.by_phase["ramp"][-1] = record.by_phase["ramp"][-1][:300]
    found = fold(record, P99)
    assert [level.offered_per_s for level in found.levels] == [100, 200]
    assert found.highest_good_per_s == 200


def test_a_level_without_an_end_ends_with_what_is_known() -> None:
    record = ramp([100, 200])
    record.facts = record.facts[:1] + record.facts[2:-1]  # neither the phase nor the last level ended: killed
    found = fold(record, P99)
    assert found.levels[1].ended_ns == ns(10)
    assert found.highest_good_per_s == 200


def test_a_record_without_levels_has_no_capacity() -> None:
    record = Record()
    assert find_capacity(record.events, record.book, record.operations, record.samples, [P99]) is None
    record.phase("steady", 0, 10)
    record.operate("steady", load(0, 10, 10))
    assert find_capacity(record.events, record.book, record.operations, record.samples, [P99]) is None


def test_the_phase_with_the_most_levels_is_taken_unless_another_is_asked_for() -> None:
    record = ramp([100, 200])
    record.phase("soak", 20, 30)
    record.span(EventKind.LEVEL, "level 1", 20, 30, rate=50)
    record.operate("soak", load(20, 50, 10))
    assert fold(record).phase == "ramp"
    other = find_capacity(record.events, record.book, record.operations, record.samples, [], phase="soak")
    assert other is not None
    assert [level.offered_per_s for level in other.levels] == [50]
    assert find_capacity(record.events, record.book, record.operations, record.samples, [], phase="none") is None


# ---------------------------------------------------------------- the generator


def with_generator(busy: float, lag_ms: float, rates: tuple[float, ...] = (100, 200)) -> Record:
    """The last level of the ramp is one in which the generator was so busy, and so late."""
    record = ramp(rates)
    seconds = 5.0
    last_s = (len(rates) - 1) * seconds
    record.by_phase["ramp"][-1] = load(last_s, rates[-1], seconds, capacity=rates[-1] * 0.8, lag_ms=lag_ms)
    record.readings = samples_of(0, last_s, {("process", "cpu_ratio", "maul"): 0.3})
    record.readings += samples_of(last_s, seconds, {("process", "cpu_ratio", "maul"): busy})
    return record


def test_a_level_in_which_the_generator_gave_is_void() -> None:
    found = fold(with_generator(0.97, 30), P99)
    assert found.levels[1].generator_bound
    assert not found.levels[1].meets
    assert (found.highest_good_per_s, found.first_bad_per_s, found.broke) == (100, None, "")
    assert found.wall is not None
    assert (found.wall.kind, found.wall.subject) == ("generator", "maul")
    assert found.wall.utilisation == pytest.approx(0.97)
    assert "is not known, because at 200/s the load generator was the limit" in found.says
    assert "used 97 % of its core" in found.wall.says


@pytest.mark.parametrize(("busy", "lag_ms", "cores"), [(0.5, 0.5, 1), (0.97, 0.5, 2)])
def test_an_idle_and_punctual_generator_is_no_excuse(busy: float, lag_ms: float, cores: int) -> None:
    found = fold(with_generator(busy, lag_ms), P99, cores=cores)
    assert found.levels[1].void == []
    assert found.first_bad_per_s == 200


def test_waiting_for_a_connection_is_the_target_s_slowness() -> None:
    record = with_generator(0.5, 30)
    record.punctual = True
    found = fold(record, P99)
    assert found.levels[1].lag_p99_ms == pytest.approx(30, rel=0.01)
    assert (found.levels[1].schedule_p99_ms, found.levels[1].void) == (0, [])
    assert found.first_bad_per_s == 200


def test_a_generator_that_is_late_by_its_own_doing_needs_no_full_core() -> None:
    found = fold(with_generator(0.5, 30), P99)
    assert "took up 1 % of its arrivals 30 ms late" in found.levels[1].void[0]
    assert found.first_bad_per_s is None


def test_a_level_that_was_good_in_spite_of_a_busy_generator_counts() -> None:
    record = ramp([100, 200], lag_ms=10)
    record.readings = samples_of(0, 10, {("process", "cpu_ratio", "maul"): 0.99})
    found = fold(record, P99)
    assert all(level.generator_bound and level.meets for level in found.levels)
    assert found.highest_good_per_s == 200


def test_without_samples_a_punctual_generator_is_not_accused() -> None:
    record = with_generator(0.97, 30)
    record.readings, record.punctual = [], True
    found = fold(record, P99)
    assert found.levels[1].void == []
    assert found.wall is not None
    assert found.wall.kind == "none"
    assert "not known" in found.wall.says


# ---------------------------------------------------------------- the search


def level(rate: float, meets: bool, bound: bool = False, began_ns: int = 0) -> Level:
    return Level(
        began_ns=began_ns, ended_ns=began_ns + 1, offered_per_s=rate, achieved_per_s=rate, p50_ms=1, p99_ms=1,
        p999_ms=1, service_p99_ms=1, error_ratio=0, dropped_ratio=0, lag_p99_ms=1, void=["it gave"] if bound else [],
        meets=meets,
    )  # fmt: skip


def limits(*found: Level) -> tuple[float | None, float | None, float | None]:
    search = search_limit(found)
    return tuple(one.offered_per_s if one else None for one in (search.good, search.bad, search.void))  # type: ignore[return-value]


G, B = True, False


@pytest.mark.parametrize(
    ("kinds", "good", "bad"),
    [
        ([G, G, G], 3, None),
        ([G, G, B], 2, 3),  # the ramp ended because it gave
        ([G, B, B, B], 1, 2),
        ([G, B, G, G], 4, None),  # a hiccup: not confirmed by the next rate
        ([G, B, G, B, B], 3, 4),
        ([G, G, B, B, G], 2, 3),  # a lucky level beyond the limit is not capacity
        ([B, B, B], None, 1),
        ([B, G, G], 3, None),
        ([B], None, 1),
        ([], None, None),
    ],
)
def test_the_last_good_before_the_first_confirmed_bad(kinds: list[bool], good: int | None, bad: int | None) -> None:
    assert limits(*(level(rate + 1, meets) for rate, meets in enumerate(kinds))) == (good, bad, None)


def test_the_order_in_time_does_not_matter_to_a_search_by_halves() -> None:
    assert limits(level(100, G), level(400, B), level(200, G), level(300, B)) == (200, 300, None)


def test_tries_of_one_rate_vote() -> None:
    tries = [level(200, m, began_ns=n) for n, m in enumerate([B, G, G])]
    assert limits(level(100, G), *tries, level(300, B), level(400, B)) == (200, 300, None)
    assert limits(level(100, G), level(200, B), level(200.5, G)) == (100, 200, None)  # doubt is no promise
    assert limits(level(100, G), level(200, B), level(201, B), level(300, G)) == (100, 200, None)  # bad twice


def test_void_levels_are_neither_good_nor_bad() -> None:
    assert limits(level(1, G), level(2, B, bound=True), level(3, G)) == (3, None, None)
    assert limits(level(1, G), level(2, B), level(3, B, bound=True), level(4, G)) == (4, None, None)
    assert limits(level(1, B, bound=True)) == (None, None, 1)
    assert limits(level(1, G), level(2, B), level(3, B), level(4, B, bound=True)) == (1, 2, 4)


def test_beyond_a_void_level_nothing_is_blamed_on_the_target() -> None:
    assert limits(level(1, G), level(2, B, bound=True), level(3, B), level(4, B)) == (1, None, 2)
    assert limits(level(1, B, bound=True), level(2, B), level(3, B)) == (None, None, 1)
    # A void try of a rate that was bad by itself as well hides nothing.
    assert limits(level(1, G), level(2, B, bound=True), level(2, B, began_ns=1), level(3, B)) == (1, 2, 2)
