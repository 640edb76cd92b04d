"""Sentinels in agents: felt while the load runs and while it is silent, asked, closed, gone with their conductor."""

from dataclasses import replace

import pytest
from fleet_plans import CLOCK, steady

from maul.core.clock import FakeClock
from maul.core.vantage import Attempt, Question, Reach, TcpFacts, Vantage
from maul.fleet import messages
from maul.fleet.connection import Fleet
from maul.fleet.duty import Duty, Maker
from maul.fleet.lookout import FleetLookout
from maul.fleet.messages import BeatAnswer, MessageError
from maul.fleet.preflight import Question as PreflightQuestion
from maul.fleet.sentinels import LEASE_S, SentinelOrder, SentinelReport, report_to_json
from maul.hosts.machine_counters import MachineCounters
from maul.load import NullServer
from maul.s3.endpoint import Endpoint
from maul.s3.knock import gate
from maul.s3.patrol import words_of
from waiting import wait_for

BOTH = ("one", "two")


@pytest.fixture(scope="module")
def server():
    with NullServer(run=1) as running:
        yield running


def gates(server):
    return {"vip": gate(Endpoint("vip", server.url), "127.0.0.1")}


def come(lookout, wanted, limit_s=15.0):
    """What comes, until that is so of all that came."""
    came: list[Attempt] = []
    wait_for(lambda: came.extend(lookout.take()) or wanted(came), limit_s)
    return came


def whos(came, vantage):
    return {one.question.who for one in came if one.question.vantage is vantage}


def test_they_feel_the_target_beside_the_load_and_while_it_is_frozen(fleet, server):
    fleet.preflight(PreflightQuestion())
    before_ns = CLOCK.now_ns()
    lookout = fleet.lookout("vip", gates(server))
    assert not lookout.left_out()
    came = come(lookout, lambda came: whos(came, Vantage.SENTINEL) == set(BOTH))
    for attempt in came:
        assert attempt.reach is Reach.ANSWERED and attempt.question.endpoint == "vip"
        assert before_ns - 2e9 < attempt.at_ns < CLOCK.now_ns() + 1e9, "on our clock"
    generator = fleet.generator({name: steady(name, 9, seconds=20.0) for name in BOTH})
    generator.renew()
    generator.start()
    wait_for(lambda: generator.renew() or generator.status().offered > 20)
    generator.stop("mitigation", now=True)
    assert generator.join(5.0) and not generator.lost()
    lookout.take()
    frozen_ns = CLOCK.now_ns()
    later = come(lookout, lambda came: len([one for one in came if one.at_ns > frozen_ns]) >= 4)
    assert whos([one for one in later if one.at_ns > frozen_ns], Vantage.SENTINEL) == set(BOTH), lookout.left_out()
    numbers = [(one.question.who, one.at_ns) for one in [*came, *later]]
    assert len(set(numbers)) == len(numbers), "each comes once"
    lookout.close()
    lookout.close()
    assert lookout.take() is not None


def test_a_question_is_asked_by_whom_it_names_on_a_new_connection(fleet, server):
    fleet.preflight(PreflightQuestion())
    lookout = fleet.lookout("vip", gates(server))
    question = Question(Vantage.IDLE, "two", "vip")
    assert lookout.ask(question)
    assert not lookout.ask(question), "one at a time"
    assert not lookout.ask(replace(question, who="nobody"))
    for elsewhere in (replace(question, vantage=Vantage.EXTERNAL), replace(question, endpoint="control")):
        assert not lookout.ask(replace(elsewhere, who="one"))
    assert not lookout.ask(replace(question, who="one", port=22)), "nobody checked that port"
    came = come(lookout, lambda came: whos(came, Vantage.IDLE))
    (answer,) = [one for one in came if one.question == question]
    assert answer.reach is Reach.ANSWERED and answer.connect_ms is not None
    assert lookout.ask(question), "the next may be asked"
    lookout.close()
    assert not lookout.ask(question)


def test_closed_or_left_nobody_stays_at_the_door(town):
    with NullServer(run=1) as server:

        def grew():
            had = server.totals().requests
            return wait_for(lambda: server.totals().requests > had, 2.5)

        with Fleet.connect(town.address, town.certificates) as fleet:
            fleet.preflight(PreflightQuestion())
            lookout = fleet.lookout("vip", gates(server))
            assert grew()
            lookout.close()
            assert not grew()
            fleet.lookout("vip", gates(server))
            assert grew()
        assert not grew(), "the conductor left"


def test_nobody_listens_so_it_ends(server, tmp_path):
    clock = FakeClock()
    duty = Duty(Maker(lambda plan, trace: None, "test", clock=lambda: clock), tmp_path)
    words = {"endpoint": "vip", "gates": {name: words_of(one) for name, one in gates(server).items()}}
    duty.post_sentinel("one", words)
    felt = []
    assert wait_for(lambda: felt.extend(duty.beat({}, SentinelOrder()).sentinel.attempts) or felt, 5)
    clock.wait(LEASE_S - 0.1)
    duty.beat({}, SentinelOrder(received=felt[-1][0]))
    clock.wait(LEASE_S - 0.1)
    assert not wait_for(lambda: duty.beat({}).sentinel is not None, 0.6)
    assert duty.beat({}, SentinelOrder(received=felt[-1][0])).sentinel is not None, "renewed in time"
    clock.wait(LEASE_S + 0.1)
    assert wait_for(lambda: duty._sentinel is None, 5)
    assert duty.beat({}, SentinelOrder()).sentinel is None
    duty.close(0.1)


def test_what_was_not_received_comes_again_and_a_question_told_twice_is_asked_once(server, tmp_path):
    duty = Duty(Maker(lambda plan, trace: None, "test"), tmp_path)
    words = {"endpoint": "vip", "gates": {name: words_of(one) for name, one in gates(server).items()}}
    duty.post_sentinel("one", words)
    order = SentinelOrder(questions=((1, Question(Vantage.IDLE, "one", "vip")),))
    assert wait_for(lambda: len(duty.beat({}, order).sentinel.attempts) >= 4, 10)
    attempts = duty.beat({}, order).sentinel.attempts
    assert [number for number, _ in attempts] == list(range(1, len(attempts) + 1))
    assert [one.question.vantage for _, one in attempts].count(Vantage.IDLE) == 1
    rest = duty.beat({}, replace(order, received=attempts[-2][0])).sentinel.attempts
    assert rest[0] == attempts[-1]
    duty.close(0.1)


SEEN = Attempt(
    at_ns=5,
    question=Question(Vantage.SENTINEL, "one", "vip"),
    reach=Reach.STALLED,
    answer_ms=3.5,
    tcp=TcpFacts(rtt_ms=0.2, retransmits=3),
    says="no answer for 2 s",
)


def test_a_beat_carries_all_of_it():
    questions = ((7, Question(Vantage.IDLE, "one", "control", 8443, large=True)),)
    order = SentinelOrder(3, quiet=True, questions=questions)
    assert messages.unpack_orders(messages.pack_orders({}, order)) == ({}, order)
    assert messages.unpack_orders(messages.pack_orders({})) == ({}, None)
    machine = MachineCounters(sent_segments=4, retransmits=None, received_segments=5, cpu_seconds=1.5, cores=3)
    answer = BeatAnswer(9, {}, machine, SentinelReport(((4, SEEN),), 7))
    assert messages.unpack_answer(messages.pack_answer(answer)) == answer


@pytest.mark.parametrize(
    "change",
    [
        {"reach": "anywhere"},
        {"answer_ms": "soon"},
        {"answer_ms": -1},
        {"question": ["sentinel", "one"]},
        {"tcp": {"rtt": 1}},
        {"at_ns": None},
    ],
)
def test_garbage_is_told_from_an_attempt(change):
    said = report_to_json(SentinelReport(((1, SEEN),), 0))
    assert said is not None
    said["attempts"][0][1].update(change)
    head = {"now_ns": 1, "engines": {}, "machine": {}, "sentinel": said}
    with pytest.raises(MessageError, match="makes no sense"):
        messages.unpack_answer(messages.pack(head))


@pytest.mark.parametrize("machine", [{"retransmits": -1}, {"retransmits": "1"}, {"cores": True}, {"ports": 1}, None])
def test_garbage_is_told_from_counters(machine):
    with pytest.raises(MessageError, match="makes no sense"):
        messages.unpack_answer(messages.pack({"now_ns": 1, "engines": {}, "machine": machine, "sentinel": None}))


class Quietly:
    """A connection that does nothing."""

    clock = FakeClock()

    def nudge(self) -> None:
        pass

    def withdraw(self, lookout: FleetLookout) -> None:
        pass


def test_nobody_speaks_in_anothers_name():
    lookout = FleetLookout(Quietly(), BOTH, {})
    with pytest.raises(MessageError, match="not its own"):
        lookout.receive("two", SentinelReport(((1, SEEN),)), 0)
    outside = replace(SEEN, question=replace(SEEN.question, vantage=Vantage.EXTERNAL))
    with pytest.raises(MessageError, match="not its own"):
        lookout.receive("one", SentinelReport(((1, outside),)), 0)
    lookout.receive("one", SentinelReport(((1, SEEN),)), 2)
    lookout.receive("one", SentinelReport(((1, SEEN),)), 2)
    assert [one.at_ns for one in lookout.take()] == [3]
    lookout.receive("one", None, 0)
    assert "has ended" in lookout.left_out()["one"] and lookout.order("one") is None


def test_machines_tell_their_counters(fleet, server):
    fleet.preflight(PreflightQuestion())
    lookout = fleet.lookout("vip", gates(server))
    assert wait_for(lambda: set(fleet.machines()) == set(BOTH), 5)
    first = fleet.machines()["one"]
    assert first.retransmits is not None and first.cores > 0 and first.cpu_seconds > 0
    assert wait_for(lambda: (fleet.machines()["one"].sent_segments or 0) > (first.sent_segments or 0), 5)
    lookout.close()
