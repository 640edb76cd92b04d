"""One fleet of real processes: pre-flight, one start, merged numbers, throttle, stop, takeover."""

import dataclasses

import pytest
from fleet_plans import CLOCK, counting, steady

from maul import __version__
from maul.core.errors import InternalError, MachineError
from maul.core.generator import GeneratorState
from maul.core.histogram import Histogram
from maul.fleet import members
from maul.fleet.connection import Fleet
from maul.fleet.preflight import Question

BOTH = ("one", "two")


def drive(generator, limit_s=20.0, until=lambda: False):
    """Renew, drain, until it is done; everything that was drained."""
    drained = []
    for _ in range(round(limit_s * 10)):
        generator.renew()
        if until():
            break
        done = generator.join(0.1)
        drained.append(generator.drain())
        if done:
            break
    drained.append(generator.drain())
    return drained


def test_the_preflight_knows_every_agent(fleet):
    found = fleet.preflight(Question(connections=10))
    assert set(found.ready) == set(BOTH) and not found.left_out
    for facts in found.ready.values():
        assert facts.version == __version__ and facts.engine_version == "test" and facts.cores > 0
        assert abs(facts.clock.offset_ns) <= facts.clock.error_ns + 1_000_000, "both are this machine's clock"
        assert facts.descriptors > 0 and facts.ports > 1000


@pytest.mark.parametrize(
    ("question", "says"),
    [
        (Question(addresses=(("127.0.0.1", 9),)), "127.0.0.1:9 (Connection refused)"),
        (Question(connections=10_000_000), "ulimit -n"),
        (Question(connections_each=70_000), "ip_local_port_range"),
        (Question(engine_version="9.9 release"), "its engine is test"),
        (Question(clock_error_max_ns=0), "its clock is known to"),
    ],
)
def test_what_an_agent_lacks_is_told_by_name(fleet, question, says):
    found = fleet.preflight(question)
    assert not found.ready and set(found.left_out) == set(BOTH)
    assert says in found.left_out["one"]


def test_an_agent_that_never_came_is_left_out_and_gets_no_plan(fleet):
    found = fleet.preflight(Question(), ["one", "ghost"])
    assert set(found.ready) == {"one"} and found.left_out == {"ghost": "it has not joined the fleet"}
    with pytest.raises(InternalError, match="ghost did not pass"):
        fleet.generator({"ghost": steady("ghost", 9)})


def test_all_begin_at_one_instant_and_their_counts_are_one(fleet):
    fleet.preflight(Question())
    with counting() as counted:
        generator = fleet.generator({name: steady(name, counted.port) for name in BOTH})
        assert generator.status().state is GeneratorState.READY
        generator.start()
        with pytest.raises(InternalError):
            generator.start()
        drained = drive(generator)
        status = generator.status()
    assert status.state is GeneratorState.DONE and status.stop_reason == "completed"
    assert status.ok == sum(counted.by_agent.values()) == pytest.approx(200, abs=6)
    assert {name: one.ok for name, one in generator.by_agent().items()} == dict(counted.by_agent)
    assert sum(row.count for part in drained for row in part.latency) == status.ok
    assert sum(Histogram.from_v2(row.hdr).count for part in drained for row in part.latency) == status.ok
    assert sum(len(part.operations) for part in drained) == status.ok
    keys = [(row.second, row.op, row.outcome, row.kind, row.tenant) for part in drained[-3:-2] for row in part.latency]
    assert len(keys) == len(set(keys)), "one row for each key, not one for each agent"
    skew = generator.skew()
    assert set(skew.began) == set(BOTH)
    assert skew.spread_ns <= skew.error_ns + 2_000_000
    assert not generator.lost()


def test_a_throttle_reaches_one_agent_and_not_the_other(fleet):
    fleet.preflight(Question())
    with counting() as counted:
        generator = fleet.generator({name: steady(name, counted.port, seconds=3.0) for name in BOTH})
        generator.start()
        assert generator.throttle_agents({"two": 0.25}) == ()
        drive(generator)
    status = generator.by_agent()
    assert status["one"].withheld == 0
    assert status["two"].withheld == pytest.approx(112, abs=12)
    assert generator.status().withheld == status["two"].withheld


def test_stop_reaches_all_and_the_first_reason_stays(fleet):
    fleet.preflight(Question())
    with counting() as counted:
        generator = fleet.generator({name: steady(name, counted.port, seconds=60.0) for name in BOTH})
        generator.start()
        drive(generator, until=lambda: sum(counted.by_agent.values()) > 20)
        generator.stop("enough")
        generator.stop("too late", now=True)
        assert generator.join(3.0)
        assert generator.status().stop_reason == "enough"
        assert generator.status().ok == sum(counted.by_agent.values())


def test_survivors_take_over_from_a_moment_in_the_past(fleet):
    fleet.preflight(Question())
    with counting() as counted:
        generator = fleet.generator({"one": steady("one", counted.port, seconds=4.0)})
        generator.start()
        drive(generator, until=lambda: counted.by_agent["one"] > 50)
        began_ns = generator.skew().asked_ns
        generator.take_over({"two": steady("two", counted.port, seconds=4.0)}, began_ns)
        late_s = (CLOCK.now_ns() - began_ns) / 1e9
        drive(generator)
    assert generator.status().state is GeneratorState.DONE
    assert counted.by_agent["two"] == pytest.approx((4.0 - late_s) * 50, abs=25), "what was due before is skipped"
    assert generator.status().ok == sum(counted.by_agent.values())


def test_a_lease_beyond_five_seconds_is_refused(fleet):
    fleet.preflight(Question())
    with pytest.raises(InternalError, match="lease"):
        fleet.generator({"one": steady("one", 9, lease_ms=5001)})


def test_without_a_fleet_there_is_one_message(tmp_path, town):
    with pytest.raises(MachineError, match="maul fleet up"):
        Fleet.connect("tls://127.0.0.1:9", town.certificates)
    with pytest.raises(MachineError, match="maul fleet init"):
        Fleet.connect(town.address, tmp_path)


def test_the_agents_serve_one_conductor_after_the_other(town):
    for _ in range(2):
        with Fleet.connect(town.address, town.certificates) as fleet:
            assert set(fleet.preflight(Question()).ready) == set(BOTH)


def test_a_second_conductor_does_not_get_agents_that_work(fleet, town):
    fleet.preflight(Question())
    with counting() as counted:
        generator = fleet.generator({"one": steady("one", counted.port, seconds=60.0)})
        generator.start()
        with Fleet.connect(town.address, town.certificates) as other:
            found = other.preflight(Question())
        assert "another conductor" in found.left_out["one"]
        assert "two" in found.ready or "another conductor" in found.left_out["two"]
        before = counted.by_agent["one"]
        drive(generator, until=lambda: counted.by_agent["one"] > before + 10)
        generator.stop("done", now=True)
        assert generator.join(3.0)


def test_the_beat_interval_and_the_deadlines_fit_the_lease():
    assert members.CALL_S + members.BEAT_EVERY_S < 3.0, "one lost beat must not cost the lease"
    assert dataclasses.fields(members.Member)
