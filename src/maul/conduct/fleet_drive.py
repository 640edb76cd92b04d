"""The engines of one drive on a fleet: watched, and taken over when an agent is lost.

Asked at every tick of the driver, it decides nothing by itself: what a lost interval becomes is `plan.muster`'s, what
is odd about an agent is `guard.agents`'. What happened goes into events, see `fleet_events`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from maul.conduct.crew import Crew
from maul.conduct.fleet_events import (
    ENGINES,
    KEPT,
    LOST_SUFFIX,
    START,
    EnginesWords,
    EngineWords,
    LossWords,
    StartWords,
    as_details,
)
from maul.conduct.fleet_load import FleetLoad, Loss
from maul.conduct.stage import Stage
from maul.core.errors import MachineError, MaulError
from maul.core.event import Edge, Event, EventKind
from maul.core.generator import Drained, GeneratorState, GeneratorStatus
from maul.core.operation import ErrorClass
from maul.core.sample import Sample
from maul.core.statuses import COMPLETED, summed
from maul.fleet.words import LostAgent, StartSkew
from maul.guard.agents import Answered, odd_agents
from maul.plan import EnginePlan, PassPlan, PhasePlan
from maul.plan.muster import Cut, Post, take_over
from maul.plan.splitting import Part, agents_max, take_over_plans

LEASE_MARGIN_S = 0.5
"""A lost agent's lease is over for certain so long after its length: clocks, and the way to it."""
SAMPLE_S = 1.0


class FleetDrive:
    """Watches over the loads of one drive. `tick` at every turn of the driver, `end` once when it is over."""

    def __init__(self, stage: Stage, crew: Crew, phase: PhasePlan, loads: Sequence[FleetLoad]) -> None:
        """The loads are prepared, not started."""
        self._stage, self._crew, self._phase, self.loads = stage, crew, phase, list(loads)
        self._epoch = max(part.engine.epoch for load in loads for part in load.parts) + 1
        self._take_overs = stage.state.take_overs
        self._start_told = False
        self._sampled_ns = stage.clock.now_ns()
        self._before: dict[str, GeneratorStatus] = {}
        self._odd: set[str] = set()
        self.did: dict[str, dict[str, float]] = {}
        self._tell_engines([part for load in loads for part in load.parts])

    @property
    def epochs_used(self) -> int:
        """The highest epoch that an engine has."""
        return self._epoch - 1

    @property
    def take_overs(self) -> int:
        """Of the run, so far."""
        return self._take_overs

    def heard(self, drained: Drained) -> None:
        """Something was drained, of all loads together."""
        for load in self.loads if len(drained.operations) else ():
            load.heard(drained.operations)

    def tick(self) -> None:
        """Look for lost agents, let others take over when it is time, tell of the start, sample, heed the links."""
        now_ns = self._stage.clock.now_ns()
        if not self._start_told:
            self._tell_start()
        for load in self.loads:
            for lost in _gone(load, now_ns):
                self._notice(load, lost)
            for loss in load.losses:
                if loss.cuts and not loss.asked and loss.due_ns <= now_ns:
                    loss.asked = True
                    self._take_over(load, loss)
                if loss.taken_ns is not None and not loss.told and not loss.words.held:
                    self._close(load, loss)
        if now_ns - self._sampled_ns >= SAMPLE_S * 1e9:
            self._sample(now_ns)
        if self._stage.link_guard is not None:
            self._stage.link_guard.tick([load.many for load in self.loads])

    def end(self) -> None:
        """Close what is open, and add up what each agent `did`. The crew is from here on without those it lost."""
        self._crew.settle()
        self.tick()
        if not self._start_told:
            self._tell_start(last=True)
        for load in self.loads:
            known = {loss.lost.name for loss in load.losses}
            for name, status in load.many.by_agent().items():
                if name not in known and status.state is not GeneratorState.DONE and status.began_ns:
                    now_ns = self._stage.clock.now_ns()
                    self._notice(load, LostAgent(name, now_ns, "it was not heard to its end", status))
            for loss in load.losses:
                if not loss.told:
                    self._close(load, loss)
        self._crew.lose({loss.lost.name: loss.lost.why for load in self.loads for loss in load.losses})
        self.did = {name: {key: getattr(one, key) for key in KEPT} for name, one in self.by_agent().items()}

    def stop_reason(self, told: str) -> str:
        """Why the drive ended: an agent that fell silent by itself, and was made up for, ends it for nobody else."""
        fallen = {loss.lost.status.stop_reason for load in self.loads for loss in load.losses}
        return COMPLETED if told in fallen and _fell_silent(told) else told

    def undone(self) -> list[tuple[PassPlan, EnginePlan]]:
        """Of sweeps: the stretches of keys whose agents were lost before they were through."""
        return [
            (load.pass_, part.engine) for load in self.loads if load.sweep for loss in load.losses for part in loss.gone
        ]

    # -- losses ----------------------------------------------------------------------------------------------------

    def _notice(self, load: FleetLoad, lost: LostAgent) -> None:
        gone = tuple(part for part in load.parts if part.agent == lost.name)
        words = LossWords(
            agent=lost.name,
            phase=self._phase.name,
            why=lost.why,
            policy="redistribute" if load.there.redistribute else "hold",
            share=sum(part.post.width for part in gone) / load.there.wheel,
            engines=tuple(EngineWords.of(part.agent, part.engine) for part in gone),
        )
        lease_s = (load.whole.lease_ms or 0) / 1000 + LEASE_MARGIN_S
        loss = Loss(lost, words, gone, self._stage.clock.now_ns() + int(lease_s * 1e9))
        load.losses.append(loss)
        if not load.sweep:
            self._cut(load, loss)
        says = f"agent {lost.name} is lost ({lost.why}), with {words.share:.0%} of the load: {self._intent(load, loss)}"
        self._event(lost.at_ns, Edge.BEGAN, loss, says)
        self._stage.progress.step(f"{self._phase.name}: {says}")

    def _cut(self, load: FleetLoad, loss: Loss) -> None:
        """Decide who takes over; from here on `there` is as if they did."""
        taken: list[Post] = []
        held, why = 0, ""
        cuts: list[tuple[Part, Cut]] = []
        for part in loss.gone:
            cut = Cut((), part.post.width, "the campaign says on_loss: hold")
            if load.there.redistribute:
                cut = take_over(load.there, replace(part.post, name=loss.lost.name), agents_max(part.engine))
            held, why = held + cut.held, cut.why_held or why
            taken += cut.taken
            if cut.taken:
                cuts.append((part, cut))
        load.lose(loss.lost.name, taken)
        loss.cuts = tuple(cuts)
        wheel = load.there.wheel
        shares: dict[str, float] = {}
        for post in taken:
            shares[post.name] = shares.get(post.name, 0.0) + post.width / wheel
        loss.words = loss.words.model_copy(update={"taken": shares, "held": held / wheel, "why_held": why})

    def _intent(self, load: FleetLoad, loss: Loss) -> str:
        if load.sweep:
            return "what it had to do is done again by the others"
        if not loss.cuts:
            return f"it is not sent from here on ({loss.words.why_held})"
        wait_s = max(0.0, (loss.due_ns - self._stage.clock.now_ns()) / 1e9)
        says = f"{', '.join(loss.words.taken)} take over in {wait_s:.1f} s, when its lease is over for certain"
        return says + (f"; {loss.words.held:.0%} stays unsent ({loss.words.why_held})" if loss.words.held else "")

    def _take_over(self, load: FleetLoad, loss: Loss) -> None:
        """Beside the driver: preparing engines may take longer than a lease."""
        plans: list[dict[str, Any]] = []
        fresh: list[Part] = []
        try:
            for part, cut in loss.cuts:
                status = loss.lost.status if part is loss.gone[0] else GeneratorStatus(GeneratorState.DONE)
                made = take_over_plans(
                    load.whole, load.gone(part, status), cut.taken, self._epoch, self._take_overs + 1
                )
                self._take_overs += 1
                self._epoch += len(made)
                plans.append({one.agent: load.secrets(one.engine) for one in made})
                fresh += made
        except MaulError as error:
            loss.failed = error.what
            return
        load.parts += fresh
        self._tell_engines(fresh)
        origin_ns = load.many.skew().asked_ns

        def act() -> None:
            try:
                for one in plans:
                    load.many.take_over(one, origin_ns, load.rows)
            except MaulError as error:
                loss.failed = error.what
            else:
                loss.taken_ns = self._stage.clock.now_ns()

        self._crew.beside(act)

    def _close(self, load: FleetLoad, loss: Loss) -> None:
        """Tell what came of it."""
        loss.told = True
        words, now_ns = loss.words, self._stage.clock.now_ns()
        if words.taken and loss.taken_ns is None:  # it could not be, or the load was over before
            why = loss.failed or "the load was over before its lease was"
            words = words.model_copy(update={"taken": {}, "held": words.share, "why_held": why})
        zero_ns = load.many.skew().asked_ns
        end_s = min(load.length_s, max(0.0, (now_ns - zero_ns) / 1e9))
        lost_s = loss.lost.status.elapsed_s
        taken_s = min(end_s, (loss.taken_ns - zero_ns) / 1e9) if loss.taken_ns is not None else end_s
        not_sent = load.due(lost_s, taken_s) * words.share + load.due(taken_s, end_s) * words.held
        loss.words = words.model_copy(update={"not_sent": round(not_sent, 1), "over": True})
        says = f"agent {loss.lost.name}: {self._outcome(load, loss)}"
        self._event(loss.taken_ns if loss.taken_ns and not words.held else now_ns, Edge.ENDED, loss, says)
        self._stage.progress.step(f"{self._phase.name}: {says}")

    def _outcome(self, load: FleetLoad, loss: Loss) -> str:
        words = loss.words
        if load.sweep:
            return "the others do again what it had to do"
        sent = f"about {words.not_sent:,.0f} arrivals were not sent"
        if not words.taken:
            return f"its part was not sent to the end ({words.why_held}): {sent}"
        others = ", ".join(f"{name} {share:.0%}" for name, share in words.taken.items())
        return f"the others have taken over ({others} of the load): {sent}"

    # -- telling ---------------------------------------------------------------------------------------------------

    def _event(self, at_ns: int, edge: Edge, loss: Loss, says: str) -> None:
        name = f"{loss.lost.name}{LOST_SUFFIX}"
        self._stage.writer.events([Event(at_ns, EventKind.AGENT, edge, name, says, as_details(loss.words))])

    def _tell_engines(self, parts: Sequence[Part]) -> None:
        words = EnginesWords(
            phase=self._phase.name, engines=tuple(EngineWords.of(part.agent, part.engine) for part in parts)
        )
        self._stage.note(EventKind.AGENT, Edge.INSTANT, ENGINES, details=as_details(words))

    def _tell_start(self, *, last: bool = False) -> None:
        """Once everybody has begun, or nobody more will."""
        for load in self.loads:
            began, gone = load.many.skew(), {loss.lost.name for loss in load.losses}
            if not last and not {part.agent for part in load.parts} <= {*began.began, *gone}:
                return
        self._start_told = True
        for load in self.loads:
            self._note_start(load.many.skew())

    def _note_start(self, skew: StartSkew) -> None:
        if not skew.began:
            return
        words = StartWords(
            phase=self._phase.name,
            asked_ns=skew.asked_ns,
            began=dict(skew.began),
            spread_ns=skew.spread_ns,
            error_ns=skew.error_ns,
        )
        says = (
            f"{len(skew.began)} agents began within {skew.spread_ns / 1e6:.2f} ms (± {skew.error_ns / 1e6:.2f} ms) "
            "of each other"
        )
        self._stage.note(EventKind.AGENT, Edge.INSTANT, START, says, as_details(words))
        if self._phase.timed:
            self._stage.progress.step(f"{self._phase.name}: {says}")

    def by_agent(self) -> dict[str, GeneratorStatus]:
        """Where each agent stands, in all loads together."""
        found: dict[str, list[GeneratorStatus]] = {}
        for load in self.loads:
            for name, status in load.many.by_agent().items():
                found.setdefault(name, []).append(status)
        return {name: summed(each) for name, each in found.items()}

    def _sample(self, now_ns: int) -> None:
        """Rates of each agent since the last time; a note about one whose answers are much worse than the others'."""
        elapsed_s, self._sampled_ns = (now_ns - self._sampled_ns) / 1e9, now_ns
        samples: list[Sample] = []
        statuses = self.by_agent()
        for name, status in statuses.items():
            before = self._before.get(name, GeneratorStatus(GeneratorState.READY))
            rates = {
                "offered_per_s": status.offered - before.offered,
                "completed_per_s": status.completed - before.completed,
                "late_per_s": status.late - before.late,
                "dropped_per_s": status.dropped - before.dropped,
                "withheld_per_s": status.withheld - before.withheld,
                "cpu_ratio": status.cpu_seconds - before.cpu_seconds,
            }
            rows = {metric: max(0.0, grown) / elapsed_s for metric, grown in rates.items()}
            rows["in_flight"] = float(status.in_flight)
            samples += [Sample(now_ns, "agent", metric, name, value) for metric, value in rows.items()]
        self._before = statuses
        self._stage.writer.samples(samples)
        if self._phase.kind not in ("audit", "clean-up"):  # they ask for keys that are rightly gone
            self._look_for_odd_ones(statuses)

    def _look_for_odd_ones(self, statuses: dict[str, GeneratorStatus]) -> None:
        answered = {
            name: Answered(one.completed, one.fail + one.unknown - one.errors.get(ErrorClass.GIVEN_UP, 0))
            for name, one in statuses.items()
        }
        for name, says in odd_agents(answered).items():
            if name not in self._odd:
                self._odd.add(name)
                self._stage.note(EventKind.NOTE, Edge.INSTANT, f"agent {name}", f"{self._phase.name}: {says}")
                self._stage.progress.step(f"{self._phase.name}: {says}")


def _gone(load: FleetLoad, now_ns: int) -> list[LostAgent]:
    """Agents that are lost since the last look: not heard of any more, or silent by themselves while others go on."""
    known = {loss.lost.name for loss in load.losses}
    gone = {lost.name: lost for lost in load.many.lost() if lost.name not in known}
    for name, status in load.many.by_agent().items():
        if status.state is GeneratorState.DONE and _fell_silent(status.stop_reason) and name not in {*known, *gone}:
            gone[name] = LostAgent(name, now_ns, f"its engine ended: {status.stop_reason}", status)
    return list(gone.values())


def _fell_silent(stop_reason: str) -> bool:
    """Whether an engine ended for a reason that is its own agent's."""
    return stop_reason == "lease" or stop_reason.startswith("internal")


def require_somebody(crew: Crew, phase: PhasePlan) -> None:
    """MachineError when all agents are lost."""
    if not crew.there.posts:
        why = "; ".join(f"{name}: {why}" for name, why in crew.lost.items())
        raise MachineError(f"no agent is left for {phase.name}", cure=why)
