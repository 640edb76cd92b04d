"""The sampler: when it reads, and how a sense that goes blind is told of, once."""

import threading
from collections.abc import Callable

import pytest
from machine import T0, S

from maul.core.clock import FakeClock
from maul.core.errors import MachineError
from maul.core.event import Edge, EventKind
from maul.core.sample import Sample
from maul.probes.contract import ProbeError
from maul.probes.rates import Rates
from maul.probes.sampler import Reading, Sampler, SamplerThread


class FakeProbe:
    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.missing: dict[str, str] = {}
        self.error: Exception | None = None
        self.reads: list[int] = []

    def read(self, now_ns: int) -> list[Sample]:
        self.reads.append(now_ns)
        if self.error is not None:
            raise self.error
        return [Sample(now_ns, self.name, "value", "", 1.0)]


def edges(reading: Reading) -> list[tuple[Edge, str]]:
    assert all(event.kind is EventKind.GAP for event in reading.events)
    return [(event.edge, event.name) for event in reading.events]


def test_each_probe_at_its_own_interval() -> None:
    fast, slow = FakeProbe("fast"), FakeProbe("slow")
    sampler = Sampler([fast, slow], 1.0, {"slow": 5.0})
    for tenth in range(100):
        sampler.step(T0 + tenth * S // 10)
    assert fast.reads == [T0 + n * S for n in range(10)]
    assert slow.reads == [T0, T0 + 5 * S]
    assert sampler.next_due_ns() == T0 + 10 * S


def test_late_steps_are_left_out_and_keep_the_grid() -> None:
    probe = FakeProbe()
    sampler = Sampler([probe])
    for at in (0, 0.999, 3.4, 3.9, 4.0):
        sampler.step(T0 + round(at * S))
    assert probe.reads == [T0, T0 + round(3.4 * S), T0 + 4 * S]


@pytest.mark.parametrize(
    "error", [ProbeError("blind", "sense"), OSError(5, "I/O error"), KeyError("x"), ZeroDivisionError()]
)
def test_an_outage_is_told_once_whatever_raised_it(error: Exception) -> None:
    probe, other = FakeProbe(), FakeProbe("other")
    sampler = Sampler([probe, other])
    told = []
    for second in range(6):
        probe.error = error if 2 <= second < 5 else None
        reading = sampler.step(T0 + second * S)
        told += [(second, edge, name) for edge, name in edges(reading)]
        assert len(reading.samples) == (1 if 2 <= second < 5 else 2), "never an old value, and the other goes on"
    assert told == [(2, Edge.BEGAN, "fake"), (5, Edge.ENDED, "fake")]
    assert len(probe.reads) == 6, "tried again each time"


def test_the_reason_is_in_the_event_and_in_the_open_gaps() -> None:
    probe = FakeProbe()
    sampler = Sampler([probe])
    probe.error = ProbeError("the kernel does not tell", "/proc/x", "Boot another.")
    [event] = sampler.step(T0).events
    assert event.says == "/proc/x: the kernel does not tell\n  Boot another."
    assert sampler.gaps == {"fake": event.says}
    probe.error = KeyError("column")
    assert sampler.step(T0 + S).events == []
    assert sampler.gaps == {"fake": "a bug in the probe: KeyError: 'column'"}
    probe.error = None
    sampler.step(T0 + 2 * S)
    assert sampler.gaps == {}


def test_subjects_come_and_go() -> None:
    probe = FakeProbe()
    sampler = Sampler([probe])
    told = []
    for second, missing in enumerate([{}, {"a": "dead"}, {"a": "dead", "b": "dead"}, {"b": "gone"}, {}]):
        probe.missing = missing
        told.append(edges(sampler.step(T0 + second * S)))
    assert told == [
        [],
        [(Edge.BEGAN, "fake/a")],
        [(Edge.BEGAN, "fake/b")],
        [(Edge.ENDED, "fake/a")],
        [(Edge.ENDED, "fake/b")],
    ]


def test_a_blind_probe_ends_no_gap_of_a_subject() -> None:
    probe = FakeProbe()
    sampler = Sampler([probe])
    probe.missing = {"a": "dead"}
    assert edges(sampler.step(T0)) == [(Edge.BEGAN, "fake/a")]
    probe.error = ProbeError("blind")
    assert edges(sampler.step(T0 + S)) == [(Edge.BEGAN, "fake")]
    probe.error = None
    assert edges(sampler.step(T0 + 2 * S)) == [(Edge.ENDED, "fake")]
    probe.missing = {}
    assert edges(sampler.step(T0 + 3 * S)) == [(Edge.ENDED, "fake/a")]


def test_names_must_differ_and_intervals_pass() -> None:
    with pytest.raises(ValueError, match="one name"):
        Sampler([FakeProbe(), FakeProbe()])
    with pytest.raises(ValueError, match="interval"):
        Sampler([FakeProbe()], 0.0)


def test_nothing_to_read() -> None:
    assert Sampler([]).step(T0) == Reading([], [])


# the thread


class Ticks(FakeClock):
    """Time passes when the sampler waits; after so many waits the test's `then` is called."""

    def __init__(self, waits: int, then: Callable[[], object]) -> None:
        super().__init__(T0)
        self.left, self.then = waits, then

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        self.left -= 1
        if self.left == 0:
            self.then()
        return super().wait(seconds, stop)


def test_the_thread_reads_until_it_is_stopped() -> None:
    seen: list[Reading] = []
    enough = threading.Event()
    clock = Ticks(4, enough.set)
    thread = SamplerThread(Sampler([FakeProbe()]), clock, seen.append)
    thread.start()
    assert enough.wait(10)
    assert thread.stop()
    assert thread.failure is None
    times = [sample.at_ns for reading in seen for sample in reading.samples]
    assert times[:4] == [T0, T0 + S, T0 + 2 * S, T0 + 3 * S]


def test_a_sink_that_fails_ends_the_thread_loudly() -> None:
    full = MachineError("the disk is full")

    def sink(reading: Reading) -> None:
        raise full

    thread = SamplerThread(Sampler([FakeProbe()]), FakeClock(), sink)
    thread.start()
    assert thread.stop(10)
    assert thread.failure is full


def test_a_thread_never_started_can_be_stopped() -> None:
    assert SamplerThread(Sampler([]), FakeClock(), lambda reading: None).stop()


# rates


def test_rates() -> None:
    rates = Rates()
    assert rates.per_second("a", T0, 10) is None
    assert rates.per_second("a", T0 + S // 2, 20) == 20
    assert rates.per_second("a", T0 + S // 2, 20) is None, "no time has passed"
    assert rates.per_second("a", T0 + S, 5) is None, "it ran backwards"
    assert rates.per_second("a", T0 + 2 * S, 6) == 1
    assert rates.per_second("a", T0 + 60 * S, 7) is None, "an outage is no rate"
    rates.keep_only({"b"})
    assert rates.per_second("a", T0 + 61 * S, 8) is None, "forgotten"
