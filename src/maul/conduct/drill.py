"""The drill of the kill switch, before a fleet is given more load than it had in this run.

All agents send a little (HEADs of base objects, which change nothing), the switch is pulled as it would be, and the
time runs until every one of them is silent: nothing in flight, no connection, its engine done. A switch that takes
longer is none; then nothing ramps (exit 5).
"""

import contextlib

from maul.conduct.crew import Crew, Many
from maul.conduct.fleet_events import DRILL, DrillWords, as_details
from maul.conduct.fleet_load import make_loads
from maul.conduct.kill import DRILL_S_MAX, drill
from maul.conduct.phases import secrets_for
from maul.conduct.stage import Stage
from maul.core.errors import GuardError
from maul.core.event import Edge, EventKind
from maul.core.generator import GeneratorState, GeneratorStatus
from maul.plan import EnginePlan, PhasePlan, engine_plan_for
from maul.plan.budget import phase_peak_per_s
from maul.plan.engine_plan import Constant, MixEntry, OpenArrivals

RATE_EACH_PER_S = 5.0
SECONDS = 20.0
"""Of the trickle, if nobody pulled the switch."""
_WARM_S_MAX = 8.0
_STEP_S = 0.02


def rehearse(stage: Stage, phase: PhasePlan) -> None:
    """Before a phase that goes higher than all before it. GuardError when the fleet is not silent in time."""
    crew, peak_per_s = stage.crew, phase_peak_per_s(phase)
    if crew is None or stage.stopped or peak_per_s <= crew.drilled_for_per_s:
        return
    crew.drilled_for_per_s = peak_per_s
    pass_ = phase.passes[0]
    template = engine_plan_for(stage.plan, phase, pass_, stage.state)
    if template is None:
        return
    (load,) = make_loads(
        crew, stage.plan.run_id, [(pass_, _trickle(template, crew))], secrets_for(stage), lambda _: None
    )
    many = load.many
    took = _Took(stage, many)
    try:
        took.pull()
    finally:
        many.stop("kill switch drill", now=True)
        many.join(DRILL_S_MAX)
        many.drain()
        stage.state = stage.state.after_all(
            [(pass_, _used(many.status()))],
            max(part.engine.epoch for part in load.parts) - stage.state.epochs_used,
        )
        crew.lose({lost.name: lost.why for lost in many.lost()})
    _tell(stage, took)


def _trickle(template: EnginePlan, crew: Crew) -> EnginePlan:
    rate = min(template.limits.rate_per_s, RATE_EACH_PER_S * len(crew.there.posts))
    keyspace = template.keyspace.model_copy(update={"region": "base"})
    return template.model_copy(
        update={
            "mix": (MixEntry(op="head", weight=1.0),),
            "keyspace": keyspace,
            "arrivals": OpenArrivals(profile=(Constant(rate=rate, seconds=SECONDS),)),
            "multipart": None,
            "slow": None,
            "record_operations": False,
        }
    )


class _Took:
    """How long each agent went on."""

    def __init__(self, stage: Stage, many: Many) -> None:
        self._stage, self._many = stage, many
        self.by_agent: dict[str, float] = {}
        self.agents = 0
        self.seconds = 0.0

    def pull(self) -> None:
        """Start, wait until all are sending, pull, and wait until all are silent, or time is up."""
        clock = self._stage.clock
        self._many.start()
        until_ns = clock.now_ns() + int(_WARM_S_MAX * 1e9)
        while clock.now_ns() < until_ns and not self._stage.stopped:
            if all(one.started or one.state is GeneratorState.DONE for one in self._many.by_agent().values()):
                break
            clock.wait(_STEP_S * 5)
            self._many.renew()
        sending = [name for name, one in self._many.by_agent().items() if one.started]
        self.agents = len(sending)
        began_ns = clock.now_ns()

        def is_silent() -> bool:
            self.seconds = (clock.now_ns() - began_ns) / 1e9
            statuses = self._many.by_agent()
            lost = {one.name for one in self._many.lost()}
            for name in sending:
                if name not in self.by_agent and name not in lost and _silent(statuses[name]):
                    self.by_agent[name] = round(self.seconds, 3)
            if len(self.by_agent) < len(sending):
                self._many.join(_STEP_S)
                return False
            return True

        with contextlib.suppress(GuardError):  # `_tell` says how many of them went on
            drill(lambda: self._many.stop("kill switch drill", now=True), is_silent, clock)

    @property
    def passed(self) -> bool:
        """Whether all that sent were silent in time."""
        return bool(self.agents) and len(self.by_agent) == self.agents and self.seconds <= DRILL_S_MAX


def _silent(status: GeneratorStatus) -> bool:
    return status.state is GeneratorState.DONE and not status.in_flight and not status.connections


def _used(status: GeneratorStatus) -> dict[str, float]:
    return {
        "ephemeral_next": 0,
        "started": status.started,
        "bytes_sent": status.bytes_sent,
        "bytes_received": status.bytes_received,
        "elapsed_s": status.elapsed_s,
    }


def _tell(stage: Stage, took: _Took) -> None:
    """Record it. GuardError when the switch is none; a run that is stopped meanwhile ends anyway."""
    seconds = max(took.by_agent.values(), default=0.0)
    if took.passed:
        says = f"kill switch drill: {took.agents} agents were silent {seconds:.2f} s after it was pulled"
    elif not took.agents:
        says = "kill switch drill: no agent could be made to send, so nobody knows whether the switch works"
    else:
        loud = took.agents - len(took.by_agent)
        says = (
            f"kill switch drill: {loud} of {took.agents} agents were not silent {DRILL_S_MAX:g} s after it was pulled"
        )
    words = DrillWords(
        agents=took.agents,
        seconds=seconds if took.passed else round(took.seconds, 3),
        passed=took.passed,
        says=says,
        by_agent=took.by_agent,
    )
    stage.note(EventKind.AGENT, Edge.INSTANT, DRILL, says, as_details(words))
    stage.progress.step(says)
    if not took.passed and not stage.stopped:
        raise GuardError(
            f"{says}; the run does not ramp", "kill switch drill", "look for agents that are overloaded, or cut off"
        )
