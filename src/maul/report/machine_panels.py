"""Charts of what the machines and the services said of themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

from maul.report import colours
from maul.report.panels import Line, Panel
from maul.report.readings import Curve, Readings

SUBJECTS_MAX = 10
MIB = 2.0**20
SERVICE_PROBES = frozenset({"balancer", "store"})


@dataclass(frozen=True)
class Source:
    """One metric of a probe in a chart. `label` has `{}` where the subject goes."""

    metric: str
    label: str = "{}"
    dash: str = "solid"


@dataclass(frozen=True)
class Spec:
    """One chart over the metrics of one probe; `scale` turns the metric's unit into the chart's."""

    key: str
    title: str
    unit: str
    probe: str
    sources: tuple[Source, ...]
    scale: float = 1.0
    full_scale: float | None = None
    note: str = ""
    only: Callable[[Curve], bool] = lambda _: True
    subjects_max: int = SUBJECTS_MAX
    total: Callable[[str], str] | None = None  # adds up the subjects that it gives one name
    colour_by_subject: bool = False  # one subject keeps its colour over several metrics, which differ in dash


def _core(curve: Curve) -> bool:
    return not curve.subject.endswith("all")


def _whole(curve: Curve) -> bool:
    return curve.subject.endswith("all")


def _interface(curve: Curve) -> bool:
    return not curve.subject.endswith("tcp")


def _server(curve: Curve) -> bool:
    return not _sum(curve)


def _sum(curve: Curve) -> bool:
    return curve.subject.endswith(("/BACKEND", "/FRONTEND"))


def _backend(subject: str) -> str:
    return subject.rpartition("/")[0]


SPECS = (
    Spec(
        "cpu",
        "CPU per core",
        "% busy",
        "cpu",
        (Source("busy_ratio"),),
        100.0,
        100.0,
        only=_core,
        subjects_max=12,
    ),
    Spec("process-cpu", "CPU per process", "% of one core", "process", (Source("cpu_ratio"),), 100.0),
    Spec(
        "disk-latency",
        "Disk latency",
        "ms per request",
        "disk",
        (Source("await_ms"),),
        note="no point where nothing was asked of it",
    ),
    Spec("disk-busy", "Disk busy", "%", "disk", (Source("busy_ratio"),), 100.0, 100.0),
    Spec(
        "disk-throughput",
        "Disk throughput",
        "MiB/s",
        "disk",
        (Source("write_bytes_per_s", "{} write"), Source("read_bytes_per_s", "{} read", "dashed")),
        1 / MIB,
        subjects_max=6,
        colour_by_subject=True,
    ),
    Spec("memory", "Memory used", "% of RAM", "memory", (Source("used_ratio", "used {}"),), 100.0, 100.0),
    Spec("process-memory", "Memory per process", "MiB resident", "process", (Source("rss_bytes"),), 1 / MIB),
    Spec(
        "pressure",
        "Pressure stalls",
        "% of the time",
        "pressure",
        (
            Source("cpu_some_ratio", "{} CPU, some waited"),
            Source("io_some_ratio", "{} disk, some waited"),
            Source("io_full_ratio", "{} disk, all waited", "dashed"),
            Source("memory_some_ratio", "{} memory, some waited"),
            Source("memory_full_ratio", "{} memory, all waited", "dashed"),
        ),
        100.0,
        note="share of the time in which tasks stood still for want of it (PSI)",
    ),
    Spec(
        "network",
        "Network",
        "MiB/s",
        "network",
        (Source("sent_bytes_per_s", "{} sent"), Source("received_bytes_per_s", "{} received", "dashed")),
        1 / MIB,
        only=_interface,
        subjects_max=6,
        colour_by_subject=True,
    ),
    Spec(
        "tcp",
        "TCP trouble",
        "per second",
        "network",
        (
            Source("retransmits_per_s", "retransmitted segments"),
            Source("listen_drops_per_s", "dropped connection attempts"),
            Source("listen_overflows_per_s", "of these: accept queue full", "dashed"),
        ),
        full_scale=1.0,
    ),
    Spec(
        "balancer-requests",
        "Balancer: requests by server",
        "per second",
        "balancer",
        (Source("requests_per_s"),),
        only=_server,
    ),
    Spec(
        "balancer-queue",
        "Balancer: sessions and queue",
        "requests",
        "balancer",
        (Source("sessions", "{} sessions"), Source("queue", "{} waiting", "dashed")),
        full_scale=1.0,
        only=_sum,
        colour_by_subject=True,
    ),
    Spec(
        "balancer-up",
        "Balancer: servers up",
        "servers",
        "balancer",
        (Source("up"),),
        only=_server,
        total=_backend,
    ),
    Spec(
        "balancer-5xx",
        "Balancer: 5xx answers",
        "per second",
        "balancer",
        (Source("http_5xx_per_s"),),
        full_scale=1.0,
        only=_sum,
    ),
    Spec(
        "gateway-time",
        "Gateways: mean time to answer",
        "ms",
        "store",
        (Source("put_ms", "{} PUT"), Source("get_ms", "{} GET", "dashed")),
        colour_by_subject=True,
    ),
    Spec(
        "volume-time",
        "Volume servers: mean time to write",
        "ms",
        "store",
        (Source("write_ms", "{} write"), Source("disk_write_ms", "{} of it disk", "dashed")),
        colour_by_subject=True,
    ),
    Spec(
        "generator-load",
        "Generator: operations in flight, and due but waiting",
        "operations",
        "generator",
        (Source("in_flight", "in flight"), Source("backlog", "waiting to be sent", "dashed")),
        full_scale=1.0,
    ),
    Spec("in-flight", "Store: requests in flight", "requests", "store", (Source("in_flight"),), full_scale=1.0),
    Spec(
        "replication",
        "Store: volumes in trouble",
        "volumes",
        "store",
        (
            Source("under_replicated_volumes", "{} under-replicated"),
            Source("read_only_volumes", "{} read-only", "dashed"),
        ),
        full_scale=1.0,
        colour_by_subject=True,
    ),
)


def machine_panels(readings: Readings) -> list[Panel]:
    """Every chart of `SPECS`; one that has no samples says so."""
    return [_panel(spec, readings).settled() for spec in SPECS]


def _panel(spec: Spec, readings: Readings) -> Panel:
    group = "Services" if spec.probe in SERVICE_PROBES else "Machines"
    panel = Panel(spec.key, spec.title, spec.unit, note=spec.note, full_scale=spec.full_scale, group=group)
    lines: list[Line] = []
    hidden = 0
    palette = cycle(colours.SERIES)
    colour_of: dict[str, str] = {}
    for source in spec.sources:
        curves = [curve for curve in readings.curves(spec.probe, source.metric) if spec.only(curve) and _seen(curve)]
        if spec.total:
            curves = _totals(curves, spec.total)
        shown = _busiest(curves, spec.subjects_max)
        hidden = max(hidden, len(curves) - len(shown))
        for curve in shown:
            owner = curve.subject if spec.colour_by_subject else f"{source.metric} {curve.subject}"
            if owner not in colour_of:
                colour_of[owner] = next(palette)
            label = source.label.replace("{}", curve.subject).strip()
            lines.append(Line(label, colour_of[owner], curve.values * spec.scale, source.dash))
    if spec.key == "cpu":
        lines += _iowait(readings)
    if not lines:
        return replace(panel, instead=f"no samples: the probe “{spec.probe}” gave none of this")
    note = "; ".join(
        filter(None, (spec.note, f"the {spec.subjects_max} busiest; {hidden} more not shown" if hidden else ""))
    )
    return replace(panel, lines=tuple(lines), note=note)


def _iowait(readings: Readings) -> list[Line]:
    curves = [curve for curve in readings.curves("cpu", "iowait_ratio") if _whole(curve)]
    return [
        Line(
            f"iowait, {curve.subject}".replace(", all", ", all cores"),
            colours.BLACK,
            curve.values * 100,
            "dashed",
        )
        for curve in curves[:4]
    ]


def _totals(curves: Sequence[Curve], name: Callable[[str], str]) -> list[Curve]:
    """Sums by name; where one part was not read, the sum is not known either."""
    sums: dict[str, Curve] = {}
    for curve in curves:
        known = sums.get(name(curve.subject))
        values = curve.values if known is None else known.values + curve.values
        sums[name(curve.subject)] = Curve(name(curve.subject), values)
    return list(sums.values())


def _seen(curve: Curve) -> bool:
    return bool((curve.values == curve.values).any())  # NaN is not equal to itself


def _busiest(curves: Sequence[Curve], number: int) -> list[Curve]:
    chosen = {curve.subject for curve in sorted(curves, key=lambda curve: -curve.mean)[:number]}
    return [curve for curve in curves if curve.subject in chosen]
