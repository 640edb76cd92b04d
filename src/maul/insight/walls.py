"""What gave: how full everything was at the first bad level, against the last good one.

Order of suspicion: the generator itself; then what *became* full between the two levels, first the one whose
trend meets its cap at the lowest rate; then what was full all along; then signs of waiting. When nothing
measured was full, the wall says so and names what was not measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maul.core.summary import Level, Wall
from maul.insight.gauges import MAUL, Gauge, Gauges
from maul.insight.resources import Forecast, Resource, cores, forecasts, resources, utilisation
from maul.insight.spans import settled_ns
from maul.insight.words import listed, show_ms, show_rate, show_ratio

GENERATOR_HOG_RATIO = 0.5
"""Of the CPU used on a full host: from here on the generator is what fills it."""
AWAIT_GROWTH_MIN = 1.5
"""A disk that is always busy but whose waits do not grow serves in parallel: it is not full."""
_CONSUMERS_SHOWN_MAX, _CONSUMER_RATIO_MIN = 3, 0.03
_OTHERS_RATIO_MIN, _NOT_ALONE_RATIO = 0.15, 0.3  # of the host; the kernel's own work is a little of it
_EVIDENCE_MAX = 10
_TELLING_RATIO = 0.5  # of its cap: what is emptier is no evidence
_UNMEASURED = "a queue, a lock or a limit inside the target, or something that is not measured"
_NEEDED_KINDS = {"cpu": "cpu", "disk": "disk", "memory": "memory"}


@dataclass(frozen=True, slots=True)
class _Reading:
    """One resource at the two levels."""

    resource: Resource
    bad: float
    good: float | None

    @property
    def full(self) -> bool:
        return self.bad >= self.resource.cap

    @property
    def became_full(self) -> bool:
        return self.full and (self.good is None or self.good < self.resource.cap)


@dataclass(frozen=True, slots=True)
class _Scene:
    """All that attribution looks at."""

    gauges: Gauges
    readings: Sequence[_Reading]
    ahead: Sequence[Forecast]
    good: Level | None
    bad: Level
    quiet: Level | None  # the good level of the lowest rate

    def mean(self, gauge: Gauge, level: Level | None) -> float | None:
        if level is None:
            return None
        return self.gauges.mean(gauge, settled_ns(level.began_ns, level.ended_ns), level.ended_ns)

    def on(self, host: str, kind: str) -> list[_Reading]:
        return [r for r in self.readings if r.resource.host == host and r.resource.kind == kind]


def attribute_wall(
    gauges: Gauges,
    levels: Sequence[Level],
    good: Level | None,
    bad: Level,
    *,
    generator_cores: int = 1,
    link_bytes_per_s: Mapping[str, float] | None = None,
) -> Wall:
    """What gave at `bad`, in one sentence with its evidence. Kind `none`: nothing that was read was full."""
    scene = _scene(gauges, levels, good, bad, resources(gauges, generator_cores, link_bytes_per_s))
    evidence = _evidence(scene)
    hog = _hog(scene)
    if hog is not None:
        return hog.model_copy(update={"evidence": evidence})
    suspect = _suspect(scene)
    if suspect is None:
        return _nothing_full(scene, evidence)
    kind, subject, says = _tell(scene, suspect)
    return Wall(kind=kind, subject=subject, utilisation=suspect.bad, says=says, evidence=evidence)


def generator_wall(gauges: Gauges, void: Level, generator_cores: int = 1) -> Wall:
    """The wall of a level that was void because of the generator."""
    scene = _scene(gauges, [], None, void, resources(gauges, generator_cores))
    return _generator(scene).model_copy(update={"evidence": _evidence(scene)})


def _scene(
    gauges: Gauges, levels: Sequence[Level], good: Level | None, bad: Level, found: Sequence[Resource]
) -> _Scene:
    readings: list[_Reading] = []
    for resource in found:
        at_bad = utilisation(gauges, resource, bad)
        if at_bad is not None:
            at_good = utilisation(gauges, resource, good) if good is not None else None
            readings.append(_Reading(resource, at_bad, at_good))
    before = [v for v in levels if v.offered_per_s <= bad.offered_per_s and not v.generator_bound]
    quiet = min((v for v in before if v.meets), key=lambda v: v.offered_per_s, default=good)
    return _Scene(gauges, readings, forecasts(gauges, found, before), good, bad, quiet)


# ---------------------------------------------------------------- the generator


def _hog(scene: _Scene) -> Wall | None:
    """A wall of kind `generator` when it, and not the target, is what filled the machine."""
    if scene.bad.generator_bound:
        return _generator(scene)
    for maul in (r for r in scene.readings if r.resource.kind == "generator"):
        all_cores = scene.on(maul.resource.host, "cpu")
        used = sum(r.bad for r in all_cores)
        its = maul.bad * maul.resource.whole
        if all_cores and all(r.full for r in all_cores) and its >= used * GENERATOR_HOG_RATIO:
            says = (
                f"{_all_busy(all_cores)}, and {show_ratio(its / used)} of that was the load generator: "
                "it took the machine from the target"
            )
            return Wall(kind="generator", subject=MAUL, utilisation=maul.bad, says=says)
    return None


def _generator(scene: _Scene) -> Wall:
    its = next((r for r in scene.readings if r.resource.kind == "generator"), None)
    used = its.bad if its is not None else 0.0
    says = f"{'; '.join(scene.bad.void)}: that was the generator's limit, not the target's"
    return Wall(kind="generator", subject=MAUL, utilisation=used, says=says)


# ---------------------------------------------------------------- the target


def _suspect(scene: _Scene) -> _Reading | None:
    full = [r for r in scene.readings if r.full and r.resource.kind != "generator"]
    solid = [r for r in full if not r.resource.hint and not _only_busy(scene, r)]
    hints = [r for r in full if r.resource.hint]
    chosen = [r for r in solid if r.became_full] or solid or [r for r in hints if r.became_full] or hints
    if not chosen:
        return None
    at_per_s = {line.resource: line.at_per_s for line in scene.ahead}

    def nearest(r: _Reading) -> tuple[float, float]:
        return at_per_s.get(r.resource, float("inf")), -r.bad / r.resource.cap

    first = min(chosen, key=nearest)
    host_cores = scene.on(first.resource.host, "cpu")
    all_full = bool(host_cores) and all(r.full for r in host_cores)
    # Where all cores are full, a full process is full because of them; where some are idle, a full core is
    # full because of a process that cannot use more.
    wanted = "cpu" if all_full else "process"
    if first.resource.kind in ("cpu", "process") and first.resource.kind != wanted:
        same = [r for r in chosen if r.resource.host == first.resource.host and r.resource.kind == wanted]
        return min(same, key=nearest, default=first)
    return first


def _only_busy(scene: _Scene, reading: _Reading) -> bool:
    if reading.resource.kind != "disk":
        return False
    quiet, bad = _waits(scene, reading.resource)
    return quiet is not None and bad is not None and bad < quiet * AWAIT_GROWTH_MIN


def _waits(scene: _Scene, disk: Resource) -> tuple[float | None, float | None]:
    """How long a request to it took: (in the level of the lowest rate, in the bad one)."""
    gauge = Gauge(disk.host, "disk", "await_ms", disk.subject)
    return scene.mean(gauge, scene.quiet), scene.mean(gauge, scene.bad)


def _tell(scene: _Scene, suspect: _Reading) -> tuple[str, str, str]:
    """(kind, subject, says) of a wall."""
    resource, host = suspect.resource, suspect.resource.host
    how_full = show_ratio(suspect.bad)
    before = "" if suspect.became_full or suspect.good is None else "; it was so at the good level already"
    if resource.kind == "cpu":
        return _tell_cpu(scene, suspect, before)
    if resource.kind == "process":
        threads = "its one thread" if resource.whole == 1 else f"its {resource.whole:.0f} threads"
        return "process", resource.subject, f"{resource.label} used {how_full} of what {threads} can{before}"
    if resource.hint:
        return resource.kind, f"host {host}", f"{resource.label} took {how_full} of the time{before}"
    if resource.kind == "disk":
        quiet, bad = _waits(scene, resource)
        waits = f", a request to it took {show_ms(bad)}" if bad is not None else ""
        if quiet is not None and bad is not None and scene.quiet is not None:
            waits += f" ({show_ms(quiet)} at {show_rate(scene.quiet.offered_per_s)})"
        return "disk", resource.subject, f"{resource.label} was {how_full} busy{waits}{before}"
    subject = resource.subject or f"host {host}"
    return resource.kind, subject, f"{resource.label} was {how_full} full{before}"


def _tell_cpu(scene: _Scene, suspect: _Reading, before: str) -> tuple[str, str, str]:
    host = suspect.resource.host
    host_cores = scene.on(host, "cpu")
    full = [r for r in host_cores if r.full]
    rest = [r.bad for r in host_cores if not r.full]
    users = _consumers(scene, host)
    if rest:
        were = "was" if len(full) == 1 else "were"
        others = f"the other {len(rest)}" if len(rest) > 1 else "the other"
        busy = f"{listed(r.resource.subject for r in full)} of host {host} {were} {_mean_busy(full)} busy"
        idle = f"{others} only {show_ratio(sum(rest) / len(rest))}: something cannot use more than that"
        return "cpu", f"{suspect.resource.subject} of host {host}", f"{busy}, {idle}{before}{users}"
    return "cpu", f"host {host}", f"{_all_busy(full)}{before}{users}"


def _mean_busy(readings: Sequence[_Reading]) -> str:
    return show_ratio(sum(r.bad for r in readings) / len(readings))


def _all_busy(host_cores: Sequence[_Reading]) -> str:
    count = len(host_cores)
    which = {1: "the only core", 2: "both cores"}.get(count, f"all {count} cores")
    were = "was" if count == 1 else "were"
    return f"{which} of host {host_cores[0].resource.host} {were} {_mean_busy(host_cores)} busy"


def _consumers(scene: _Scene, host: str) -> str:
    """Who used the cores, in shares of the whole host."""
    whole = len(cores(scene.gauges, host)) or 1
    means = {
        g.subject: mean / whole
        for g in scene.gauges.find("process", "cpu_ratio")
        if g.host == host and (mean := scene.mean(g, scene.bad)) is not None
    }
    maul = means.pop(MAUL, None)
    largest = sorted(means.items(), key=lambda item: -item[1])[:_CONSUMERS_SHOWN_MAX]
    shown = [f"{name} {show_ratio(share)}" for name, share in largest if share >= _CONSUMER_RATIO_MIN]
    if maul is not None:
        shown.append(f"the load generator itself {show_ratio(maul)}")
    if not means and maul is None:
        return "; which processes used them was not read"
    others = (sum(r.bad for r in scene.on(host, "cpu")) / whole) - sum(means.values()) - (maul or 0.0)
    if others >= _OTHERS_RATIO_MIN:
        shown.append(f"processes that are not part of this test {show_ratio(others)}")
    alone = "" if others < _NOT_ALONE_RATIO else ": the machine was not free for it"
    return f"; the largest consumers were {', '.join(shown)}{alone}" if shown else "; no process used much of it"


def _nothing_full(scene: _Scene, evidence: list[str]) -> Wall:
    seen = {r.resource.kind for r in scene.readings}
    unread = [name for kind, name in _NEEDED_KINDS.items() if kind not in seen]
    fullest = _fullest([r for r in scene.readings if not r.resource.hint], per_kind=1)
    if not fullest:
        says = "what gave is not known: no probe read anything in that level"
        return Wall(kind="none", subject="", utilisation=0.0, says=says, evidence=evidence)
    shown = listed(f"{r.resource.label} {show_ratio(r.bad)}" for r in fullest[:3])
    if unread:
        blind = f"{listed(unread)} {'were' if len(unread) > 1 else 'was'} not read in that level"
        says = f"what gave is not known: {blind}; the fullest of the rest: {shown}"
    else:
        queue = _balancer_queues(scene)
        cause = queue[0] if queue else _UNMEASURED
        says = f"nothing that was measured was full (the fullest: {shown}); what is left is {cause}"
    return Wall(kind="none", subject="", utilisation=fullest[0].bad, says=says, evidence=evidence)


def _fullest(readings: Sequence[_Reading], per_kind: int) -> list[_Reading]:
    """The nearest to their caps first; of many alike (the cores of a host) only some."""
    chosen: list[_Reading] = []
    for reading in sorted(readings, key=lambda r: r.bad / r.resource.cap, reverse=True):
        if sum(r.resource.kind == reading.resource.kind for r in chosen) < per_kind:
            chosen.append(reading)
    return chosen


# ---------------------------------------------------------------- evidence


def _evidence(scene: _Scene) -> list[str]:
    """Figures behind the sentence, the most telling first."""
    bad_rate = show_rate(scene.bad.offered_per_s)
    lines: list[str] = []
    telling = [r for r in scene.readings if r.bad >= r.resource.cap * _TELLING_RATIO]
    for r in _fullest(telling, per_kind=2)[:5]:
        good = ""
        if r.good is not None and scene.good is not None:
            good = f"{show_ratio(r.good)} at {show_rate(scene.good.offered_per_s)}, "
        lines.append(f"{r.resource.label}: {good}{show_ratio(r.bad)} at {bad_rate}")
    lines += _disk_waits(scene) + _cpu_signs(scene) + _balancer_queues(scene) + _retransmits(scene) + _trends(scene)
    return lines[:_EVIDENCE_MAX]


def _disk_waits(scene: _Scene) -> list[str]:
    disks = [r.resource for r in scene.readings if r.resource.kind == "disk" and not r.resource.hint]
    waits = [(disk, *_waits(scene, disk)) for disk in disks]
    return [
        f"{disk.label}: a request took {show_ms(quiet)} at the lowest rate, {show_ms(bad)} at this one"
        for disk, quiet, bad in waits
        if quiet is not None and bad is not None and bad >= quiet * AWAIT_GROWTH_MIN
    ]


def _cpu_signs(scene: _Scene) -> list[str]:
    signs = {"steal_ratio": ("taken by other guests of the hypervisor", 0.02),
             "iowait_ratio": ("idle while waiting for disks", 0.1),
             "softirq_ratio": ("spent on network interrupts", 0.15)}  # fmt: skip
    lines: list[str] = []
    for metric, (what, least) in signs.items():
        for gauge in scene.gauges.find("cpu", metric, "all"):
            mean = scene.mean(gauge, scene.bad)
            if mean is not None and mean >= least:
                lines.append(f"host {gauge.host}: {show_ratio(mean)} of its CPU time was {what}")
    return lines


def _balancer_queues(scene: _Scene) -> list[str]:
    means = [(g, scene.mean(g, scene.bad)) for g in scene.gauges.find("balancer", "queue")]
    return [f"{mean:.3g} requests queued in the balancer at {g.subject}" for g, mean in means if mean and mean >= 1]


def _retransmits(scene: _Scene) -> list[str]:
    means = [(g, scene.mean(g, scene.bad)) for g in scene.gauges.find("network", "retransmits_per_s")]
    return [
        f"{mean:.3g} TCP segments per second sent again on host {g.host}" for g, mean in means if mean and mean >= 1
    ]


def _trends(scene: _Scene) -> list[str]:
    """The next walls, as far as the levels tried can tell: not beyond twice their rate."""
    rate = scene.bad.offered_per_s
    full = {r.resource for r in scene.readings if r.full}
    near = [line for line in scene.ahead if rate < line.at_per_s <= 2 * rate and line.resource not in full]
    return [
        f"by its trend {r.label} is full ({show_ratio(r.cap)}) at {show_rate(line.at_per_s)}"
        for line in near[:3]
        for r in (line.resource,)
    ]
