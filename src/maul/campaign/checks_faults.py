"""Cross-checks of faults, objectives and checks against the phases that they speak of."""

from collections.abc import Iterator, Sequence

from maul.campaign.checks_phases import Phases, repeated_names
from maul.campaign.model_faults import Fault
from maul.campaign.model_judgement import Objective
from maul.campaign.model_phases import TimedPhase
from maul.campaign.part import did_you_mean
from maul.campaign.problems import Problem
from maul.core.units import show_duration


def fault_names_are_unique(faults: Sequence[Fault]) -> Iterator[Problem]:
    """Events and reports tell faults apart by name."""
    return repeated_names("faults", faults)


def faults_name_one_service(faults: Sequence[Fault]) -> Iterator[Problem]:
    """Either a role (and which of them), or a service by name."""
    for index, fault in enumerate(faults):
        if (fault.role is None) == (fault.service is None):
            yield Problem(("faults", index), "say what to hurt: either role (with pick), or service")


def faults_fit_their_phase(faults: Sequence[Fault], phases: Phases) -> Iterator[Problem]:
    """A fault lies whole inside a timed phase."""
    by_name = {phase.name: phase for phase in phases}
    timed = [phase.name for phase in phases if isinstance(phase, TimedPhase)]
    for index, fault in enumerate(faults):
        phase, path = by_name.get(fault.phase), ("faults", index)
        if phase is None:
            yield Problem((*path, "phase"), f'no phase is named "{fault.phase}" ({did_you_mean(fault.phase, timed)})')
        elif not isinstance(phase, TimedPhase):
            yield Problem(
                (*path, "phase"),
                f'"{fault.phase}" is of kind {phase.kind} and has no fixed length; use a phase of kind load or warm-up',
            )
        elif phase.seconds and fault.until_s > phase.seconds:
            yield Problem(
                (*path, "hold"),
                f"ends {show_duration(fault.until_s)} into a phase of {show_duration(phase.seconds)} "
                f"(after {show_duration(fault.after_s)} + hold {show_duration(fault.hold_s)}); "
                "shorten it or lengthen the phase",
            )


def faults_do_not_collide(faults: Sequence[Fault]) -> Iterator[Problem]:
    """The same service is not hurt twice at once: neither fault could prove its own effect or healing."""
    for index, fault in enumerate(faults):
        for earlier_index, earlier in enumerate(faults[:index]):
            same = (fault.phase, fault.role, fault.service) == (earlier.phase, earlier.role, earlier.service)
            same = same and (fault.service is not None or fault.pick == earlier.pick)
            if same and fault.after_s < earlier.until_s and earlier.after_s < fault.until_s:
                yield Problem(
                    ("faults", index, "after"),
                    f'hurts what faults[{earlier_index}] "{earlier.name}" is still hurting; let one end first',
                )


def objective_names_are_unique(objectives: Sequence[Objective]) -> Iterator[Problem]:
    """Reports tell objectives apart by name."""
    return repeated_names("objectives", objectives)


def objectives_fit_phases(objectives: Sequence[Objective], phases: Phases) -> Iterator[Problem]:
    """An objective is asked of timed phases that exist."""
    kinds = {phase.name: phase.kind for phase in phases}
    timed = [phase.name for phase in phases if isinstance(phase, TimedPhase)]
    for index, objective in enumerate(objectives):
        for place, name in enumerate(objective.phases):
            path = ("objectives", index, "phases", place)
            if name not in kinds:
                yield Problem(path, f'no phase is named "{name}" ({did_you_mean(name, timed)})')
            elif name not in timed:
                yield Problem(path, f'"{name}" is of kind {kinds[name]}; objectives are asked of load and warm-up')
            elif name in objective.phases[:place]:
                yield Problem(path, f'"{name}" stands here twice; drop one')
