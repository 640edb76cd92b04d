"""Faults during a phase: each on a thread of its own, at its time, healed whatever happens."""

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from maul.conduct.stage import Stage
from maul.core.errors import MaulError
from maul.core.event import Edge, Event, EventKind
from maul.core.summary import FaultSummary
from maul.faults.blast_radius import refusal
from maul.faults.catalogue import FAULTS
from maul.faults.fault import Target
from maul.faults.fault_run import FaultRun
from maul.plan import FaultPlan

DEADLINE_MARGIN_S = 30.0
"""The dead-man helper heals a fault by itself this long after it should have been healed."""
_JOIN_LIMIT_S = 150.0
"""Three healings, each with its wait for the journal and for the proof."""


class Harm:
    """The faults of one phase. Entering starts their clocks; leaving heals what is hurt and waits for it.

    A bug in a fault's thread is raised when leaving, after the healing.
    """

    def __init__(self, stage: Stage, faults: Sequence[FaultPlan]) -> None:
        """Nothing is hurt yet."""
        self._stage, self._faults = stage, faults
        self._over = threading.Event()
        self._lock = threading.Lock()  # two faults may not agree at the same time that one more hurts nobody
        self._threads: list[threading.Thread] = []
        self._bugs: list[Exception] = []

    def __enter__(self) -> "Harm":
        """Start waiting for each fault's time."""
        self._threads = [
            threading.Thread(target=self._live_through, args=(fault,), name=f"fault {fault.name}", daemon=True)
            for fault in self._faults
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The phase is over: what is still hurt is healed now."""
        self._over.set()
        for thread in self._threads:
            thread.join(_JOIN_LIMIT_S)
        if self._bugs and error is None:
            raise self._bugs[0]

    def _live_through(self, plan: FaultPlan) -> None:
        try:
            self._live(plan)
        except Exception as error:  # noqa: BLE001 — nobody hears a thread: whoever leaves the phase does
            self._bugs.append(error)

    def _live(self, plan: FaultPlan) -> None:
        if self._wait(plan.after_s):
            self._note(plan, "the phase ended before it was due", Edge.INSTANT)
            return
        try:
            run = self._prepared(plan)
        except (MaulError, OSError) as error:
            self._forget(plan)
            self._finish(plan, _not_injected(plan, self._stage.clock.now_ns(), _one_line(error)))
            return
        trouble = "a bug in maul"
        try:
            trouble = self._hurt_and_hold(plan, run)
        finally:
            run.finish()
            self._forget(plan)
            self._finish(plan, _told(plan, run, trouble, self._stage.clock.now_ns()))

    def _prepared(self, plan: FaultPlan) -> FaultRun:
        service = self._stage.site.service(plan.service)
        with self._lock:
            why_not = refusal(self._stage.site, plan.service, self._stage.hurt.values())
            if why_not and not plan.beyond_redundancy:
                raise MaulError(f"not injected: {why_not}", plan.name)
            self._stage.hurt[plan.name] = plan.service
        if service.process is None:
            raise MaulError("not injected: the site does not say which process it is", plan.service)
        target = Target(plan.service, Path(service.process.pidfile), lambda: self._stage.answers(plan.service))
        run = FaultRun(
            FAULTS[plan.fault](target, self._stage.host, self._stage.clock),
            target,
            self._stage.journal,
            self._stage.clock,
        )
        run.prepare()
        says = f"{plan.fault} of {plan.service}; its undo is in the journal"
        self._stage.writer.audit(self._stage.clock.now_ns(), "fault prepared", plan.name, says)
        return run

    def _hurt_and_hold(self, plan: FaultPlan, run: FaultRun) -> str:
        """What went wrong with it; empty when nothing did."""
        try:
            did = run.inject(plan.hold_s + DEADLINE_MARGIN_S)
            self._note(plan, did, Edge.BEGAN)
            self._stage.progress.step(f"fault {plan.name}: {did}")
            proof = run.prove_effect()
            self._stage.progress.step(
                f"fault {plan.name}: {'proven: ' if proof.proven else 'not proven: '}{proof.says}"
            )
            self._wait(plan.hold_s)
        except (MaulError, OSError) as error:
            self._stage.progress.step(f"fault {plan.name}: {_one_line(error)}")
            return _one_line(error)
        return ""

    def _forget(self, plan: FaultPlan) -> None:
        with self._lock:
            self._stage.hurt.pop(plan.name, None)

    def _wait(self, seconds: float) -> bool:
        """Wait; True when the phase ended or the run was stopped meanwhile."""
        until_ns = self._stage.clock.now_ns() + int(seconds * 1e9)
        while (left_s := (until_ns - self._stage.clock.now_ns()) / 1e9) > 0:
            if self._stage.stop.stopped.is_set() or self._stage.clock.wait(min(left_s, 0.1), self._over):
                return True
        return False

    def _note(self, plan: FaultPlan, says: str, edge: Edge) -> None:
        self._stage.writer.events([Event(self._stage.clock.now_ns(), EventKind.FAULT, edge, plan.name, says)])

    def _finish(self, plan: FaultPlan, summary: FaultSummary) -> None:
        self._stage.harmed.append(summary)
        details = summary.model_dump(mode="json")
        says = summary.undo if summary.healed else f"NOT HEALED: {summary.undo}"
        self._stage.writer.events(
            [Event(self._stage.clock.now_ns(), EventKind.FAULT, Edge.ENDED, plan.name, says, {"summary": details})]
        )
        self._stage.progress.step(f"fault {plan.name}: {says}")


def _told(plan: FaultPlan, run: FaultRun, trouble: str, now_ns: int) -> FaultSummary:
    """The fault's own account, with what went wrong in it."""
    if run.began_ns is None:
        return _not_injected(plan, now_ns, f"not injected: {trouble}")
    summary = run.summary()
    effect = f"{summary.effect}: {trouble}" if trouble and not summary.proven else summary.effect
    return summary.model_copy(update={"name": plan.name, "effect": effect})


def _one_line(error: Exception) -> str:
    return str(error).replace("\n  ", "; ")


def _not_injected(plan: FaultPlan, now_ns: int, why: str) -> FaultSummary:
    return FaultSummary(
        name=plan.name,
        target=plan.service,
        began_ns=now_ns,
        healed_ns=now_ns,
        proven=False,
        healed=True,
        effect=why,
        undo="nothing was hurt",
    )
