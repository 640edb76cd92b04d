"""Cross-checks of phases and load: names, profiles, order, ceilings."""

from collections.abc import Iterator, Sequence

from maul.campaign.model_limits import SHARDS_MAX, Limits, Load
from maul.campaign.model_mix import READS_OF_BASE, WRITES
from maul.campaign.model_phases import (
    AuditPhase,
    CleanUpPhase,
    LoadPhase,
    OncePhase,
    Phase,
    PreparePhase,
    TimedPhase,
)
from maul.campaign.model_requests import Requests
from maul.campaign.model_target import Target
from maul.campaign.model_tenants import Tenant
from maul.campaign.model_workload import Workload
from maul.campaign.parties import parties_of
from maul.campaign.problems import Problem
from maul.campaign.yaml_source import KeyPath
from maul.core.units import show_duration

Phases = Sequence[Phase]


def repeated_names(section: str, items: Sequence[object]) -> Iterator[Problem]:
    """Names that stand twice in one list."""
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        name = str(getattr(item, "name", ""))
        if name in seen:
            yield Problem(
                (section, index, "name"), f'"{name}" is already the name of {section}[{seen[name]}]; rename one'
            )
        seen.setdefault(name, index)


def phase_names_are_unique(phases: Phases) -> Iterator[Problem]:
    """Faults and objectives name phases."""
    return repeated_names("phases", phases)


_FORMS = ("ramp", "steps", "spike", "sine", "closed", "trace")


def profiles_are_whole(phases: Phases) -> Iterator[Problem]:
    """Exactly one profile each: rate and for, or one of the others."""
    for index, phase in enumerate(phases):
        if not isinstance(phase, TimedPhase):
            continue
        path = ("phases", index)
        given = [form for form in _FORMS if getattr(phase, form) is not None]
        constant = phase.rate_per_s is not None or phase.for_s is not None
        if len(given) + constant != 1:
            yield Problem(path, f"give exactly one profile: rate and for, or {', '.join(_FORMS[:-1])} or {_FORMS[-1]}")
        elif constant and (phase.rate_per_s is None or phase.for_s is None):
            there, lacking = ("rate", "for") if phase.for_s is None else ("for", "rate")
            yield Problem((*path, there), f'"{there}" needs "{lacking}" beside it; add it')
        if isinstance(phase, LoadPhase) and phase.until and not phase.steps:
            yield Problem((*path, "until"), '"until" judges levels and needs "steps"; drop it or use steps')
        for form in ("closed", "trace"):
            if form in given and phase.arrivals != "even":
                says = f'"arrivals" shapes a rate, and "{form}" has none; drop it'
                yield Problem((*path, "arrivals"), says)


def spikes_and_waves_fit(phases: Phases) -> Iterator[Problem]:
    """A peak lies inside its phase and is one; a rate never swings below nothing."""
    for index, phase in enumerate(phases):
        if not isinstance(phase, TimedPhase):
            continue
        if (spike := phase.spike) is not None:
            path: KeyPath = ("phases", index, "spike")
            if spike.at_s + spike.for_s > spike.total_s:
                yield Problem(
                    (*path, "total"),
                    f"the peak ends after {show_duration(spike.at_s + spike.for_s)} (at {show_duration(spike.at_s)} + "
                    f"for {show_duration(spike.for_s)}), and the phase lasts {show_duration(spike.total_s)}; raise it",
                )
            if spike.peak_per_s <= spike.base_per_s:
                yield Problem(
                    (*path, "peak"),
                    f"a peak of {spike.peak_per_s:g}/s does not rise above the base ({spike.base_per_s:g}/s); raise it",
                )
        if (sine := phase.sine) is not None and sine.amplitude_per_s > sine.mean_per_s:
            yield Problem(
                ("phases", index, "sine", "amplitude"),
                f"swings by {sine.amplitude_per_s:g}/s around {sine.mean_per_s:g}/s, which is below 0; lower it",
            )


def steps_rise(phases: Phases) -> Iterator[Problem]:
    """A search for the capacity goes upward and can come to its end."""
    for index, phase in enumerate(phases):
        if not isinstance(phase, TimedPhase) or phase.steps is None:
            continue
        steps, path = phase.steps, ("phases", index, "steps")
        if steps.from_per_s > steps.to_per_s:
            yield Problem(
                (*path, "from"),
                f"steps rise: from ({steps.from_per_s:g}/s) is above to ({steps.to_per_s:g}/s); swap them",
            )
        if steps.count == 1 and steps.from_per_s != steps.to_per_s:
            yield Problem((*path, "count"), "one step cannot go from one rate to another; use 2 or more")
        if isinstance(phase, LoadPhase) and phase.until and phase.until.levels > steps.count:
            yield Problem(
                ("phases", index, "until", "levels"),
                f"{phase.until.levels} levels in a row cannot give way when there are {steps.count}",
            )


def reads_find_something(
    phases: Phases, workload: Workload, requests: Requests, target: Target, tenants: Sequence[Tenant]
) -> Iterator[Problem]:
    """Whatever reads the base key space needs a prepare phase, which fills it; after a clean-up it is empty again."""
    parties = parties_of(workload, requests, target, tenants)
    mixes = [party.workload.mix.by_op() for party in parties]
    reading = [op for op in (*READS_OF_BASE, "get_part") if any(op in mix for mix in mixes)]
    writing = any(op in mix for op in WRITES for mix in mixes)
    filled = cleaned = written = False
    for index, phase in enumerate(phases):
        path: KeyPath = ("phases", index)
        if isinstance(phase, PreparePhase):
            filled, cleaned, written = True, False, True
        elif isinstance(phase, TimedPhase):
            if reading and not filled:
                why = "a clean-up emptied it" if cleaned else "no prepare phase comes before"
                yield Problem(
                    path,
                    f'"{phase.name}" would {" and ".join(reading)} objects of an empty key space: {why}; '
                    "add a phase of kind prepare before it",
                )
            written = written or writing
        elif isinstance(phase, AuditPhase) and not written:
            yield Problem(path, f'"{phase.name}" has nothing to audit: nothing was written before it; move it')
        elif isinstance(phase, CleanUpPhase):
            filled, cleaned, written = False, True, False


def load_is_possible(load: Load) -> Iterator[Problem]:
    """Shards share the connections."""
    if load.shards != "auto" and not 1 <= load.shards <= min(SHARDS_MAX, load.connections, load.in_flight):
        yield Problem(
            ("load", "shards"),
            f"{load.shards} shards need as many connections and requests in flight; give from 1 to "
            f"{min(SHARDS_MAX, load.connections, load.in_flight)}",
        )


def load_is_within_limits(load: Load, limits: Limits) -> Iterator[Problem]:
    """What the generator may do stays under the ceiling."""
    if load.in_flight > limits.in_flight:
        yield Problem(
            ("load", "in_flight"),
            f"{load.in_flight} in flight exceed limits.in_flight ({limits.in_flight}); lower one or raise the other",
        )


def phases_are_within_limits(
    phases: Phases, load: Load, limits: Limits, tenants: Sequence[Tenant]
) -> Iterator[Problem]:
    """No phase is planned above a ceiling."""
    room = min(load.connections, limits.in_flight)
    words = f"the smaller of load.connections ({load.connections}) and limits.in_flight ({limits.in_flight})"
    for index, phase in enumerate(phases):
        path: KeyPath = ("phases", index)
        if isinstance(phase, TimedPhase):
            yield from _rate_is_within(phase, path, limits, tenants)
            if phase.closed is not None and phase.closed.clients > room:
                says = f"{phase.closed.clients} clients exceed {words}; lower it"
                yield Problem((*path, "closed", "clients"), says)
            if phase.closed is not None and phase.closed.clients < len(tenants):
                says = f"{phase.closed.clients} clients for {len(tenants)} tenants; give each at least one"
                yield Problem((*path, "closed", "clients"), says)
        if isinstance(phase, OncePhase) and phase.concurrency > room:
            yield Problem((*path, "concurrency"), f"{phase.concurrency} requests in flight exceed {words}; lower it")


def _rate_is_within(phase: TimedPhase, path: KeyPath, limits: Limits, tenants: Sequence[Tenant]) -> Iterator[Problem]:
    own = {tenant.name: tenant.rates[phase.name] for tenant in tenants if phase.name in tenant.rates}
    total = phase.peak_per_s + sum(own.values())
    if total > limits.rate_per_s:
        terms = "".join(f" + {rate:g}/s of {name}" for name, rate in own.items())
        says = f"{phase.peak_per_s:g}/s{terms} = {total:g}/s" if own else f"{total:g}/s"
        yield Problem(
            _peak_path(phase, path),
            f"peaks at {says}, above limits.rate ({limits.rate_per_s:g}/s); lower one or raise the other",
        )


def _peak_path(phase: TimedPhase, path: KeyPath) -> KeyPath:
    if phase.steps:
        return (*path, "steps", "to")
    if phase.ramp:
        return (*path, "ramp", "to" if phase.ramp.to_per_s >= phase.ramp.from_per_s else "from")
    if phase.spike:
        return (*path, "spike", "peak")
    if phase.sine:
        return (*path, "sine", "amplitude")
    return (*path, "rate")
