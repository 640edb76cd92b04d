"""A phase: its passes, its guard, its end in the record."""

import json

import pytest
from conduct_stage import Ends, events_of, make_plan, make_stage, script

from maul.conduct import phases
from maul.conduct.drive import OVERDUE
from maul.conduct.phases import added, run_pass, run_phase
from maul.core.errors import InternalError
from maul.core.event import EventKind
from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import Ending
from maul.guard import WatchLimits
from maul.load import FakeGenerator
from maul.record import RunReader


def playing(tmp_path, *scripts, plan=None, reason=None):
    """A stage whose generators play these scripts in turn; the engine plans that they were made with."""
    given, queue = [], list(scripts)

    def make(engine):
        given.append(engine)
        operations = queue.pop(0)
        if reason is not None:
            return Ends(operations, stage.clock, reason)
        return FakeGenerator(operations, stage.clock)

    stage = make_stage(tmp_path, plan, make_generator=make)
    return stage, given


def end_of(stage, name):
    stage.writer.close()
    rows = events_of(stage.writer.path, EventKind.PHASE)
    assert [row["edge"] for row in rows if row["name"] == name] == ["began", "ended"]
    return json.loads(rows[-1]["details"])


def guard_says(stage):
    stage.writer.close()
    return [row["name"] for row in events_of(stage.writer.path, EventKind.GUARD)]


def test_a_phase_is_recorded_from_its_beginning_to_its_end(tmp_path):
    stage, given = playing(tmp_path, script(100, op=Op.PUT))
    run_phase(stage, stage.plan.phase("fill"))
    details = end_of(stage, "fill")
    assert details["kind"] == "prepare" and details["status"]["ok"] == 100
    assert RunReader.open(stage.writer.path).operations().num_rows == 100
    assert [engine["epoch"] for engine in given] == [1]
    assert any("100 ok, 0 not ok" in says for says in stage.progress.steps)


def test_every_pass_is_an_engine_of_its_own_and_their_numbers_add_up(tmp_path):
    gone = script(50, outcome=Outcome.FAIL, error_class=ErrorClass.NO_SUCH_KEY)
    stage, given = playing(tmp_path, script(100), gone, script(100), gone)  # base and ephemeral, two gateways
    stage.state = stage.state.after(stage.plan.phase("calm").passes[0], dict_of(ephemeral_next=50))
    run_phase(stage, stage.plan.phase("audit"))
    assert [engine["epoch"] for engine in given] == [2, 3, 4, 5]
    stage.writer.close()
    operations = RunReader.open(stage.writer.path).operations().to_pylist()
    assert [sum(row["endpoint"] == n for row in operations) for n in (0, 1)] == [150, 150]
    status = end_of(stage, "audit")["status"]
    assert (status["ok"], status["fail"], status["errors"]) == (200, 100, {"NO_SUCH_KEY": 100})
    assert any("200 ok, 100 without an object, 0 not ok" in says for says in stage.progress.steps)


def test_after_a_stop_no_other_pass_begins_and_nothing_comes_after(tmp_path):
    stage, given = playing(tmp_path)
    stage.stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)
    run_phase(stage, stage.plan.phase("audit"), lambda *_: pytest.fail("nothing comes after a stop"))
    assert given == []
    assert end_of(stage, "audit")["status"] == {}


def test_what_its_kind_does_beside_comes_after_the_passes(tmp_path):
    stage, given = playing(tmp_path, script(1))
    seen = []
    run_phase(stage, stage.plan.phase("fill"), lambda _, phase: seen.append((phase.name, len(given))))
    assert seen == [("fill", 1)]


def test_an_error_beside_it_leaves_its_end_in_the_record(tmp_path):
    stage, _ = playing(tmp_path, script(5))

    def fails(*_):
        raise InternalError("boom")

    with pytest.raises(InternalError):
        run_phase(stage, stage.plan.phase("fill"), fails)
    assert end_of(stage, "fill")["status"]["ok"] == 5


def test_nothing_to_delete_is_no_engine(tmp_path):
    stage, given = playing(tmp_path)
    phase = stage.plan.phase("tidy")
    ephemeral = next(one for one in phase.passes if one.region == "ephemeral")
    assert run_pass(stage, phase, ephemeral) is None
    assert given == []


def test_the_guard_ends_the_run_when_too_much_fails(tmp_path):
    bad = script(3000, seconds=60.0, outcome=Outcome.FAIL, error_class=ErrorClass.INTERNAL_ERROR)
    stage, _ = playing(tmp_path, bad)
    run_phase(stage, stage.plan.phase("calm"))
    assert stage.stop.ending is Ending.GUARD and "not answered well" in stage.stop.reason
    assert guard_says(stage) == ["error-ratio"]
    assert RunReader.open(stage.writer.path).operations().num_rows < 3000, "it went on to the end"


def test_steps_that_gave_way_end_their_phase_and_not_the_run(tmp_path):
    plan = make_plan(
        ("each: 2s}}", "each: 2s}, until: {achieved_below: 0.9, levels: 1}}"),
        ("limits: {requests: 10000}", "limits: {requests: 10000, error_ratio: 90%}"),
    )
    bad = script(600, seconds=6.0)
    bad["outcome"][::2], bad["error_class"][::2] = Outcome.FAIL, ErrorClass.SLOW_DOWN
    stage, _ = playing(tmp_path, bad, plan=plan)
    run_phase(stage, plan.phase("rising"))
    assert guard_says(stage) == ["gave-way"]
    assert not stage.stopped


@pytest.mark.parametrize(
    ("reason", "ends"), [("completed", False), ("limit:requests", True), ("limit:seconds", True), ("lease", True)]
)
def test_the_engines_own_end_ends_the_run_where_it_was_not_meant(tmp_path, reason, ends):
    stage, _ = playing(tmp_path, script(10), reason=reason)
    run_phase(stage, stage.plan.phase("calm"))
    assert stage.stopped is ends
    assert stage.stop.ending is (Ending.GUARD if ends else Ending.COMPLETED)
    assert guard_says(stage) == ([reason] if ends else [])


def test_a_clean_up_that_met_its_own_ceiling_ends_nothing(tmp_path):
    stage, _ = playing(tmp_path, script(10), reason="limit:requests")
    run_phase(stage, stage.plan.phase("tidy"))
    assert not stage.stopped


@pytest.mark.parametrize("reason", ["internal: shard 0 panicked", OVERDUE])
def test_an_engine_that_broke_down_is_an_error_of_ours(tmp_path, reason):
    stage, _ = playing(tmp_path, script(10), reason=reason)
    with pytest.raises(InternalError, match="the engine of calm broke down"):
        run_phase(stage, stage.plan.phase("calm"))
    assert end_of(stage, "calm")["kind"] == "load"


def test_a_record_directory_that_is_gone_does_not_break_the_guard(tmp_path, monkeypatch):
    stage, _ = playing(tmp_path, script(10))

    def gone(path):
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr("shutil.disk_usage", gone)
    run_phase(stage, stage.plan.phase("fill"))
    assert end_of(stage, "fill")["status"]["ok"] == 10


def test_too_little_room_ends_the_run(tmp_path, monkeypatch):
    stage, _ = playing(tmp_path, script(100, seconds=60.0))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    run_phase(stage, stage.plan.phase("calm"))
    assert stage.stop.ending is Ending.GUARD
    assert guard_says(stage) == ["disk-full"]


def test_the_secret_goes_to_the_engine_only(tmp_path):
    stage, given = playing(tmp_path, script(1))
    run_phase(stage, stage.plan.phase("fill"))
    secret = given[0]["s3"]["secret_key"]
    assert secret == stage.target.door.accounts[0].credentials.secret_key
    stage.writer.close()
    for path in stage.writer.path.iterdir():
        assert secret.encode() not in path.read_bytes(), path


def dict_of(**fields):
    return {"started": 0, "bytes_sent": 0, "bytes_received": 0, "elapsed_s": 0.0, "ephemeral_next": 0, **fields}


STATUS = {
    "state": "done", "stop_reason": "completed", "elapsed_s": 2.0, "ok": 5, "fail": 1, "late": 0, "in_flight": 0,
    "connections": 8, "ephemeral_next": 40, "errors": {"TIMEOUT": 1}, "error_examples": {"TIMEOUT": "first"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "first", "second", "sum_"),
    [
        ("ok", 5, 7, 12),
        ("elapsed_s", 2.0, 0.5, 2.5),
        ("ephemeral_next", 40, 44, 44),
        ("connections", 8, 3, 3),
        ("in_flight", 0, 0, 0),
        ("stop_reason", "completed", "lease", "lease"),
        ("errors", {"TIMEOUT": 1}, {"TIMEOUT": 2, "RESET": 1}, {"TIMEOUT": 3, "RESET": 1}),
        ("error_examples", {"TIMEOUT": "first"}, {"TIMEOUT": "x", "RESET": "y"}, {"TIMEOUT": "first", "RESET": "y"}),
    ],
)
def test_statuses_add_up(name, first, second, sum_):
    assert added(STATUS | {name: first}, STATUS | {name: second})[name] == sum_
    assert added({}, STATUS | {name: second})[name] == second


def test_limits_know_what_earlier_passes_used(tmp_path, monkeypatch):
    seen: list[WatchLimits] = []
    asked = phases.limits_for
    monkeypatch.setattr(phases, "limits_for", lambda *given: seen.append(asked(*given)) or seen[-1])
    stage, _ = playing(tmp_path, script(100, op=Op.PUT), script(50))
    run_phase(stage, stage.plan.phase("fill"))
    run_phase(stage, stage.plan.phase("calm"))
    assert [limits.before.requests_used for limits in seen] == [0, 100]
    assert {limits.run_began_ns for limits in seen} == {stage.began_ns}
