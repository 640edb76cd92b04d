"""What only the real engine can show from Python."""

import json
from pathlib import Path

import numpy as np
import pytest
from loopback_target import serving

from engine_plans import engine_plan
from maul._engine import Engine, build_info  # noqa: TID251 - the binding itself is tested here
from maul.core.errors import InternalError, TargetError
from maul.core.histogram import Histogram
from maul.core.operation import ErrorClass, Outcome
from maul.load import RustGenerator
from maul.plan.trace import TRACE_DTYPE, trace_of


def test_a_plan_that_the_engine_refuses_is_our_bug() -> None:
    with pytest.raises(InternalError, match=r"\$\.epoch"):
        RustGenerator(engine_plan("http://127.0.0.1:1", epoch=0))


def test_a_ca_without_certificates_is_told_to_the_operator() -> None:
    plan = engine_plan("https://127.0.0.1:1")
    plan["endpoints"][0]["ca_pem"] = "nothing"
    with pytest.raises(TargetError, match="no certificate"):
        RustGenerator(plan)


def test_a_refused_connection_is_told_and_explained() -> None:
    with serving() as target:
        url = target.url
    arrivals = {"mode": "closed", "concurrency": 1, "seconds": 20.0, "requests": 2, "think": None}
    generator = RustGenerator(engine_plan(url, arrivals=arrivals))
    generator.start()
    assert generator.join(15.0)
    status = generator.status()
    assert (status.fail, status.errors) == (2, {ErrorClass.CONNECT_REFUSED: 2})
    assert "refused" in status.last_error
    assert status.error_examples == {ErrorClass.CONNECT_REFUSED: status.last_error}
    assert set(generator.drain().operations["outcome"]) == {Outcome.FAIL}


def test_the_server_sees_the_path_of_the_object() -> None:
    with serving() as target:
        arrivals = {"mode": "closed", "concurrency": 1, "seconds": 20.0, "requests": 1, "think": None}
        generator = RustGenerator(engine_plan(target.url, arrivals=arrivals))
        generator.start()
        assert generator.join(15.0)
        assert target.requests == ["/bucket/thing"]


def shard_threads() -> int:
    return sum(comm.read_text().startswith("maul-shard") for comm in Path("/proc/self/task").glob("*/comm"))


def test_dropping_the_engine_ends_its_threads() -> None:
    with serving() as target:
        arrivals = {"mode": "closed", "concurrency": 2, "seconds": 20.0, "requests": None, "think": None}
        generator = RustGenerator(engine_plan(target.url, arrivals=arrivals, shards=2))
        generator.start()
        for _ in range(500):  # a thread names itself once it runs
            if shard_threads() == 2 or generator.join(0.01):
                break
        assert shard_threads() == 2
        del generator
        assert shard_threads() == 0


def test_a_join_time_must_make_sense() -> None:
    engine = Engine(json.dumps(engine_plan("http://127.0.0.1:1")))
    for timeout_s in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout"):
            engine.join(timeout_s)


def test_histogram_round_trip_and_refusals() -> None:
    histogram = Histogram()
    for value_ns in (1_000, 2_000, 3_000_000):
        histogram.record(value_ns)
    histogram.merge(histogram)
    copy = Histogram.from_v2(histogram.to_v2())
    assert (copy.count, copy.min, copy.percentile(50.0)) == (6, 1_000, histogram.percentile(50.0))
    assert copy.max == pytest.approx(3_000_000, rel=0.001)
    with pytest.raises(ValueError, match="not a histogram"):
        Histogram.from_v2(b"nonsense")
    for percentile in (-1.0, 100.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 100"):
            histogram.percentile(percentile)


def test_the_build_is_optimized() -> None:
    assert build_info()["profile"] == "release", "numbers of a debug build mean nothing"


def test_a_trace_made_of_a_run_is_replayed_by_the_engine() -> None:
    with serving() as target:
        share = {"first": 0, "width": 1, "wheel": 1}
        earlier = RustGenerator(engine_plan(target.url))
        earlier.start()
        assert earlier.join(15.0)
        first = earlier.drain().operations
        trace = trace_of(first, speed=0.5)
        arrivals = {"mode": "trace", "seconds": trace.seconds, "share": share}
        again = RustGenerator(engine_plan(target.url, arrivals=arrivals, shards=2), trace=trace.rows)
        again.start()
        assert again.join(15.0)
        assert again.status().stop_reason == "completed"
        second = again.drain().operations
    due = np.sort(second["due_ns"]) - second["due_ns"].min()
    assert due.tolist() == np.frombuffer(trace.rows, TRACE_DTYPE)["due_ns"].tolist()
    assert len(second) == len(first) == len(target.requests) - len(second)


def test_a_trace_that_does_not_fit_its_plan_is_our_bug() -> None:
    arrivals = {"mode": "trace", "seconds": 1.0, "share": {"first": 0, "width": 1, "wheel": 1}}
    plan = engine_plan("http://127.0.0.1:1", arrivals=arrivals)
    with pytest.raises(InternalError, match="no trace came"):
        RustGenerator(plan)
    with pytest.raises(InternalError, match="33 bytes"):
        RustGenerator(plan, trace=bytes(33))
    with pytest.raises(InternalError, match="trace row 0: asks for PUT, which the mix"):
        RustGenerator(plan, trace=bytes(32))
