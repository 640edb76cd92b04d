"""One generator from its start to its end, on a clock that only the driver moves."""

import numpy as np
import pytest
from conduct_stage import RUN, T0_NS, Ends, Told, events_of, script

from maul.conduct.drive import OVERDUE, TICK_S, Drive, Driver, LoadMeter
from maul.conduct.stop import StopSwitch
from maul.core.clock import FakeClock
from maul.core.errors import InternalError, MachineError
from maul.core.event import EventKind
from maul.core.operation import ErrorClass, Outcome
from maul.core.summary import Ending
from maul.load import FakeGenerator
from maul.plan import LevelPlan
from maul.record import RunReader, RunWriter

SECOND = 10**9
LEVELS = tuple(LevelPlan(start_s=n * 2.0, end_s=n * 2.0 + 2.0, rate_per_s=10.0 * (n + 1)) for n in range(3))


class Bench:
    """A driver with everything in reach."""

    def __init__(self, writer=None):
        self.clock, self.stop, self.told, self.writer = FakeClock(T0_NS), StopSwitch(), Told(), writer
        self.driver = Driver(writer, self.clock, self.stop, self.told)

    def generator(self, operations, **given):
        return FakeGenerator(operations, self.clock, **given)

    def run(self, generator, watch=None, **given):
        drive = Drive(**{"phase": "calm", "duration_s": 10.0, "patience_s": 20.0, **given})
        return self.driver.run(generator, drive, watch)

    @property
    def seconds(self):
        return (self.clock.now_ns() - T0_NS) / SECOND


@pytest.fixture
def bench(tmp_path):
    with RunWriter.create(tmp_path / "runs", RUN) as writer:
        yield Bench(writer)


def record(bench):
    bench.writer.close()
    return RunReader.open(bench.writer.path)


def test_the_lease_is_renewed_often_enough_and_to_the_end(bench):
    generator = bench.generator(script(100, seconds=10.0), lease_s=TICK_S * 1.5)
    driven = bench.run(generator)
    assert driven.status["stop_reason"] == "completed"
    assert (driven.status["ok"], driven.status["offered"]) == (100, 100)
    assert generator.renewals >= 10.0 / TICK_S - 1


def test_everything_is_recorded_once_also_what_came_last(bench):
    bench.run(bench.generator(script(100, seconds=3.3)), endpoint_offset=2)
    read = record(bench)
    operations = read.operations()
    assert sorted(operations["key"].to_pylist()) == list(range(100))
    assert set(operations["phase"].to_pylist()) == {"calm"}
    assert set(operations["endpoint"].to_pylist()) == {2}
    counts = [row["count"] for row in read.latency().to_pylist() if row["kind"] == "latency"]
    assert sum(counts) == 100


def test_the_record_is_fed_while_it_runs(bench):
    fed = []

    def watch(status):
        fed.append(RunReader.open(bench.writer.path).operations().num_rows)

    bench.run(bench.generator(script(100, seconds=10.0)), watch)
    halfway = fed[len(fed) // 2]
    assert 40 <= halfway <= 60, "at half time about half of it is where a kill -9 cannot take it"


def test_levels_are_told_when_they_were_held_to_their_end(bench):
    bench.run(bench.generator(script(60, seconds=6.0)), levels=LEVELS)
    told = events_of(record(bench), EventKind.LEVEL)
    assert sorted((row["name"], row["edge"], row["at_ns"] - T0_NS) for row in told) == [
        ("level 1", "began", 0),
        ("level 1", "ended", 2 * SECOND),
        ("level 2", "began", 2 * SECOND),
        ("level 2", "ended", 4 * SECOND),
        ("level 3", "began", 4 * SECOND),
        ("level 3", "ended", 6 * SECOND),
    ]
    assert [row["details"] for row in told if row["name"] == "level 2"] == ['{"rate": 20.0}'] * 2


def test_a_level_that_was_cut_off_is_not_told(bench):
    bench.run(
        bench.generator(script(60, seconds=6.0)),
        lambda status: "gave-way" if status["elapsed_s"] > 3.0 else None,
        levels=LEVELS,
    )
    assert {row["name"] for row in events_of(record(bench), EventKind.LEVEL)} == {"level 1"}


@pytest.mark.parametrize("now", [0.0, 1.0])
def test_a_stop_ends_it_within_the_grace(bench, now):
    stuck = script(50, seconds=5.0)
    stuck["end_ns"][::10] = 10**15  # answers that never come

    def watch(status):
        if status["elapsed_s"] >= now:
            bench.stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)

    driven = bench.run(bench.generator(stuck), watch)
    assert bench.seconds <= now + 1.0
    assert driven.status["state"] == "done"
    assert driven.status["stop_reason"] == "interrupted by SIGINT"
    ended = record(bench).operations().to_pylist()
    cut = [row for row in ended if row["error_class"] == ErrorClass.STOPPED]
    assert cut and all(row["outcome"] == Outcome.FAIL for row in cut)
    assert len(ended) == driven.status["offered"]


def test_what_should_not_begin_is_not_started(bench):
    bench.stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)
    generator = bench.generator(script(5))
    driven = bench.run(generator)
    assert driven.status["state"] == "ready"
    assert (generator.renewals, bench.seconds, driven.status["offered"]) == (0, 0.0, 0)


def test_a_reason_of_the_watch_ends_it_and_is_its_stop_reason(bench):
    driven = bench.run(bench.generator(script(100, seconds=10.0)), lambda status: "error-ratio")
    assert driven.status["stop_reason"] == "error-ratio"
    assert bench.seconds < 1.0


def test_an_engine_that_does_not_end_is_closed(bench):
    endless = script(1)
    endless["end_ns"] = 10**15
    driven = bench.run(bench.generator(endless), patience_s=7.0)
    assert driven.status["stop_reason"] == OVERDUE
    assert 27.0 <= bench.seconds <= 30.0
    assert driven.status["errors"] == {"STOPPED": 1}


@pytest.mark.parametrize("where", ["watch", "progress", "renew", "status", "start"])
def test_whatever_raises_the_sockets_are_closed_and_the_record_has_what_was_done(bench, where):
    class Breaks(FakeGenerator):
        armed = where in ("renew", "status", "start")

        def _maybe(self, name):
            if self.armed and name == where and (name == "start" or bench.seconds > 1.0):
                self.armed = False
                raise MachineError("boom")

        def start(self):
            super().start()
            self._maybe("start")

        def renew(self):
            super().renew()
            self._maybe("renew")

        def status(self):
            self._maybe("status")
            return super().status()

        def stop(self, reason, *, now=False):
            self.stops.append(now)
            super().stop(reason, now=now)

    def watch(status):
        if where == "watch" and bench.seconds > 1.0:
            raise MachineError("boom")

    def phase(look):
        if where == "progress":
            raise MachineError("boom")

    bench.told.phase = phase
    generator = Breaks(script(100, seconds=10.0), bench.clock)
    generator.stops = []
    with pytest.raises(MachineError, match="boom"):
        bench.run(generator, watch)
    assert generator.stops == [True]
    assert generator.join(0.0), "still running"
    assert record(bench).operations().num_rows == generator.status().completed


def test_a_second_start_is_refused(bench):
    generator = bench.generator(script(1))
    bench.run(generator)
    with pytest.raises(InternalError, match="started before"):
        bench.run(generator)


def test_progress_tells_rates_of_the_last_moment_not_of_the_whole(bench):
    fast_then_slow = np.concatenate([script(200, seconds=2.0), script(20, seconds=2.0, key=7)])
    fast_then_slow["due_ns"][200:] += 2 * SECOND
    fast_then_slow["end_ns"][200:] += 2 * SECOND
    fast_then_slow["end_ns"][:200] += 20_000_000
    bench.run(bench.generator(fast_then_slow), duration_s=4.0, run_left_s=60.0)
    first, last = bench.told.looks[1], bench.told.looks[-1]
    assert first.offered_per_s == pytest.approx(100, rel=0.2)
    assert last.offered_per_s == pytest.approx(10, rel=0.3)
    assert first.p99_ms == pytest.approx(22, rel=0.01) and last.p99_ms == pytest.approx(2, rel=0.01)
    assert last.run_left_s == pytest.approx(60.0 + last.left_s)
    assert first.left_s > last.left_s >= 0.0


def test_whoever_listens_hears_all_that_is_drained():
    bench, rows = Bench(), []
    bench.run(bench.generator(script(30, seconds=2.0)), heard=[lambda drained: rows.extend(drained.latency)])
    assert sum(row.count for row in rows if row.kind == "latency") == 30


def test_errors_are_named_in_the_status():
    bench = Bench()
    operations = script(10, outcome=Outcome.FAIL, error_class=ErrorClass.SLOW_DOWN)
    assert bench.run(bench.generator(operations)).status["errors"] == {"SLOW_DOWN": 10}


def test_the_reason_of_the_engine_itself_is_kept():
    bench = Bench()
    assert bench.run(Ends(script(3), bench.clock, "lease")).status["stop_reason"] == "lease"


def test_what_is_in_flight_is_recorded_as_its_mean_since_the_last_reading():
    meter = LoadMeter()
    states = [
        ("running", 0.0, 0.0, 3), ("running", 0.5, 1.0, 0), ("running", 0.5, 1.0, 9), ("running", 1.0, 4.0, 2),
        ("draining", 2.0, 9.0, 0),
    ]  # fmt: skip
    read = [
        meter.read({"state": state, "elapsed_s": at, "in_flight_seconds": seconds, "backlog": backlog})
        for state, at, seconds, backlog in states
    ]
    assert read == [{}, {"in_flight": 2.0, "backlog": 0.0}, {}, {"in_flight": 6.0, "backlog": 2.0}, {}]


def test_the_load_is_sampled_at_every_tick(bench):
    bench.run(bench.generator(script(100, seconds=3.0)))
    samples = record(bench).samples().to_pylist()
    assert {(row["probe"], row["metric"], row["subject"]) for row in samples} == {
        ("generator", "in_flight", ""), ("generator", "backlog", ""),
    }  # fmt: skip
    assert len(samples) >= 2 * 28
