"""Cross-checks of phases and load: names, profiles, order, ceilings."""

from collections.abc import Iterator, Sequence

from maul.campaign.model_limits import SHARDS_MAX, Limits, Load
from maul.campaign.model_phases import (
    AuditPhase,
    CleanUpPhase,
    LoadPhase,
    OncePhase,
    Phase,
    PreparePhase,
    TimedPhase,
)
from maul.campaign.model_workload import Workload
from maul.campaign.problems import Problem
from maul.campaign.yaml_source import KeyPath

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


def profiles_are_whole(phases: Phases) -> Iterator[Problem]:
    """Exactly one profile each: rate and for, or steps, or ramp."""
    for index, phase in enumerate(phases):
        if isinstance(phase, TimedPhase):
            path = ("phases", index)
            forms = [phase.rate_per_s is not None or phase.for_s is not None, bool(phase.ramp), bool(phase.steps)]
            if sum(forms) != 1:
                yield Problem(path, "give exactly one profile: rate and for, or ramp, or steps")
            elif forms[0] and (phase.rate_per_s is None or phase.for_s is None):
                given, lacking = ("rate", "for") if phase.for_s is None else ("for", "rate")
                yield Problem((*path, given), f'"{given}" needs "{lacking}" beside it; add it')
            if isinstance(phase, LoadPhase) and phase.until and not phase.steps:
                yield Problem((*path, "until"), '"until" judges levels and needs "steps"; drop it or use steps')


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


def reads_find_something(phases: Phases, workload: Workload) -> Iterator[Problem]:
    """GET and HEAD read the base key space, which only a prepare phase fills; after a clean-up it is empty again."""
    mix = workload.mix
    reading = [op for op in ("get", "head") if getattr(mix, op) > 0]
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
            written = written or bool(mix.put or mix.multipart)
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


def phases_are_within_limits(phases: Phases, load: Load, limits: Limits) -> Iterator[Problem]:
    """No phase is planned above a ceiling."""
    for index, phase in enumerate(phases):
        path: KeyPath = ("phases", index)
        if isinstance(phase, TimedPhase) and phase.peak_per_s > limits.rate_per_s:
            yield Problem(
                _peak_path(phase, path),
                f"peaks at {phase.peak_per_s:g}/s, above limits.rate ({limits.rate_per_s:g}/s); "
                "lower one or raise the other",
            )
        ceiling = min(load.connections, limits.in_flight)
        if isinstance(phase, OncePhase) and phase.concurrency > ceiling:
            yield Problem(
                (*path, "concurrency"),
                f"{phase.concurrency} requests in flight exceed the smaller of load.connections ({load.connections}) "
                f"and limits.in_flight ({limits.in_flight}); lower it",
            )


def _peak_path(phase: TimedPhase, path: KeyPath) -> KeyPath:
    if phase.steps:
        return (*path, "steps", "to")
    if phase.ramp:
        return (*path, "ramp", "to" if phase.ramp.to_per_s >= phase.ramp.from_per_s else "from")
    return (*path, "rate")
