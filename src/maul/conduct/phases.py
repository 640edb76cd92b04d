"""The phases of a run: each is its passes one after the other, its faults beside them, and what its kind adds."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from maul.conduct.drive import MITIGATION, OVERDUE, Drive, Driven, Driver, Watch, as_mapping
from maul.conduct.fleet_drive import FleetDrive, require_somebody
from maul.conduct.fleet_events import together
from maul.conduct.fleet_load import Secrets, make_loads
from maul.conduct.harm import Harm
from maul.conduct.kill import tell_pull
from maul.conduct.replay import rows_of
from maul.conduct.seconds import LOCAL
from maul.conduct.stage import Stage
from maul.core.errors import InternalError
from maul.core.event import Edge, EventKind
from maul.core.generator import Drained, Generator, GeneratorStatus
from maul.core.summary import Ending
from maul.core.units import show_duration
from maul.guard import Action, EndPhase, Snapshot, WatchState, after_pass, decide, limits_for
from maul.load import GeneratorGroup
from maul.plan import EnginePlan, PassPlan, PhasePlan, Plan, engine_plan_for, with_secrets
from maul.plan.resuming import RESUMED

AGAIN_MAX = 8
"""How often what lost agents left undone of a sweep is done again."""


class Ear(Protocol):
    """Listens to an engine while it runs."""

    def heard(self, drained: Drained) -> None:
        """Something was drained; it goes into the record too."""
        ...

    def enough(self) -> str | None:
        """A reason to end the engine, or None; asked at every tick."""
        ...


def run_passes(stage: Stage, phase: PhasePlan) -> dict[str, Any]:
    """The passes of a phase: of a timed one side by side, else one after the other; the sum of their last statuses."""
    total: dict[str, Any] = {}
    if stage.halted:
        return total
    if phase.timed:
        driven = run_together(stage, phase, phase.passes)
        return dict(driven.status) if driven is not None else total
    for pass_ in phase.passes:
        for stretch in stage.state.stretches(pass_.tenant) if pass_.region == "ephemeral" else (None,):
            if stage.halted:
                return total
            engine_plan = engine_plan_for(stage.plan, phase, pass_, stage.state, stretch=stretch)
            driven = run_engines(stage, phase, [(pass_, engine_plan)]) if engine_plan is not None else None
            if driven is not None:
                total = added(total, driven.status)
    return total


def run_phase(
    stage: Stage,
    phase: PhasePlan,
    after: Callable[[Stage, PhasePlan], None] | None = None,
    work: Callable[[Stage, PhasePlan], dict[str, Any]] = run_passes,
) -> None:
    """Run one phase from its beginning to its end: its work, and what its kind does `after` it."""
    stage.progress.step(f"{phase.name}: {_intent(phase)}")
    stage.note(EventKind.PHASE, Edge.BEGAN, phase.name, details={"kind": phase.kind})
    total: dict[str, Any] = {}
    try:
        with Harm(stage, stage.plan.faults_of(phase.name)):
            total = work(stage, phase)
        if after is not None and not stage.halted:
            after(stage, phase)
    finally:
        stage.note(EventKind.PHASE, Edge.ENDED, phase.name, details={"kind": phase.kind, "status": total})
    stage.progress.step(f"{phase.name}: {_result(phase, total)}")


def run_pass(stage: Stage, phase: PhasePlan, pass_: PassPlan, *, ear: Ear | None = None) -> Driven | None:
    """Run one engine to its end; None when there is nothing to do."""
    return run_together(stage, phase, (pass_,), ear=ear)


def run_together(
    stage: Stage, phase: PhasePlan, passes: Sequence[PassPlan], *, ear: Ear | None = None
) -> Driven | None:
    """Run the engines of these passes side by side, to their end; None when there is nothing to do."""
    planned: list[tuple[PassPlan, EnginePlan]] = []
    for pass_ in passes:
        engine_plan = engine_plan_for(stage.plan, phase, pass_, stage.state, beside=len(planned) * stage.engines_each)
        if engine_plan is not None:
            planned.append((pass_, engine_plan))
    return run_engines(stage, phase, planned, ear=ear)


def run_engines(
    stage: Stage, phase: PhasePlan, planned: Sequence[tuple[PassPlan, EnginePlan]], *, ear: Ear | None = None
) -> Driven | None:
    """Run these engines side by side, to their end. One has its pass's place among the phase's endpoints."""
    if not planned:
        return None
    total: dict[str, Any] = {}
    for _ in range(AGAIN_MAX):
        driven, undone = _run_once(stage, phase, planned, ear)
        total = added(total, driven.status)
        if not undone or stage.halted:
            break
        stage.progress.step(f"{phase.name}: {len(undone)} stretches of keys are done again: their agents were lost")
        planned = _anew(stage, undone)
    return Driven(total)


def _run_once(
    stage: Stage, phase: PhasePlan, planned: Sequence[tuple[PassPlan, EnginePlan]], ear: Ear | None
) -> tuple[Driven, list[tuple[PassPlan, EnginePlan]]]:
    """How it ended, and what lost agents left undone of sweeps."""
    passes = [pass_ for pass_, _ in planned]
    crew, fleet = stage.crew, None
    generators: list[Generator]
    if crew is None:
        generators = [stage.make_generator(*_made_of(stage, phase, pass_, plan)) for pass_, plan in planned]
    else:
        require_somebody(crew, phase)
        loads = make_loads(
            crew,
            stage.plan.run_id,
            planned,
            secrets_for(stage),
            lambda pass_: rows_of(stage.traces, phase.name, pass_.tenant),
            phase=phase.name,
        )
        fleet = FleetDrive(stage, crew, phase, loads)
        generators = [load.many for load in loads]
    heard = [one.heard for one in (fleet, ear) if one is not None]
    if stage.vigil is not None:
        heard.append(stage.vigil.drained)
    drive = Drive(
        phase=phase.name,
        duration_s=max(pass_.seconds for pass_ in passes),
        patience_s=max(engine_plan.limits.seconds for _, engine_plan in planned),
        levels=phase.levels,
        run_left_s=_left_after(stage.plan, phase),
        endpoint_offset=passes[0].endpoint_offset,
        heard=tuple(heard),
    )
    driver = Driver(stage.writer, stage.clock, stage.stop, stage.progress)
    together = generators[0] if len(generators) == 1 else GeneratorGroup(generators, stage.clock)
    seen = fleet.by_agent if fleet is not None else lambda: {LOCAL: together.status()}
    driven = driver.run(together, drive, _freezing(stage, phase, seen, _watch(stage, phase, passes, ear, fleet)))
    tell_pull(stage)
    _tell_silence(stage, driven)
    ended = [driven.status] if len(generators) == 1 else [as_mapping(generator.status()) for generator in generators]
    undone = _settled(stage, passes, ended, fleet)
    if len(ended) > 1:
        names = [stage.plan.tenants[pass_.tenant].name for pass_ in passes]
        driven = Driven({**driven.status, "tenants": dict(zip(names, ended, strict=True))})
    if fleet is not None:
        reason = fleet.stop_reason(str(driven.status["stop_reason"]))
        driven = Driven({**driven.status, "agents": fleet.did, "stop_reason": reason})
    _heed(stage, phase, str(driven.status["stop_reason"]))
    return driven, undone


def _settled(
    stage: Stage, passes: Sequence[PassPlan], ended: Sequence[Mapping[str, Any]], fleet: FleetDrive | None
) -> list[tuple[PassPlan, EnginePlan]]:
    """The engines have ended: what the stage knows of it. What is to be done again."""
    if fleet is None:
        stage.state = stage.state.after_all(list(zip(passes, ended, strict=True)))
        return []
    fleet.end()
    known, before = stage.state, stage.state.take_overs
    statuses = [
        {**status, "ephemeral_next": load.first_end(int(status["ephemeral_next"]))}
        for status, load in zip(ended, fleet.loads, strict=True)
    ]
    epochs = fleet.epochs_used - known.epochs_used
    known = known.after_all(list(zip(passes, statuses, strict=True)), epochs)
    for load in fleet.loads:
        known = known.with_stretches(load.pass_.tenant, load.stretches(before))
    stage.state = replace(known, take_overs=fleet.take_overs)
    return fleet.undone()


def _anew(stage: Stage, undone: Sequence[tuple[PassPlan, EnginePlan]]) -> list[tuple[PassPlan, EnginePlan]]:
    """The first of these plans, for the agents that are left; the others come after it."""
    each = max(1, stage.engines_each)
    first = stage.state.epochs_used + 1
    return [
        (pass_, plan.model_copy(update={"epoch": first + place * each})) for place, (pass_, plan) in enumerate(undone)
    ]


def secrets_for(stage: Stage) -> Callable[[PassPlan], Secrets]:
    """By the pass, what makes an engine plan of it the engine's own JSON, secrets included."""
    return lambda pass_: lambda plan: _secrets(stage, pass_, plan)


def _secrets(stage: Stage, pass_: PassPlan, engine_plan: EnginePlan) -> dict[str, Any]:
    target = stage.target
    account = target.door.accounts[pass_.tenant]
    return with_secrets(engine_plan, account.credentials, target.ca_pems, target.addresses)


def _made_of(stage: Stage, phase: PhasePlan, pass_: PassPlan, engine_plan: EnginePlan) -> tuple[Any, ...]:
    """What a generator is made of: the engine's JSON, and the rows of a trace where there is one."""
    plan, rows = _secrets(stage, pass_, engine_plan), rows_of(stage.traces, phase.name, pass_.tenant)
    return (plan,) if rows is None else (plan, rows)


def added(total: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
    """Two engines' final statuses as one: counts and seconds add up, words are the last one's."""
    if not total:
        return dict(status)
    merged = dict(status)
    for name, value in total.items():
        if name == "tenants":
            continue  # only a phase with one drive has them
        if name == "agents":
            merged[name] = together([value, status.get(name, {})])
            continue
        if name == "errors":
            merged[name] = {key: value.get(key, 0) + status[name].get(key, 0) for key in {*value, *status[name]}}
        elif name == "error_examples":
            merged[name] = {**status[name], **value}
        elif isinstance(value, int | float) and name not in ("ephemeral_next", "in_flight", "connections"):
            merged[name] = value + status[name]
    return merged


def _freezing(stage: Stage, phase: PhasePlan, seen: Callable[[], Mapping[str, GeneratorStatus]], then: Watch) -> Watch:
    """The vigil comes first: what looks like too many errors may be somebody who drops us."""
    vigil = stage.vigil
    if vigil is None:
        return then
    return lambda status: MITIGATION if vigil.tick(seen, phase.name) else then(status)


def _watch(
    stage: Stage,
    phase: PhasePlan,
    passes: Sequence[PassPlan],
    ear: Ear | None,
    fleet: FleetDrive | None,
) -> Watch:
    limits = limits_for(stage.plan, phase, passes, stage.state, stage.began_ns)
    state = WatchState()

    def watch(status: Mapping[str, Any]) -> str | None:
        nonlocal state
        if fleet is not None:
            fleet.tick()
        free = _free_bytes(stage.writer.path)
        state, actions = decide(state, Snapshot.of(status, free), limits, stage.clock.now_ns())
        for action in actions:
            _obey(stage, action)
            return action.reason
        return ear.enough() if ear is not None else None

    return watch


def _tell_silence(stage: Stage, driven: Driven) -> None:
    """How long after the decision the last engine was silent."""
    if stage.vigil is not None and driven.silent_ns:
        cut = int(driven.status["errors"].get("STOPPED", 0))
        stage.vigil.fell_silent(driven.silent_ns, cut, in_time=driven.in_time)


def _obey(stage: Stage, action: Action) -> None:
    stage.note(EventKind.GUARD, Edge.INSTANT, action.reason, action.says)
    stage.progress.step(f"guard: {action.says}")
    if not isinstance(action, EndPhase):
        stage.stop.stop(action.says, Ending.GUARD)


def _heed(stage: Stage, phase: PhasePlan, stop_reason: str) -> None:
    """What the engine's own end means for the run. InternalError: it broke down, and its numbers say nothing."""
    if stop_reason.startswith("internal:") or stop_reason == OVERDUE:
        raise InternalError(f"the engine of {phase.name} broke down: {stop_reason.removeprefix('internal:').strip()}")
    action = after_pass(stop_reason, phase)
    if action is not None and not stage.stopped:
        _obey(stage, action)


def _free_bytes(path: Path) -> int | None:
    """Room for the record; None when nobody can tell (the directory is gone)."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _left_after(plan: Plan, phase: PhasePlan) -> float:
    """Of the plan; a phase that is carried out otherwise than planned, or is a piece of one, comes where that does."""
    names = [one.name for one in plan.phases]
    name = phase.name if phase.name in names else phase.name.removesuffix(RESUMED)
    return sum(later.seconds for later in plan.phases[names.index(name) + 1 :])


def _intent(phase: PhasePlan) -> str:
    if phase.levels:
        low, high = phase.levels[0].rate_per_s, phase.levels[-1].rate_per_s
        return f"{len(phase.levels)} levels from {low:,.0f} to {high:,.0f} req/s, until something gives"
    if phase.search is not None:
        return f"search the highest rate that holds, at most {show_duration(phase.seconds)}"
    words = {
        "prepare": "write every object once",
        "trickle": "a little from each rack in turn, to see whether the map of the network is true",
        "warm-up": "let it settle",
        "load": "load at an exact rate",
        "audit": f"read every object back through {', '.join(phase.endpoints)}",
        "clean-up": "delete what we wrote, prove it gone",
    }
    return f"{words[phase.kind]} ({phase.expected.operations:,} operations)"


def _result(phase: PhasePlan, status: Mapping[str, Any]) -> str:
    if not status:
        return "nothing was done"
    bad = status["fail"] + status["unknown"] + status["dropped"] - status["errors"].get("GIVEN_UP", 0)
    rate = status["ok"] / status["elapsed_s"] if status["elapsed_s"] else 0.0
    missing = status["errors"].get("NO_SUCH_KEY", 0) if phase.kind == "audit" else 0
    gone = f", {missing:,} without an object" if missing else ""  # some were deleted: the ledger knows which
    return f"{status['ok']:,} ok{gone}, {bad - missing:,} not ok, {rate:,.0f} ok/s"
