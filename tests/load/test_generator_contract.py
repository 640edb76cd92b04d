"""Every generator passes this suite: the Rust engine against a loopback server, and the scripted fake."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import pytest
from loopback_target import serving

from engine_plans import engine_plan
from maul.core.clock import Clock, FakeClock, SystemClock
from maul.core.errors import InternalError
from maul.core.generator import Generator, GeneratorState
from maul.core.histogram import Histogram, LatencyKind
from maul.core.operation import OPERATION_DTYPE, ErrorClass, Op, Outcome
from maul.load import FakeGenerator, RustGenerator

ENDLESS = 1_000_000


class Maker(Protocol):
    """Makes generators of one kind."""

    def __call__(self, requests: int, *, held: bool = False, lease_s: float | None = None) -> Generator:
        """Of so many GETs; `held`: none is answered."""
        ...


class OpenMaker(Protocol):
    """Makes generators of one kind whose arrivals come by the clock: 500 per second."""

    def __call__(self, requests: int) -> tuple[Generator, Clock]:
        """So many GETs."""
        ...


@pytest.fixture(params=["rust", "fake"])
def make_open(request: pytest.FixtureRequest) -> Iterator[OpenMaker]:
    if request.param == "fake":

        def make_fake_open(requests: int) -> tuple[Generator, Clock]:
            clock = FakeClock()
            script = np.zeros(requests, OPERATION_DTYPE)
            script["due_ns"] = np.arange(requests, dtype=np.uint64) * 2_000_000
            script["start_ns"], script["end_ns"] = script["due_ns"] + 1000, script["due_ns"] + 30_000
            return FakeGenerator(script, clock), clock

        yield make_fake_open
        return
    with serving() as target:
        made: list[Generator] = []

        def make_rust_open(requests: int) -> tuple[Generator, Clock]:
            profile = [{"kind": "constant", "rate": 500.0, "seconds": requests / 500.0}]
            share = {"first": 0, "width": 1, "wheel": 1}
            arrivals = {"mode": "open", "process": "even", "profile": profile, "share": share}
            made.append(RustGenerator(engine_plan(target.url, arrivals=arrivals)))
            return made[-1], SystemClock()

        yield make_rust_open
        for generator in made:
            generator.stop("the test is over", now=True)


def make_fake(requests: int, *, held: bool = False, lease_s: float | None = None) -> Generator:
    script = np.zeros(min(requests, 20_000), OPERATION_DTYPE)
    due = np.arange(len(script), dtype=np.uint64) * 1_000_000
    script["due_ns"] = due
    script["start_ns"] = due + 10_000
    script["first_byte_ns"] = due + 20_000
    script["end_ns"] = due + (60_000_000_000 if held else 30_000)
    script["op"] = Op.GET
    script["bytes"] = 100
    return FakeGenerator(script, FakeClock(), lease_s=lease_s)


@pytest.fixture(params=["rust", "fake"])
def make(request: pytest.FixtureRequest) -> Iterator[Maker]:
    if request.param == "fake":
        yield make_fake
        return
    with serving() as target:
        made: list[Generator] = []

        def make_rust(requests: int, *, held: bool = False, lease_s: float | None = None) -> Generator:
            if held:
                target.gate.clear()
            arrivals = {"mode": "closed", "concurrency": 2, "seconds": 20.0, "requests": requests, "think": None}
            lease_ms = None if lease_s is None else int(lease_s * 1000)
            made.append(RustGenerator(engine_plan(target.url, arrivals=arrivals, lease_ms=lease_ms)))
            return made[-1]

        yield make_rust
        for generator in made:
            generator.stop("the test is over", now=True)


def wait_until_in_flight(generator: Generator) -> None:
    for _ in range(500):
        if generator.status().in_flight > 0:
            return
        generator.join(0.01)
    pytest.fail("nothing ever got in flight")


def test_before_the_start_nothing_happens(make: Maker) -> None:
    generator = make(10)
    assert generator.status().state is GeneratorState.READY
    assert not generator.join(0.0)
    drained = generator.drain()
    assert drained.latency == []
    assert len(drained.operations) == 0


def test_a_run_ends_and_everything_is_accounted_for(make: Maker) -> None:
    generator = make(50)
    generator.start()
    assert generator.join(15.0)
    status = generator.status()
    assert (status.state, status.stop_reason) == (GeneratorState.DONE, "completed")
    assert status.offered == status.ok == status.completed == status.started == 50
    assert (status.fail, status.unknown, status.dropped, status.in_flight) == (0, 0, 0, 0)
    assert status.elapsed_s > 0


def test_drain_gives_everything_exactly_once(make: Maker) -> None:
    generator = make(50)
    generator.start()
    generator.join(15.0)
    drained = generator.drain()
    operations = drained.operations
    assert operations.dtype == OPERATION_DTYPE
    assert len(operations) == 50
    assert set(operations["op"]) == {Op.GET}
    assert set(operations["outcome"]) == {Outcome.OK}
    assert set(operations["bytes"]) == {100}
    for before, after in (("due_ns", "start_ns"), ("start_ns", "first_byte_ns"), ("first_byte_ns", "end_ns")):
        assert (operations[before] <= operations[after]).all()
    for kind in (LatencyKind.LATENCY, LatencyKind.SERVICE, LatencyKind.FIRST_BYTE, LatencyKind.LAG):
        rows = [row for row in drained.latency if row.kind is kind]
        assert sum(row.count for row in rows) == 50
        assert sum(Histogram.from_v2(row.hdr).count for row in rows) == 50
        assert {row.second for row in rows} == set((operations["due_ns"] // 1_000_000_000).tolist())
    again = generator.drain()
    assert (again.latency, len(again.operations)) == ([], 0)


def test_histograms_agree_with_the_records(make: Maker) -> None:
    generator = make(50)
    generator.start()
    generator.join(15.0)
    drained = generator.drain()
    for kind, start, end in (
        (LatencyKind.LATENCY, "due_ns", "end_ns"),
        (LatencyKind.SERVICE, "start_ns", "end_ns"),
        (LatencyKind.FIRST_BYTE, "start_ns", "first_byte_ns"),
        (LatencyKind.LAG, "due_ns", "start_ns"),
    ):
        merged = Histogram()
        for row in drained.latency:
            if row.kind is kind:
                merged.merge(Histogram.from_v2(row.hdr))
        spans = drained.operations[end] - drained.operations[start]
        assert merged.max == pytest.approx(int(spans.max()), rel=0.002, abs=2)
        assert merged.min == pytest.approx(int(spans.min()), rel=0.002, abs=2)


def test_a_second_start_is_refused(make: Maker) -> None:
    generator = make(5)
    generator.start()
    with pytest.raises(InternalError, match="started before"):
        generator.start()
    assert generator.join(15.0)


def test_stop_ends_the_arrivals_and_keeps_the_first_reason(make: Maker) -> None:
    generator = make(ENDLESS)
    generator.start()
    generator.join(0.05)
    generator.stop("enough")
    generator.stop("another")
    assert generator.join(15.0)
    status = generator.status()
    assert (status.state, status.stop_reason) == (GeneratorState.DONE, "enough")
    assert 0 < status.offered < ENDLESS
    assert status.offered == status.ok + status.fail + status.unknown + status.dropped
    assert len(generator.drain().operations) == status.offered


def test_stop_now_records_what_was_in_flight(make: Maker) -> None:
    generator = make(ENDLESS, held=True)
    generator.start()
    wait_until_in_flight(generator)
    assert not generator.join(0.0)
    generator.stop("enough", now=True)
    assert generator.join(5.0)
    status = generator.status()
    operations = generator.drain().operations
    assert len(operations) == status.offered > 0
    assert set(operations["error_class"]) == {ErrorClass.STOPPED}
    assert set(operations["outcome"]) == {Outcome.FAIL}, "a read that was cut off failed"
    assert status.errors == {ErrorClass.STOPPED: status.fail}


def test_without_renewal_it_falls_silent(make: Maker) -> None:
    generator = make(ENDLESS, lease_s=0.1)
    generator.start()
    assert generator.join(10.0)
    status = generator.status()
    assert status.stop_reason == "lease"
    assert 0.05 < status.elapsed_s < 9.0
    assert 0 < status.offered < ENDLESS


def test_renewal_keeps_it_going(make: Maker) -> None:
    generator = make(ENDLESS, lease_s=1.0)
    generator.start()
    for _ in range(14):
        generator.join(0.1)
        generator.renew()
    assert generator.status().state is GeneratorState.RUNNING
    generator.stop("enough", now=True)
    assert generator.join(5.0)
    assert generator.status().stop_reason == "enough"


def test_a_start_ahead_is_waited_for(make_open: OpenMaker) -> None:
    generator, clock = make_open(50)
    zero_ns = clock.now_ns() + 300_000_000
    generator.start(zero_ns)
    assert not generator.join(0.05)
    status = generator.status()
    assert (status.state, status.offered, status.began_ns) == (GeneratorState.READY, 0, 0)
    assert generator.join(15.0)
    assert generator.status().began_ns == zero_ns
    due = generator.drain().operations["due_ns"]
    assert (len(due), due.min()) == (50, zero_ns)


def test_a_start_behind_leaves_out_what_is_past(make_open: OpenMaker) -> None:
    generator, clock = make_open(100)
    now_ns = clock.now_ns()
    generator.start(now_ns - 100_000_000)
    assert generator.join(15.0)
    status = generator.status()
    due = generator.drain().operations["due_ns"]
    assert 20 <= status.offered == len(due) <= 50
    assert due.min() >= now_ns
    assert due.max() == now_ns - 100_000_000 + 198_000_000
    assert now_ns <= status.began_ns <= now_ns + 100_000_000
    assert status.elapsed_s > 0.19


def test_a_start_far_ahead_is_refused(make_open: OpenMaker) -> None:
    generator, clock = make_open(50)
    with pytest.raises(InternalError, match="too far ahead"):
        generator.start(clock.now_ns() + 3_700_000_000_000)


def test_a_part_is_sent_evenly(make_open: OpenMaker) -> None:
    generator, _ = make_open(200)
    generator.throttle(0.25)
    generator.start()
    assert generator.join(15.0)
    status = generator.status()
    assert (status.offered, status.withheld, status.dropped) == (50, 150, 0)
    due = np.sort(generator.drain().operations["due_ns"]).astype(np.int64)
    assert np.abs(np.diff(due) - 8_000_000).max() < 1_000_000


def test_a_throttle_at_nothing_sends_nothing_until_it_is_let_go(make_open: OpenMaker) -> None:
    generator, _ = make_open(500)
    generator.start()
    generator.join(0.2)
    generator.throttle(0.0)
    generator.join(0.1)
    before = generator.status()
    assert before.offered < 200
    generator.join(0.2)
    shut = generator.status()
    assert (shut.offered, shut.ok + shut.in_flight) == (before.offered, before.ok + before.in_flight)
    assert shut.withheld > before.withheld
    generator.throttle(1.0)
    assert generator.join(15.0)
    status = generator.status()
    assert status.offered + status.withheld == 500
    assert status.offered > shut.offered


@pytest.mark.parametrize("part", [-0.1, 1.1, float("nan")])
def test_no_part_is_refused(make_open: OpenMaker, part: float) -> None:
    generator, _ = make_open(1)
    with pytest.raises(InternalError, match="between 0 and 1"):
        generator.throttle(part)


def test_a_lease_ends_when_it_was_told_to_and_is_not_revived(make: Maker) -> None:
    generator = make(ENDLESS, lease_s=0.4)
    generator.start()
    generator.renew(3600.0)  # no more than the plan's
    generator.renew(0.001)  # and no less than it had
    assert not generator.join(0.2)
    with pytest.raises(InternalError, match="0 s or longer"):
        generator.renew(-1.0)
    generator.join(0.4)
    generator.renew()
    assert generator.join(10.0)
    assert generator.status().stop_reason == "lease"
