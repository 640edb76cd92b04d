"""`maul hit`: fill, load, clean up; and numbers that add up."""

import json
import signal

import numpy as np
import pytest
from conduct_stage import T0_NS, Ends, FakeS3, Told, everywhere, script

from maul.conduct.hit import run_hit
from maul.core.clock import FakeClock
from maul.core.errors import TargetError
from maul.core.operation import ErrorClass, Op, Outcome
from maul.load import FakeGenerator
from maul.plan import Hit
from maul.s3.errors import aws

URL = "http://127.0.0.1:9"


class Played:
    """Runs a hit whose engines play scripts, by epoch: 1 fill, 2 the load proper, 3 clean-up."""

    def __init__(self, monkeypatch, scripts, s3=None, *, created=True, made=FakeGenerator):
        self.scripts, self.made = scripts, made
        self.clock, self.told, self.engines = FakeClock(T0_NS), Told(), []
        self.s3 = s3 or FakeS3(set())
        target = everywhere(self.s3, created=created)
        monkeypatch.setattr("maul.conduct.hit._opened", lambda *given: target)

    def generator(self, engine):
        self.engines.append(engine)
        return self.made(self.scripts[engine["epoch"]], self.clock)

    def run(self, **given):
        request = Hit(url=URL, **{"objects": 10, "seconds": 2.0, "concurrency": 4, **given})
        return run_hit(request, None, self.told, self.clock, self.generator)

    @property
    def epochs(self):
        return [engine["epoch"] for engine in self.engines]


FILL, TIDY = script(10, op=Op.PUT), script(10, op=Op.DELETE)


def test_the_numbers_are_those_of_the_load_proper(monkeypatch):
    load = script(200, seconds=2.0, service_ms=4.0, first_byte_ns=1)
    load["first_byte_ns"] = load["start_ns"] + np.uint64(1_000_000)
    load["outcome"][:20], load["error_class"][:20] = Outcome.FAIL, ErrorClass.SLOW_DOWN
    load["outcome"][20:25], load["error_class"][20:25] = Outcome.UNKNOWN, ErrorClass.TIMEOUT
    load["end_ns"][20:25] += 500_000_000
    played = Played(monkeypatch, {1: FILL, 2: load, 3: TIDY})
    result = played.run()
    numbers = result.as_json()
    assert played.epochs == [1, 2, 3]
    assert (numbers["requests"], numbers["ok"], numbers["fail"], numbers["unknown"]) == (200, 175, 20, 5)
    assert numbers["errors"] == {"slow_down": 20, "timeout": 5}
    assert numbers["requests_per_s"] == pytest.approx(numbers["requests"] / numbers["seconds"])
    assert numbers["latency_ms"]["count"] == 180, "a quick refusal does not flatter the latency"
    assert numbers["latency_ms"]["p50"] == pytest.approx(4.0, rel=0.01)
    assert numbers["latency_ms"]["p99"] == pytest.approx(504.0, rel=0.01)
    assert numbers["latency_ms"]["max"] == pytest.approx(504.0, rel=0.01)
    assert numbers["first_byte_ms"]["p50"] == pytest.approx(1.0, rel=0.01)
    assert numbers["service_ms"]["p50"] <= numbers["latency_ms"]["p50"]
    assert numbers["bytes"] == numbers["bytes_sent"] + numbers["bytes_received"]
    assert 0 <= numbers["cpu_seconds"] < 60 and numbers["engine_cpu_seconds"] == 0.0
    assert (numbers["stopped"], numbers["left_behind"], numbers["loop"]) == ("", 0, "closed")
    assert json.loads(json.dumps(numbers)) == numbers


def test_no_operation_at_all_has_no_percentiles(monkeypatch):
    numbers = Played(monkeypatch, {1: FILL, 2: script(0), 3: TIDY}).run().as_json()
    assert numbers["requests"] == 0 and numbers["latency_ms"] is None and numbers["requests_per_s"] == 0.0


@pytest.mark.parametrize(
    ("given", "epochs"),
    [
        ({"op": "get"}, [1, 2, 3]),
        ({"op": "head"}, [1, 2, 3]),
        ({"op": "list"}, [1, 2, 3]),
        ({"op": "delete"}, [1, 2, 3]),
        ({"op": "put"}, [2, 3]),
        ({"op": "multipart", "size_bytes": 10 << 20}, [2, 3]),
        ({"op": "get", "key": "theirs"}, [2]),
    ],
)
def test_only_what_is_needed_is_written_and_what_was_written_goes(monkeypatch, given, epochs):
    played = Played(monkeypatch, {1: FILL, 2: script(5), 3: TIDY})
    played.run(**given)
    assert played.epochs == epochs
    assert played.s3.bucket_deleted == (3 in epochs)


def test_a_fill_of_which_nothing_arrived_ends_it_and_is_cleaned_up(monkeypatch):
    denied = script(10, op=Op.PUT, outcome=Outcome.FAIL, error_class=ErrorClass.ACCESS_DENIED)
    played = Played(monkeypatch, {1: denied, 3: TIDY})
    with pytest.raises(TargetError, match=r"not one object could be written.*access denied"):
        played.run()
    assert played.epochs == [1, 3]


def test_a_fill_of_which_something_arrived_goes_on(monkeypatch):
    half = FILL.copy()
    half["outcome"][::2], half["error_class"][::2] = Outcome.FAIL, ErrorClass.SLOW_DOWN
    assert Played(monkeypatch, {1: half, 2: script(5), 3: TIDY}).run().status["ok"] == 5


def signalling(*moments):
    """A generator maker: signals come while that engine, by its place in the order, is looked at."""
    made = []

    class Signalled(FakeGenerator):
        def __init__(self, operations, clock):
            super().__init__(operations, clock)
            self.place = len(made)
            made.append(self)

        def renew(self):
            super().renew()
            while self.place in pending:
                pending.remove(self.place)
                signal.raise_signal(signal.SIGINT)

    pending = list(moments)
    return Signalled


def test_ctrl_c_in_the_load_stops_it_and_cleans_up(monkeypatch):
    played = Played(monkeypatch, {1: FILL, 2: script(1000, seconds=60.0), 3: TIDY}, made=signalling(1))
    result = played.run()
    assert played.epochs == [1, 2, 3] and result.requests < 100
    assert (result.interrupted, result.left) == ("interrupted by SIGINT", 0)


def test_ctrl_c_in_the_fill_sends_no_load_and_is_no_error_of_the_target(monkeypatch):
    stuck = script(10, seconds=5.0, op=Op.PUT, end_ns=10**15)
    played = Played(monkeypatch, {1: stuck, 2: script(1000), 3: TIDY}, made=signalling(0))
    result = played.run()
    assert (result.requests, result.status["state"]) == (0, "ready")
    assert result.interrupted == "interrupted by SIGINT" and result.latency is None


def test_the_second_ctrl_c_cuts_the_clean_up_and_tells_what_is_left(monkeypatch):
    slow = script(10, seconds=60.0, op=Op.DELETE)
    played = Played(monkeypatch, {1: FILL, 2: script(9, seconds=60.0), 3: slow}, made=signalling(1, 2))
    result = played.run()
    assert 0 < result.left <= 10 and result.as_json()["left_behind"] == result.left
    assert played.s3.bucket_deleted == 0
    assert any("are left under maul/" in says for says in played.told.steps)


def test_twice_in_the_load_begins_no_clean_up(monkeypatch):
    played = Played(monkeypatch, {1: FILL, 2: script(9, seconds=60.0), 3: TIDY}, made=signalling(1, 1))
    assert played.run().left == 10
    assert any("are left under maul/" in says for says in played.told.steps)


def test_deletes_that_failed_are_told(monkeypatch):
    tidy = TIDY.copy()
    tidy["outcome"][:3], tidy["error_class"][:3] = Outcome.FAIL, ErrorClass.ACCESS_DENIED
    assert Played(monkeypatch, {1: FILL, 2: script(5), 3: tidy}).run().left == 3


def test_uploads_that_were_cut_off_are_aborted(monkeypatch):
    played = Played(monkeypatch, {2: script(5), 3: TIDY})
    listed = []

    def uploads(**given):
        listed.append(given["Prefix"])
        return {"Uploads": []}

    played.s3.list_multipart_uploads = uploads
    played.run(op="multipart", size_bytes=10 << 20)
    assert listed and listed[0].startswith("maul/")


def test_a_bucket_that_may_not_be_removed_does_not_cost_the_numbers(monkeypatch):
    played = Played(monkeypatch, {1: FILL, 2: script(5), 3: TIDY})

    def denied(**given):
        raise aws.ClientError({"Error": {"Code": "AccessDenied"}}, "DeleteBucket")

    played.s3.delete_bucket = denied
    assert played.run().requests == 5
    assert any(says.startswith("clean-up: ") for says in played.told.steps)


@pytest.mark.parametrize("reason", ["lease", "limit:bytes", "internal: shard 0 panicked"])
def test_an_engine_that_ended_before_its_time_says_so(monkeypatch, reason):
    played = Played(monkeypatch, {2: script(5)}, made=lambda s, clock: Ends(s, clock, reason))
    assert played.run(key="theirs").interrupted == reason
