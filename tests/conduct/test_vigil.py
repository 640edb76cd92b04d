"""The vigil: one second per second, recorded; a freeze ends the engine at once, and is measured."""

import json

from conduct_stage import T0_NS, events_of, script
from vigil_world import BLACK_HOLE, IDLE, S, Thoughts, black_hole_after, freeze, make_world, play

from maul.conduct.phases import run_phase
from maul.core.event import EventKind
from maul.core.sample import Sample
from maul.core.vantage import Attempt, Notice, Question, Reach, Vantage
from maul.guard.mitigation.actions import Stance, Suspected, Verdict
from maul.guard.mitigation.signals_text import from_lines, to_line
from maul.probes.sampler import Reading
from maul.record import RunReader


def told(stage) -> list[dict]:
    stage.writer.close()
    return [
        {**row, "details": json.loads(row["details"])} for row in events_of(stage.writer.path, EventKind.MITIGATION)
    ]


def test_every_second_of_a_drive_is_seen_once_and_kept(tmp_path):
    thoughts = Thoughts()
    stage, lookout, _ = make_world(tmp_path, thoughts)
    lookout.felt.append(Attempt(T0_NS + S // 2, Question(Vantage.SENTINEL, "local", "vip"), Reach.ANSWERED, 403))
    run_phase(stage, stage.plan.phase("calm"))
    seconds = list(from_lines((stage.writer.path / "signals.jsonl").read_text().splitlines()))
    assert len(seconds) == thoughts.looks
    assert 18 <= len(seconds) <= 20
    assert [to_line(one) for one in seconds] == [to_line(one) for one in thoughts.windows[-1]]
    assert [len(one.attempts) for one in seconds[:2]] == [1, 0]
    assert all(one.generators["local"].ok == 50.0 for one in seconds[2:-1])
    assert all(one.generators["local"].p50_ms is not None for one in seconds[2:-1])
    assert set(thoughts.phases) == {"calm"}
    stage.writer.close()
    samples = [row for row in RunReader.open(stage.writer.path).samples().to_pylist() if row["probe"] == "vantage"]
    assert [(row["metric"], row["subject"], row["value"]) for row in samples] == [("reach", "sentinel/local", 0.0)]


def test_a_freeze_ends_the_engine_at_once_and_tells_how_fast_it_was_silent(tmp_path):
    thoughts = Thoughts({7: [Suspected("answers begin to miss"), freeze()]})
    stage, lookout, _ = make_world(tmp_path, thoughts, lambda engine: black_hole_after(play(engine), 5.0))
    run_phase(stage, stage.plan.phase("calm"))
    assert stage.frozen and stage.halted and not stage.stopped
    assert lookout.hushed == [True]
    frozen = stage.vigil.frozen
    assert (frozen.phase, frozen.per_s, frozen.onset_ns) == ("calm", 50.0, T0_NS + 5 * S)
    events = told(stage)
    assert [row["name"] for row in events] == ["vantage", "suspected", "frozen", "silent"]
    silent = events[-1]["details"]
    assert silent["in_time"] and silent["seconds"] < 0.2
    assert silent["in_flight"] == 101  # 50 per second for the two seconds since the onset, all cut off
    (ended,) = [row for row in events_of(stage.writer.path, EventKind.PHASE) if row["edge"] == "ended"]
    status = json.loads(ended["details"])["status"]
    assert status["stop_reason"] == "mitigation"
    assert status["errors"] == {"STOPPED": 101}


def test_while_frozen_no_other_engine_begins(tmp_path):
    thoughts = Thoughts({1: [freeze()]})
    stage, _, given = make_world(tmp_path, thoughts, lambda engine: script(100, seconds=10.0))
    run_phase(stage, stage.plan.phase("audit"), lambda *_: (_ for _ in ()).throw(AssertionError("nothing comes after")))
    assert len(given) == 1


def test_thawed_it_looks_with_fresh_eyes_and_lookouts_may_speak_again(tmp_path):
    thoughts = Thoughts({3: [freeze()]})
    stage, lookout, _ = make_world(tmp_path, thoughts)
    run_phase(stage, stage.plan.phase("calm"))
    stage.vigil.thaw()
    assert lookout.hushed == [True, False]
    run_phase(stage, stage.plan.phase("fill"))
    assert not stage.frozen
    stage.vigil.second(silent=True)
    assert len(thoughts.windows[-1]) == 1


def test_what_was_felt_between_two_engines_are_silent_seconds_of_their_own(tmp_path):
    thoughts = Thoughts()
    stage, lookout, _ = make_world(tmp_path, thoughts)
    stage.vigil.second()
    stage.clock.wait(6.0)
    lookout.felt += [Attempt(T0_NS + int(at * S), IDLE, Reach.ANSWERED) for at in (1.5, 3.2, 5.9)]
    stage.vigil.second()
    window = thoughts.windows[-1]
    assert [one.silent for one in window] == [False, *[True] * 5, False]
    assert [(one.at_ns - T0_NS) // S for one in window] == [0, 1, 2, 3, 4, 5, 6]
    assert [len(one.attempts) for one in window] == [0, 0, 1, 0, 1, 0, 1]


def test_counters_notices_and_verdicts_come_into_the_second_and_into_the_record(tmp_path):
    thoughts = Thoughts({1: [Verdict(BLACK_HOLE)]})
    stage, lookout, _ = make_world(tmp_path, thoughts)
    stage.vigil.heard(Reading([Sample(T0_NS, "vip", "vip_packets", "lb", 7.0), Sample(T0_NS, "cpu", "x", "", 1.0)], []))
    lookout.felt.append(Notice(T0_NS, "noc", "198.51.100.10/32", "drop", "blackholed by flow monitor"))
    stage.vigil.second(silent=True)
    (window,) = thoughts.windows
    assert window[0].balancers["lb"].vip_packets == 7.0
    assert window[0].notices[0].prefix == "198.51.100.10/32"
    stage.vigil.second()
    assert thoughts.windows[-1][-1].balancers == {}  # nobody said anything since
    events = {row["name"]: row for row in told(stage)}
    assert events["notice"]["details"] == {"source": "noc", "prefix": "198.51.100.10/32", "action": "drop"}
    assert events["verdict"]["details"]["cause"] == "vip-black-hole"
    assert events["verdict"]["details"]["family"] == "protection"
    assert any("blackholed by flow monitor" in says for says in stage.progress.steps)


def test_our_own_faults_that_are_in_force_are_known(tmp_path):
    thoughts = Thoughts()
    stage, _, _ = make_world(tmp_path, thoughts)
    stage.hurt["kill"] = "volume-r1-1"
    stage.vigil.second()
    stage.hurt.clear()
    stage.vigil.second()
    assert thoughts.hurting == [("kill",), ()]


def test_a_text_that_is_full_is_a_gap_that_is_told_once(tmp_path, monkeypatch):
    stage, _, _ = make_world(tmp_path, Thoughts())
    monkeypatch.setattr(stage.writer, "add_line", lambda name, text: False)
    for _ in range(3):
        stage.vigil.second()
    stage.writer.close()
    assert [row["name"] for row in events_of(stage.writer.path, EventKind.GAP)] == ["signals.jsonl"]


def test_whoever_looks_on_is_told_where_it_stands_whenever_that_changes(tmp_path):
    thoughts = Thoughts({3: [Suspected("answers begin to miss")], 7: [freeze()], 8: [Verdict(BLACK_HOLE)]})
    stage, _, _ = make_world(tmp_path, thoughts)
    run_phase(stage, stage.plan.phase("calm"))
    alarms = stage.progress.alarms
    assert alarms[0] == ("suspect", "answers begin to miss")
    assert [stance for stance, _ in alarms] == ["suspect", "probing"]
    stage.vigil.second(silent=True)
    assert alarms[-1] == ("held", BLACK_HOLE.says)
    thoughts.stance = Stance.NORMAL
    stage.vigil.second(silent=True)
    stage.vigil.second(silent=True)
    assert alarms[3:] == [("", "")]
