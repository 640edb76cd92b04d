"""When a step tells more of the generator than of the target: then it is void, whatever it shows.

Asked of every level and phase: did this machine run out of ports or descriptors, was it asked for more than four
fifths of what `maul calibrate` found, were its cores full, were its sends late by its own doing, did a hypervisor take
its time? A wait for a free connection is not among them: that is the target's slowness, and lateness is measured
without it (`schedule`, not `lag`).

Where the target runs on the same machine (a lab on loopback), a full machine is no excuse for it: both were late
because the machine is small, and that is a wall of the machine. Only what the generator itself took counts then.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maul.core.histogram import Histogram, LatencyKind
from maul.core.operation import ErrorClass, Outcome
from maul.core.summary import ErrorCount, PhaseSummary
from maul.insight.gauges import MAUL, Gauge, Gauges
from maul.insight.latency import LatencyBook, Select, percentile_ms
from maul.insight.spans import settled_ns
from maul.insight.words import show_count, show_ms, show_rate, show_ratio

LATE_MS_MIN = 1.0
"""Lateness below this changes no latency that S3 customers notice, however fast arrivals follow each other."""
LATE_INTERVAL_RATIO = 0.1
"""Of the time between two arrivals of a shard: less lateness leaves the arrival process as it was planned."""
CEILING_RATIO = 0.8
"""Of the calibrated ceiling: above it queues form in the generator (at 80 % use a queue of random arrivals holds 4)."""
BUSY_RATIO, FULL_RATIO, STEAL_RATIO = 0.9, 0.85, 0.02
HOG_RATIO = 0.5
"""Of the CPU used on a machine that the target shares: from here on the generator is what fills it."""


@dataclass(frozen=True, slots=True)
class GeneratorLimits:
    """What the generator has. `ceiling_per_s`: calibrated, of all shards, for the mix; None: not calibrated."""

    cores: int = 1  # that the engine's shards run on
    ceiling_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Signs:
    """What one step shows of the generator; None where nobody looked.

    `busy_cores`: its CPU, 1.0 is one core. `used_cores`: of all programs on its machine. `hottest`: the fullest core.
    `shared`: the target, or a part of it, runs on the same machine. `full`: all its cores are.
    """

    offered_per_s: float
    exhausted: int = 0
    late_p99_ms: float | None = None
    busy_cores: float | None = None
    used_cores: float | None = None
    hottest: tuple[str, float] | None = None
    steal_ratio: float | None = None
    shared: bool = False
    full: bool = False


def late_above_ms(offered_per_s: float, shards: int) -> float:
    """From which p99 on lateness counts: a tenth of the time between two arrivals of a shard, at least 1 ms.

    A tenth alone is what keeps the arrivals as planned. At high rates it would be microseconds, which no kernel
    promises and no customer of an object store notices; there the millisecond holds.

    >>> late_above_ms(20.0, 1), late_above_ms(20_000.0, 2)
    (5.0, 1.0)
    """
    return max(LATE_MS_MIN, LATE_INTERVAL_RATIO * 1000 * shards / offered_per_s) if offered_per_s > 0 else LATE_MS_MIN


def void_reasons(signs: Signs, limits: GeneratorLimits) -> list[str]:
    """Why the step is void, one sentence each; empty when it is not."""
    return [*_exhausted(signs), *_above_ceiling(signs, limits), *_hot(signs, limits), *_late(signs, limits)]


def _exhausted(signs: Signs) -> Iterator[str]:
    if signs.exhausted:
        yield (
            f"{show_count(signs.exhausted)} operations found no local port or descriptor left "
            "(ip_local_port_range, ulimit -n)"
        )


def _above_ceiling(signs: Signs, limits: GeneratorLimits) -> Iterator[str]:
    ceiling = limits.ceiling_per_s
    if ceiling is not None and signs.offered_per_s > CEILING_RATIO * ceiling:
        yield (
            f"{show_rate(signs.offered_per_s)} is above {show_ratio(CEILING_RATIO)} of what this generator can do by "
            f"its calibration ({show_rate(ceiling)})"
        )


def _hot(signs: Signs, limits: GeneratorLimits) -> Iterator[str]:
    its = "its core" if limits.cores == 1 else f"its {limits.cores} cores"
    if signs.busy_cores is not None and signs.busy_cores >= BUSY_RATIO * limits.cores:
        yield f"the load generator used {show_ratio(signs.busy_cores / limits.cores)} of {its}"
    elif signs.full and _hogs(signs) and signs.busy_cores is not None and signs.used_cores:
        yield (
            f"all cores of its machine were full, and {show_ratio(signs.busy_cores / signs.used_cores)} of that was "
            "the load generator: it took the machine from the target"
        )
    elif not signs.shared and signs.hottest is not None and signs.hottest[1] >= BUSY_RATIO:
        yield f"{signs.hottest[0]} of the generator's machine was {show_ratio(signs.hottest[1])} busy"


def _late(signs: Signs, limits: GeneratorLimits) -> Iterator[str]:
    """Stolen time is the same as lateness: it came from outside the target, or hit the target too."""
    if signs.shared and not _hogs(signs):
        return
    limit_ms = late_above_ms(signs.offered_per_s, limits.cores)
    if signs.late_p99_ms is not None and signs.late_p99_ms > limit_ms:
        yield (
            f"the load generator took up 1 % of its arrivals {show_ms(signs.late_p99_ms)} late or later "
            f"(at most {show_ms(limit_ms)} is in time)"
        )
    if signs.steal_ratio is not None and signs.steal_ratio > STEAL_RATIO:
        yield f"a hypervisor took {show_ratio(signs.steal_ratio)} of the generator machine's CPU time"


def _hogs(signs: Signs) -> bool:
    if signs.busy_cores is None or not signs.used_cores:
        return False
    return signs.busy_cores >= HOG_RATIO * signs.used_cores


def signs_between(
    gauges: Gauges, between_ns: tuple[int, int], offered_per_s: float, late: Histogram, exhausted: int
) -> Signs:
    """The signs of a stretch of time, from the samples of the settled part of it. `late`: SCHEDULE, of all arrivals."""
    start_ns, ended_ns = settled_ns(*between_ns), between_ns[1]

    def mean(gauge: Gauge) -> float | None:
        return gauges.mean(gauge, start_ns, ended_ns)

    processes = gauges.find("process", "cpu_ratio")
    own = next((g for g in processes if g.subject == MAUL), None)
    host = own.host if own is not None else _only_host(gauges)
    agents = gauges.find("agent", "cpu_ratio")
    cores = [g for g in gauges.find("cpu", "busy_ratio") if g.host == host and g.subject.startswith("core")]
    busy = [(g.subject, ratio) for g in cores if (ratio := mean(g)) is not None]
    shared = any(g.host == host and g.subject != MAUL for g in processes)
    busy_cores = mean(own) if own is not None else None
    if agents:  # a fleet makes the load; this process only conducts it
        busy_cores = sum(filter(None, map(mean, agents)))
        busy = busy if shared else []
    return Signs(
        offered_per_s=offered_per_s,
        exhausted=exhausted,
        late_p99_ms=percentile_ms(late, 99.0) if late.count else None,
        busy_cores=busy_cores,
        used_cores=sum(ratio for _, ratio in busy) if busy else None,
        hottest=max(busy, key=lambda one: one[1], default=None),
        steal_ratio=mean(Gauge(host, "cpu", "steal_ratio", "all")) if host is not None else None,
        full=bool(busy) and all(ratio >= FULL_RATIO for _, ratio in busy),
        shared=shared,
    )


def _only_host(gauges: Gauges) -> str | None:
    hosts = {g.host for g in gauges.find("cpu", "busy_ratio")}
    return hosts.pop() if len(hosts) == 1 else None


def void_phases(
    phases: Sequence[PhaseSummary],
    book: LatencyBook,
    gauges: Gauges,
    errors: Sequence[ErrorCount],
    limits: GeneratorLimits,
) -> dict[str, list[str]]:
    """The void ones of phases that hold one load, by name, with the reasons."""
    found = {phase.name: void_reasons(_signs_of(phase, book, gauges, errors), limits) for phase in phases}
    return {name: reasons for name, reasons in found.items() if reasons}


def _signs_of(phase: PhaseSummary, book: LatencyBook, gauges: Gauges, errors: Sequence[ErrorCount]) -> Signs:
    late = book.merged(LatencyKind.SCHEDULE, Select(phase=phase.name, outcomes=frozenset(Outcome)))
    wanted = (phase.name, ErrorClass.EXHAUSTED.name.lower())
    return signs_between(
        gauges,
        (phase.began_ns, phase.ended_ns),
        phase.offered / phase.duration_s if phase.duration_s > 0 else 0.0,
        late,
        sum(error.count for error in errors if (error.phase, error.error_class) == wanted),
    )
