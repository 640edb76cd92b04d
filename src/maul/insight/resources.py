"""Everything that can be full, how full it is, and at which rate it will be: the utilisation law.

A resource's utilisation grows with the throughput X (U = a + D * X; D is the demand of one operation).
The line is Theil and Sen's median of slopes, which one odd level cannot bend, followed to the cap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from maul.core.summary import Level
from maul.insight.gauges import MAUL, Gauge, Gauges
from maul.insight.spans import settled_ns

LEVELS_MIN = 3
"""A line through fewer levels is a guess."""
_CLIPPED = 0.98
"""A resource this full cannot rise with the load any more: the level tells nothing about its demand."""
_SLOPE_RISE_MIN = 0.02
"""Over the levels tried a utilisation must rise by this much to be said to depend on the load."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something with a capacity. Utilisation is the mean of `gauge` over `whole`; full from `cap` on."""

    kind: str  # as in Wall.kind
    host: str
    subject: str
    label: str  # for sentences
    gauge: Gauge
    cap: float
    whole: float = 1.0
    hint: bool = False  # pressure, not utilisation: taken for a wall only when nothing better is full


@dataclass(frozen=True, slots=True)
class Forecast:
    """The line of one resource over the throughput; it is full at `at_per_s` operations per second."""

    resource: Resource
    intercept: float
    slope: float
    at_per_s: float


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    probe: str
    metric: str
    cap: float
    label: str
    hint: bool = False


_RULES = (
    _Rule("disk", "disk", "busy_ratio", 0.9, "disk {subject} of host {host}"),
    _Rule("memory", "memory", "used_ratio", 0.95, "memory of host {host}"),
    _Rule("memory", "pressure", "memory_some_ratio", 0.2, "waiting for memory on host {host}", hint=True),
    _Rule("disk", "pressure", "io_full_ratio", 0.5, "waiting for disks on host {host}", hint=True),
)
CORE_CAP, PROCESS_CAP, LINK_CAP, GENERATOR_CAP = 0.85, 0.9, 0.9, 0.9
_LINK_METRICS = ("received_bytes_per_s", "sent_bytes_per_s")


def resources(
    gauges: Gauges, generator_cores: int = 1, link_bytes_per_s: Mapping[str, float] | None = None
) -> list[Resource]:
    """All that was measured and has a capacity. `link_bytes_per_s`: the capacity of network interfaces."""
    found = [
        Resource(r.kind, g.host, g.subject, _label(r.label, g), g, r.cap, hint=r.hint)
        for r in _RULES
        for g in gauges.find(r.probe, r.metric)
    ]
    found += [
        Resource("cpu", g.host, g.subject, _label("{subject} of host {host}", g), g, CORE_CAP) for g in cores(gauges)
    ]
    found += _processes(gauges, generator_cores)
    for metric in _LINK_METRICS:
        for g in gauges.find("network", metric):
            whole = (link_bytes_per_s or {}).get(g.subject, 0.0)
            if whole > 0:
                way = metric.partition("_")[0]
                label = _label(f"link {{subject}} ({way}) of host {{host}}", g)
                found.append(Resource("network", g.host, g.subject, label, g, LINK_CAP, whole))
    return found


def cores(gauges: Gauges, host: str | None = None) -> list[Gauge]:
    """The gauges of single cores (not of the sum of all)."""
    return [g for g in gauges.find("cpu", "busy_ratio") if g.subject.startswith("core") and host in (None, g.host)]


def _processes(gauges: Gauges, generator_cores: int) -> list[Resource]:
    """A process is full when all its threads are, or all cores of its host. 1.0 of its gauge is one core.

    Where its threads were not read, it is taken to have enough of them.
    """
    found: list[Resource] = []
    for g in gauges.find("process", "cpu_ratio"):
        if g.subject == MAUL:
            label, whole = "the load generator itself", float(generator_cores)
            found.append(Resource("generator", g.host, MAUL, label, g, GENERATOR_CAP, whole))
            continue
        threads = gauges.typical(Gauge(g.host, "process", "threads", g.subject))
        limits = [n for n in (threads, float(len(cores(gauges, g.host)))) if n]
        if limits:
            label = _label("{subject} on host {host}", g)
            found.append(Resource("process", g.host, g.subject, label, g, PROCESS_CAP, min(limits)))
    return found


def utilisation(gauges: Gauges, resource: Resource, level: Level) -> float | None:
    """How full it was in the settled part of a level; None when it was not read there."""
    mean = gauges.mean(resource.gauge, settled_ns(level.began_ns, level.ended_ns), level.ended_ns)
    return None if mean is None else mean / resource.whole


def forecasts(gauges: Gauges, found: Sequence[Resource], levels: Sequence[Level]) -> list[Forecast]:
    """The walls ahead, nearest first. Give levels up to the first bad one: beyond it the law is broken."""
    lines = (_forecast(gauges, resource, levels) for resource in found if not resource.hint)
    return sorted((line for line in lines if line is not None), key=lambda line: line.at_per_s)


def _forecast(gauges: Gauges, resource: Resource, levels: Sequence[Level]) -> Forecast | None:
    readings = [(level.achieved_per_s, utilisation(gauges, resource, level)) for level in levels]
    points = [(x, u) for x, u in readings if u is not None and u < _CLIPPED]
    slopes = [(u2 - u1) / (x2 - x1) for (x1, u1), (x2, u2) in combinations(points, 2) if x1 != x2]
    rates = {x for x, _ in points}
    if len(rates) < LEVELS_MIN:
        return None
    slope = float(np.median(slopes))
    if slope * (max(rates) - min(rates)) < _SLOPE_RISE_MIN:
        return None
    intercept = float(np.median([u - slope * x for x, u in points]))
    return Forecast(resource, intercept, slope, (resource.cap - intercept) / slope)


def _label(template: str, gauge: Gauge) -> str:
    return template.format(subject=gauge.subject, host=gauge.host)
