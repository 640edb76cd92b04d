"""A phase on a fleet: split, started, watched, taken over; what it leaves in the record."""

import json
from dataclasses import replace

import pytest
from conduct_stage import T0_NS, events_of, make_plan, make_stage
from fake_fleet import FakeLine, at_once

from maul.conduct.crew import Crew
from maul.conduct.phases import run_phase
from maul.core.clock import FakeClock
from maul.core.errors import MachineError
from maul.core.event import EventKind
from maul.core.operation import REGION_SHIFT
from maul.plan.fleet_model import Load
from maul.plan.lanes import GENERATION_KEYS
from maul.plan.muster import Muster, Post
from maul.plan.runtime import Stretch
from maul.record import RunReader

S = 1_000_000_000


def crew_of(stage, line, count=3, **more):
    posts = tuple(Post(f"a{place}", 40 * place, 40, 2) for place in range(count))
    stage.crew = Crew(line, Muster(40 * count, posts, Load(requests_per_s=50.0), **more), start_beside=at_once)
    return stage.crew


@pytest.fixture
def stage(tmp_path):
    return make_stage(tmp_path, make_plan(faults=()), clock=FakeClock(T0_NS))


def run(stage, *names):
    for name in names:
        run_phase(stage, stage.plan.phase(name))
    stage.writer.close()
    return RunReader.open(stage.writer.path)


def agent_events(record, name=None):
    rows = [row | {"details": json.loads(row["details"])} for row in events_of(record, EventKind.AGENT)]
    return [row for row in rows if name is None or row["name"] == name]


def test_three_agents_do_together_what_one_would(stage):
    line = FakeLine(stage.clock)
    crew_of(stage, line)
    record = run(stage, "fill", "calm")
    rows = record.operations().to_pylist()
    keys = sorted(row["key"] for row in rows if row["phase"] == "fill")
    assert keys == list(range(100))
    due = sorted(row["due_ns"] for row in rows if row["phase"] == "calm")
    assert [round((at - due[0]) / S * 50) for at in due] == list(range(1000))
    assert len({row["version"] for row in rows}) == 1100  # no version twice
    assert stage.state.epochs_used == 6
    (_, calm) = [
        json.loads(row["details"])["status"] for row in events_of(record, EventKind.PHASE) if row["edge"] == "ended"
    ]
    assert sum(agent["started"] for agent in calm["agents"].values()) == calm["started"] == 1000


def test_the_record_knows_whose_every_version_is_and_when_all_began(stage):
    line = FakeLine(stage.clock, late={"a1": 3_000_000})
    crew_of(stage, line)
    record = run(stage, "fill")
    (engines,) = agent_events(record, "engines")
    whose = {one["epoch"]: one["agent"] for one in engines["details"]["engines"]}
    assert whose == {1: "a0", 2: "a1", 3: "a2"}
    assert {row["version"] >> 48 for row in record.operations().to_pylist()} == set(whose)
    (start,) = agent_events(record, "start")
    assert start["details"]["spread_ns"] == 3_000_000 and start["details"]["began"]["a1"] == [3_000_000, 1000]


def test_others_take_over_when_the_lease_of_a_lost_one_is_over_for_certain(stage):
    line = FakeLine(stage.clock, dies={"a1": 5.0})
    crew = crew_of(stage, line)
    record = run(stage, "calm")
    began, ended = agent_events(record, "a1 lost")
    assert (began["edge"], ended["edge"]) == ("began", "ended")
    zero_ns = line.made[0].asked_ns
    assert began["at_ns"] == zero_ns + 5 * S
    ((taken_ns, plans),) = line.made[0].taken
    lease_s = stage.plan.phase("calm").passes[0].engine.lease_ms / 1000
    assert lease_s + 0.5 <= (taken_ns - zero_ns) / 1e9 - 5.0 < lease_s + 1.0
    assert set(plans) == {"a0", "a2"} and ended["at_ns"] == taken_ns
    # every arrival before the loss and after the take-over was sent once, of those between two thirds
    rows = record.operations().to_pylist()
    sent = sorted(round((row["due_ns"] - zero_ns) / S * 50) for row in rows)
    assert len(sent) == len(set(sent))
    gap = range(5 * 50, int((taken_ns - zero_ns) / S * 50) + 1)
    assert set(range(1000)) - set(sent) <= set(gap)
    missing = 1000 - len(sent)
    assert abs(missing - ended["details"]["not_sent"]) <= 2 and missing == pytest.approx(len(gap) / 3, abs=2)
    assert ended["details"]["taken"] == {"a0": pytest.approx(1 / 3)} or sum(
        ended["details"]["taken"].values()
    ) == pytest.approx(1 / 3)
    assert crew.lost == {"a1": "not heard of for 3.0 s"} and crew.there.names == ("a0", "a2")


def test_new_keys_and_versions_of_who_takes_over_are_nobody_elses(stage):
    line = FakeLine(stage.clock, dies={"a1": 5.0})
    crew_of(stage, line)
    record = run(stage, "calm")
    ((_, plans),) = line.made[0].taken
    assert all(plan["keyspace"]["ephemeral_start"] == GENERATION_KEYS for plan in plans.values())
    versions = [row["version"] for row in record.operations().to_pylist()]
    assert len(versions) == len(set(versions))
    assert stage.state.epochs_used == 3 + len(plans) and stage.state.take_overs == 1


def test_what_the_campaign_holds_is_not_sent_and_said(stage):
    line = FakeLine(stage.clock, dies={"a2": 8.0})
    crew = crew_of(stage, line, redistribute=False)
    record = run(stage, "calm")
    began, ended = agent_events(record, "a2 lost")
    assert line.made[0].taken == [] and ended["details"]["held"] == pytest.approx(1 / 3)
    assert ended["details"]["not_sent"] == pytest.approx((20 - 8) * 50 / 3, abs=2)
    assert "on_loss: hold" in began["says"] and "was not sent to the end" in ended["says"]
    assert crew.there.held == 40  # nor is it in what comes next


def test_a_take_over_that_fails_is_a_part_that_is_held(stage):
    line = FakeLine(stage.clock, dies={"a2": 8.0}, refuses=True)
    crew_of(stage, line)
    (_, ended) = agent_events(run(stage, "calm"), "a2 lost")
    assert ended["details"]["held"] == pytest.approx(1 / 3) and "could prepare" in ended["details"]["why_held"]


def test_a_second_loss_is_cut_once_more_with_all_that_the_agent_had_taken_over(stage):
    line = FakeLine(stage.clock, dies={"a1": 2.0, "a2": 10.0})
    crew_of(stage, line)
    record = run(stage, "calm")
    zero_ns = line.made[0].asked_ns
    sent = [round((row["due_ns"] - zero_ns) / S * 50) for row in record.operations().to_pylist()]
    assert len(sent) == len(set(sent))
    (_, second) = agent_events(record, "a2 lost")
    assert second["details"]["share"] == pytest.approx(1 / 2) and len(second["details"]["engines"]) == 2
    assert set(range(17 * 50, 1000)) <= set(sent)  # at the end a0 sends everything
    assert stage.state.take_overs == 3


def test_of_a_sweep_the_others_do_again_what_a_lost_one_had_to_do(stage):
    line = FakeLine(stage.clock, dies={"a1": 0.02})
    crew_of(stage, line)
    record = run(stage, "fill")
    rows = record.operations().to_pylist()
    assert {row["key"] for row in rows} == set(range(100))
    assert len(line.made) == 2 and {e.agent for e in line.made[1].engines} == {"a0", "a2"}
    assert len({row["version"] for row in rows}) == len(rows)


def test_an_agent_that_fell_silent_by_itself_is_made_up_for_and_ends_nobody_else(stage):
    line = FakeLine(stage.clock, ends={"a1": "lease"})
    crew = crew_of(stage, line)
    record = run(stage, "calm")
    assert not stage.stopped and "a1" in crew.lost
    (end,) = [
        json.loads(row["details"])["status"] for row in events_of(record, EventKind.PHASE) if row["edge"] == "ended"
    ]
    assert end["stop_reason"] == "completed"


def test_nobody_is_left(stage):
    line = FakeLine(stage.clock, dies={"a0": 1.0, "a1": 1.0, "a2": 1.0})
    crew_of(stage, line)
    run_phase(stage, stage.plan.phase("calm"))
    with pytest.raises(MachineError, match="no agent is left for audit"):
        run_phase(stage, stage.plan.phase("audit"))
    stage.writer.close()


def test_one_whose_answers_are_much_worse_than_the_others_is_noted_once(stage, monkeypatch):
    line = FakeLine(stage.clock)
    crew_of(stage, line)
    many = line.generator

    def spoiled(plans, trace=None, **words):
        made = many(plans, trace, **words)
        script = made.engines[1].generator._script
        script["outcome"], script["error_class"] = 1, 12
        return made

    monkeypatch.setattr(line, "generator", spoiled)
    record = run(stage, "calm")
    notes = [row["says"] for row in events_of(record, EventKind.NOTE)]
    assert [note for note in notes if "agent a1" in note and "banned" in note] == notes[:1] and len(notes) == 1


def test_each_agent_has_its_own_curves(stage):
    crew_of(stage, FakeLine(stage.clock))
    samples = run(stage, "calm").samples().to_pylist()
    rates = [
        row["value"]
        for row in samples
        if (row["probe"], row["metric"], row["subject"]) == ("agent", "offered_per_s", "a1")
    ]
    assert len(rates) >= 18 and sum(rates[1:18]) / 17 == pytest.approx(50 / 3, rel=0.05)


def test_new_keys_of_take_overs_are_swept_too(stage):
    line = FakeLine(stage.clock)
    crew_of(stage, line)
    state = stage.state.after(
        stage.plan.phase("calm").passes[0],
        {"ephemeral_next": 30, "started": 0, "bytes_sent": 0, "bytes_received": 0, "elapsed_s": 0.0},
    )
    stage.state = replace(state.with_stretches(0, [Stretch(GENERATION_KEYS, 12)]), take_overs=1)
    record = run(stage, "audit")
    index = {
        row["key"] & ((1 << REGION_SHIFT) - 1)
        for row in record.operations().to_pylist()
        if row["key"] >> REGION_SHIFT == 1
    }
    assert index == {*range(30), *range(GENERATION_KEYS, GENERATION_KEYS + 12)}
