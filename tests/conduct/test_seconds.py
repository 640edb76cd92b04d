"""From counters, histograms, samples and attempts to seconds: what nobody said is never a zero."""

import dataclasses

import pytest

from maul.conduct.seconds import (
    GeneratorMeter,
    Times,
    balancers_of,
    links_now,
    rate_before,
    samples_of,
)
from maul.core.generator import GeneratorState, GeneratorStatus
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.sample import Sample
from maul.core.vantage import Attempt, Question, Reach, Vantage
from maul.guard.mitigation.signals import GeneratorSecond, LinkSecond, Second
from maul.guard.mitigation.signals_text import from_lines, to_line
from maul.guard.network_words import LinkReading
from maul.hosts.machine_counters import MachineCounters
from maul.plan.fleet_model import FleetPlan, GeneratorPlan, LinkLoad, Load

S = 1_000_000_000


def status(elapsed_s: float, offered: int, **more) -> GeneratorStatus:
    return GeneratorStatus(GeneratorState.RUNNING, elapsed_s=elapsed_s, began_ns=S, offered=offered, **more)


def row(ms: float, kind=LatencyKind.SERVICE, outcome=Outcome.OK, count: int = 10) -> LatencyRow:
    histogram = Histogram()
    for _ in range(count):
        histogram.record(int(ms * 1e6))
    return LatencyRow(1, Op.GET, outcome, kind, count, histogram.to_v2())


def test_counts_since_the_last_status_are_scaled_to_a_second():
    meter = GeneratorMeter({"a": "r1"}, {"a": 2.0})
    errors = {ErrorClass.CONNECT_TIMEOUT: 4, ErrorClass.BACKLOG: 9, ErrorClass.STOPPED: 1}
    meter.read({"a": status(10.0, 100, ok=90, cpu_seconds=1.0, errors={ErrorClass.CONNECT_TIMEOUT: 2})}, Times())
    found = meter.read({"a": status(12.0, 300, ok=180, cpu_seconds=3.0, in_flight=7, errors=errors)}, Times())
    assert found["a"].due == 100.0
    assert found["a"].ok == 45.0
    assert found["a"].rack == "r1"
    assert found["a"].cpu_ratio == pytest.approx(0.5)
    assert found["a"].in_flight == 7.0
    assert found["a"].failed == {ErrorClass.CONNECT_TIMEOUT: 1.0}  # what was never sent is no failure of the target


def test_who_said_nothing_new_is_left_out_and_made_up_for_later():
    meter = GeneratorMeter()
    meter.read({"a": status(1.0, 100), "b": status(1.0, 100)}, Times())
    found = meter.read({"a": status(2.0, 200), "b": status(1.05, 105)}, Times())
    assert sorted(found) == ["a"]
    found = meter.read({"a": status(3.0, 300), "b": status(3.0, 300)}, Times())
    assert found["b"].due == 100.0


def test_what_a_machine_counts_comes_along_and_says_nothing_the_first_time():
    meter = GeneratorMeter()
    first, later = MachineCounters(100, 50, None, 1.0, 2), MachineCounters(300, 250, 7, 2.0, 2)
    found = meter.read({"a": status(1.0, 100)}, Times(), {"a": first})
    assert found["a"].sent_packets is None
    found = meter.read({"a": status(3.0, 300)}, Times(), {"a": later})
    assert (found["a"].sent_packets, found["a"].received_packets, found["a"].retransmits) == (100.0, 100.0, None)
    assert found["a"].cpu_ratio == pytest.approx(0.25)


def test_a_new_engine_counts_from_its_own_beginning():
    meter = GeneratorMeter()
    meter.read({"a": status(9.0, 900, ok=900)}, Times())
    fresh = dataclasses.replace(status(1.0, 40, ok=40), began_ns=20 * S)
    assert meter.read({"a": fresh}, Times())["a"].ok == 40.0


def test_a_generator_that_did_not_begin_says_nothing():
    assert GeneratorMeter().read({"a": GeneratorStatus(GeneratorState.READY)}, Times()) == {}


def test_times_are_of_what_was_answered_well_and_of_new_connections():
    times = Times()
    times.add([row(4.0), row(9000.0, outcome=Outcome.UNKNOWN), row(7.0, kind=LatencyKind.CONNECT), row(1, kind="lag")])
    second = times.onto(GeneratorSecond())
    assert (second.p50_ms, second.p99_ms) == (pytest.approx(4.0, rel=0.01), pytest.approx(4.0, rel=0.01))
    assert second.connect_p50_ms == pytest.approx(7.0, rel=0.01)
    assert Times().onto(GeneratorSecond()).p50_ms is None


def test_of_a_balancers_counters_the_newest_count_and_what_it_did_not_say_is_none():
    found = balancers_of(
        [
            Sample(2, "vip", "vip_packets", "lb", 50.0),
            Sample(1, "vip", "vip_packets", "lb", 900.0),
            Sample(2, "vip", "listening", "lb", 0.0),
            Sample(2, "vip", "backends_up", "lb", 2.0),
            Sample(2, "vip", "moonphase", "lb", 1.0),
            Sample(2, "haproxy", "vip_packets", "lb2", 1.0),
        ]
    )
    assert list(found) == ["lb"]
    lb = found["lb"]
    assert (lb.vip_packets, lb.listening, lb.backends_up, lb.vip_syns) == (50.0, False, 2, None)
    assert type(lb.backends_up) is int


def test_a_link_says_who_crosses_it_and_one_without_a_reading_says_nothing():
    def link(name: str, **up: float) -> LinkLoad:
        return LinkLoad(
            name=name, capacity_bps=100.0, background_bps=0, shared=True, cap=0.5, ours_bps=0, worst_bps=0,
            worst_when=None, up=up, down={},
        )  # fmt: skip

    def agent(name: str, rack: str | None) -> GeneratorPlan:
        return GeneratorPlan(
            name=name, host=None, rack=rack, first=0, width=1, load=Load(), requests_ceiling_per_s=None
        )

    fleet = FleetPlan(
        wheel=3,
        generators=(agent("a", "r1"), agent("b", "r1"), agent("c", None)),
        links=(link("x", a=1.0, b=0.5, c=1.0), link("y", a=1.0)),
        load=Load(),
    )
    found = links_now({"x": LinkReading(1, 40.0, 0.0, True), "z": LinkReading(1)}, fleet)
    assert found == {"x": LinkSecond(True, 0.0, 0.4, ("r1",))}
    assert links_now({"x": LinkReading(1)}, None) == {}


def test_attempts_are_samples_of_what_was_measured():
    question = Question(Vantage.EXTERNAL, "ext", "vip")
    attempts = [
        Attempt(7, question, Reach.ANSWERED, 200, connect_ms=1.5, answer_ms=3.0),
        Attempt(8, question, Reach.TIMEOUT),
    ]
    assert [(one.at_ns, one.metric, one.subject, one.value) for one in samples_of(attempts)] == [
        (7, "reach", "external/ext", 0.0),
        (7, "connect_ms", "external/ext", 1.5),
        (7, "answer_ms", "external/ext", 3.0),
        (8, "reach", "external/ext", float(list(Reach).index(Reach.TIMEOUT))),
    ]


def test_the_rate_at_the_onset_is_what_was_answered_before_it():
    seconds = [
        Second(at * S, {"a": GeneratorSecond(due=500, ok=at), "b": GeneratorSecond(ok=100.0)}) for at in range(1, 9)
    ]
    seconds[5] = dataclasses.replace(seconds[5], silent=True)
    assert rate_before(seconds, 7 * S, over=3) == pytest.approx(100 + (7 + 5 + 4) / 3)
    assert rate_before(seconds, 0) == 0.0


def test_seconds_are_read_back_as_they_were_and_a_torn_line_is_left_out():
    attempt = Attempt(4, Question(Vantage.IDLE, "local", "vip", 80), Reach.PROHIBITED, says="…")
    second = Second(
        5 * S,
        {"a": GeneratorSecond("r1", ok=3.5, failed={ErrorClass.CONNECT_TIMEOUT: 2.0}, p50_ms=1.5)},
        [attempt],
        balancers=balancers_of([Sample(2, "vip", "listening", "lb", 1.0)]),
        links={"x": LinkSecond(False, None, 0.5, ["r1"])},
        silent=True,
    )
    line = to_line(second)
    assert "\n" not in line
    assert list(from_lines([line, line[:-9], "", line])) == [second, second]
