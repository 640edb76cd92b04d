"""Seconds: what generators, balancers, links and vantage points said within one second, put together. No I/O.

Whatever was not told is None or missing, never zero and never the value before: what reads a second must be able to
tell "nothing came" from "nobody said".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from maul.core.generator import GeneratorState, GeneratorStatus
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.operation import ErrorClass, Outcome
from maul.core.sample import Sample
from maul.core.vantage import Attempt, Reach
from maul.guard.mitigation.signals import BalancerSecond, GeneratorSecond, LinkSecond, Second
from maul.guard.network_words import LinkReading
from maul.hosts.machine_counters import MachineCounters
from maul.plan.fleet_model import FleetPlan

LOCAL = "local"
"""The name of the generator where this process makes the load itself."""
ADVANCE_MIN_S = 0.3
"""A status that is newer than the last one by less tells too little to make a second of."""
OUR_OWN = frozenset({ErrorClass.BACKLOG, ErrorClass.GIVEN_UP, ErrorClass.STOPPED})
"""Never sent, given up or stopped by ourselves: says nothing of the target."""
VANTAGE, VIP = "vantage", "vip"
"""Probes of samples: how attempts ended, and what balancers counted."""
NO_MACHINES: Mapping[str, MachineCounters] = {}
_REACHES = list(Reach)
_NOTHING_YET = GeneratorStatus(GeneratorState.READY)
_BALANCER_FIELDS = {one.name: str(one.type) for one in fields(BalancerSecond)}


@dataclass(slots=True)
class Times:
    """Service and connect times of what ended within the second."""

    service: Histogram = field(default_factory=Histogram)
    connect: Histogram = field(default_factory=Histogram)

    def add(self, rows: Iterable[LatencyRow]) -> None:
        """Of what was answered well, and of every connection that came to stand."""
        for row in rows:
            if row.kind == LatencyKind.SERVICE and row.outcome == Outcome.OK:
                self.service.merge(Histogram.from_v2(row.hdr))
            elif row.kind == LatencyKind.CONNECT:
                self.connect.merge(Histogram.from_v2(row.hdr))

    def onto(self, second: GeneratorSecond) -> GeneratorSecond:
        """The second with these times; None where nothing was timed."""
        return replace(
            second,
            p50_ms=_ms(self.service, 50.0),
            p99_ms=_ms(self.service, 99.0),
            connect_p50_ms=_ms(self.connect, 50.0),
            connect_p99_ms=_ms(self.connect, 99.0),
        )


def _ms(histogram: Histogram, percentile: float) -> float | None:
    return histogram.percentile(percentile) / 1e6 if histogram.count else None


class GeneratorMeter:
    """Turns the statuses of generators, which count from their start, into what each did within a second."""

    def __init__(self, racks: Mapping[str, str] | None = None, cores: Mapping[str, float] | None = None) -> None:
        """`racks` and `cores` by generator, as far as they are known."""
        self._racks, self._cores = racks or {}, cores or {}
        self._before: dict[str, GeneratorStatus] = {}
        self._machines: dict[str, MachineCounters] = {}

    def read(
        self,
        statuses: Mapping[str, GeneratorStatus],
        times: Times,
        machines: Mapping[str, MachineCounters] = NO_MACHINES,
    ) -> dict[str, GeneratorSecond]:
        """By generator, scaled to one second. Whose status is the one read before is left out: nobody said anything.

        `times`: of all of them together, because histograms come merged. `machines`: what theirs count, where those
        are theirs alone.
        """
        found: dict[str, GeneratorSecond] = {}
        for name, now in statuses.items():
            before = self._since(name, now)
            seconds = now.elapsed_s - before.elapsed_s
            if not now.began_ns or seconds < ADVANCE_MIN_S:
                continue
            self._before[name] = now
            second = _grown(before, now, seconds, self._cores.get(name))
            machine = machines.get(name)
            if machine is not None:
                second = _with_machine(second, self._machines.get(name), machine, seconds)
                self._machines[name] = machine
            found[name] = times.onto(replace(second, rack=self._racks.get(name, "")))
        return found

    def _since(self, name: str, now: GeneratorStatus) -> GeneratorStatus:
        """Its status before; of a new engine, nothing."""
        before = self._before.get(name, _NOTHING_YET)
        same = before.began_ns == now.began_ns and before.offered <= now.offered
        return before if same else _NOTHING_YET


def _grown(before: GeneratorStatus, now: GeneratorStatus, seconds: float, cores: float | None) -> GeneratorSecond:
    def rate(name: str) -> float:
        return max(0.0, float(getattr(now, name) - getattr(before, name))) / seconds

    failed = {kind: max(0, count - before.errors.get(kind, 0)) / seconds for kind, count in now.errors.items()}
    return GeneratorSecond(
        due=rate("offered"),
        withheld=rate("withheld"),
        ok=rate("ok"),
        dropped=rate("dropped"),
        failed={kind: count for kind, count in failed.items() if count and kind not in OUR_OWN},
        in_flight=float(now.in_flight),
        backlog=float(now.backlog),
        opened=rate("opened"),
        connections=float(now.connections),
        exhausted=rate("ports_exhausted") + rate("descriptors_exhausted"),
        bytes_sent=rate("bytes_sent"),
        bytes_received=rate("bytes_received"),
        cpu_ratio=rate("cpu_seconds") / cores if cores else None,
    )


def _with_machine(
    second: GeneratorSecond, before: MachineCounters | None, now: MachineCounters, seconds: float
) -> GeneratorSecond:
    """What its machine's kernel counted; nothing at the first reading."""
    if before is None:
        return second

    def rate(earlier: int | None, later: int | None) -> float | None:
        return (later - earlier) / seconds if earlier is not None and later is not None and later >= earlier else None

    return replace(
        second,
        retransmits=rate(before.retransmits, now.retransmits),
        sent_packets=rate(before.sent_segments, now.sent_segments),
        received_packets=rate(before.received_segments, now.received_segments),
        cpu_ratio=max(0.0, now.cpu_seconds - before.cpu_seconds) / seconds / max(1, now.cores),
    )


def balancers_of(samples: Iterable[Sample]) -> dict[str, BalancerSecond]:
    """The newest of what each balancer's counters said, by balancer; unknown metrics are left out."""
    found: dict[str, dict[str, tuple[int, float]]] = {}
    for sample in samples:
        if sample.probe == VIP and sample.metric in _BALANCER_FIELDS:
            of = found.setdefault(sample.subject, {})
            if sample.metric not in of or of[sample.metric][0] <= sample.at_ns:
                of[sample.metric] = sample.at_ns, sample.value
    return {
        name: BalancerSecond(**{metric: _typed(metric, value) for metric, (_, value) in of.items()})
        for name, of in found.items()
    }


def _typed(metric: str, value: float) -> Any:
    kind = _BALANCER_FIELDS[metric]
    if "bool" in kind:
        return value != 0
    return int(value) if "int" in kind else value


def links_now(readings: Mapping[str, LinkReading], fleet: FleetPlan | None) -> dict[str, LinkSecond]:
    """The links that our load crosses, with the racks of who crosses them."""
    if fleet is None:
        return {}
    racks = {one.name: one.rack for one in fleet.generators}
    found: dict[str, LinkSecond] = {}
    for link in fleet.links:
        reading = readings.get(link.name)
        if reading is None:
            continue
        ratio = reading.bits_per_s / link.capacity_bps if reading.bits_per_s is not None else None
        crossing = tuple(dict.fromkeys(rack for name in sorted(link.crossing) if (rack := racks.get(name))))
        found[link.name] = LinkSecond(reading.up, reading.discards_per_s, ratio, crossing)
    return found


def samples_of(attempts: Sequence[Attempt]) -> list[Sample]:
    """How attempts ended, for the record: `reach` is its place among the words of `Reach`."""
    return [
        Sample(one.at_ns, VANTAGE, metric, f"{one.question.vantage}/{one.question.who}", value)
        for one in attempts
        for metric, value in (
            ("reach", float(_REACHES.index(one.reach))),
            ("connect_ms", one.connect_ms),
            ("answer_ms", one.answer_ms),
        )
        if value is not None
    ]


def rate_before(seconds: Sequence[Second], onset_ns: int, over: int = 5) -> float:
    """Answered operations per second of all generators, the mean of the last `over` seconds before a moment; 0: none.

    What was answered, not what was due: a load that comes back must not count on what never went out.
    """
    return _mean_before(seconds, onset_ns, over, lambda one: one.ok)


def bytes_before(seconds: Sequence[Second], onset_ns: int, over: int = 5) -> float:
    """Bytes per second, sent and received, likewise."""
    return _mean_before(seconds, onset_ns, over, lambda one: one.bytes_sent + one.bytes_received)


def _mean_before(seconds: Sequence[Second], onset_ns: int, over: int, of: Callable[[GeneratorSecond], float]) -> float:
    earlier = [one for one in seconds if one.at_ns <= onset_ns and not one.silent and one.generators][-over:]
    return sum(of(each) for one in earlier for each in one.generators.values()) / len(earlier) if earlier else 0.0
