"""The course of a run: its phases in order, and what is left of them once somebody upstream stopped the traffic.

Until then every phase runs as planned. After that: hold; resume below what was stopped where that is allowed; sweeps
(audit, clean-up) at a lesser pace; no load that goes higher again, unless the permit says so. Where nobody may go on,
what was written is removed if the target answers at all, and the run ends.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from maul.conduct.hold import answers, hold
from maul.conduct.mitigation_words import GIVEN_UP, RESUMED, GivenUpWords, ResumedWords, as_details
from maul.conduct.stage import Stage
from maul.conduct.vigil import Frozen, Vigil
from maul.core.event import Edge, EventKind
from maul.core.summary import Ending
from maul.guard.mitigation.actions import GiveUp, Resume
from maul.guard.mitigation.respond_terms import PART_MAX
from maul.plan import PhasePlan
from maul.plan.budget import phase_peak_per_s
from maul.plan.resuming import paced_phase, resumed_phase

STOPS_MAX = 6
"""So often traffic may be stopped in one phase; the answer to it gives up long before."""
SWEEP_PART = 0.4
"""What sweeps send at most, of what was stopped; load goes up to `PART_MAX` of it."""
SWEEPS = ("audit", "clean-up")
Run = Callable[[PhasePlan], None]


@dataclass(frozen=True, slots=True)
class _Bound:
    """The least that was ever stopped."""

    per_s: float
    bytes_per_s: float

    def and_of(self, frozen: Frozen) -> "_Bound":
        """Nothing moved before the first answer: that tells nothing of bytes."""
        return _Bound(min(self.per_s, frozen.per_s), min(self.bytes_per_s, frozen.bytes_per_s or math.inf))


_NONE = _Bound(math.inf, math.inf)


class Course:
    """`tidied`: after an end before its time, what was written is removed."""

    def __init__(self, stage: Stage, run: Run) -> None:
        """`run`: carries one phase out, whole."""
        self._stage, self._run = stage, run
        self._bound: _Bound | None = None
        self._hollow = ""
        self.tidied = False

    def follow(self) -> None:
        """All phases, as far as the run goes."""
        for phase in self._stage.plan.phases:
            if self._stage.stopped:
                return
            allowed = self._allowed(phase)
            if allowed is None:
                continue
            self._run(allowed)
            vigil = self._stage.vigil
            if vigil is not None and vigil.frozen is not None:
                self._after(allowed, vigil)

    # -- what may still be sent ------------------------------------------------------------------------------------

    def _allowed(self, phase: PhasePlan) -> PhasePlan | None:
        """The phase as it may be carried out now; None: not at all, which is told."""
        bound = self._bound
        if bound is None:
            return phase
        if phase.kind in SWEEPS or (phase.kind == "prepare" and not self._hollow):
            return self._paced(phase, bound)
        why_not = self._why_not(phase, bound)
        if not why_not:
            return phase
        says = f"{phase.name} is left out: {why_not}"
        self._stage.note(EventKind.NOTE, Edge.INSTANT, "left out", says)
        self._stage.progress.step(says)
        return None

    def _why_not(self, phase: PhasePlan, bound: _Bound) -> str:
        if self._hollow:
            return f"{self._hollow} did not come to its end"
        permit = self._stage.target.door.permission.permit
        if phase.kind == "limit":
            return "traffic was stopped, and a search would climb there again"
        if permit is not None and permit.permit.retrigger:
            return ""
        peak_per_s, most_per_s = phase_peak_per_s(phase), PART_MAX * bound.per_s
        if peak_per_s <= most_per_s:
            return ""
        allowed = "the permit" if permit is not None else "a permit"
        return (
            f"it goes up to {peak_per_s:,.0f}/s, and at {bound.per_s:,.0f}/s traffic was stopped; more than half of "
            f"that needs {allowed} that says retrigger"
        )

    def _paced(self, phase: PhasePlan, bound: _Bound) -> PhasePlan:
        paced = paced_phase(phase, max(1.0, SWEEP_PART * bound.per_s), max(1.0, SWEEP_PART * bound.bytes_per_s))
        most = paced.passes[0].engine.limits.rate_per_s if paced.passes else 0.0
        self._stage.progress.step(f"{phase.name} goes no faster than {most:,.0f}/s: traffic was stopped above that")
        return paced

    # -- after it was stopped --------------------------------------------------------------------------------------

    def _after(self, phase: PhasePlan, vigil: Vigil) -> None:
        for _ in range(STOPS_MAX):
            frozen = vigil.frozen
            if frozen is None:
                return
            self._bound = (
                _Bound(frozen.per_s, frozen.bytes_per_s) if self._bound is None else self._bound.and_of(frozen)
            )
            end = hold(self._stage, vigil, frozen)
            if end is None:  # somebody stopped the run
                return
            if isinstance(end, GiveUp):
                self._give_up(end.says, vigil, frozen)
                return
            self._resume(phase, end, vigil, frozen)
        if vigil.frozen is not None:
            self._give_up(f"nothing more is sent: traffic was stopped {STOPS_MAX} times", vigil, vigil.frozen)

    def _resume(self, phase: PhasePlan, end: Resume, vigil: Vigil, frozen: Frozen) -> None:
        terms, part = self._stage.plan.mitigation, min(end.part, PART_MAX)
        piece = resumed_phase(phase, part * frozen.per_s, terms.resume_s, part)
        if piece is None and phase.kind in SWEEPS and self._bound is not None:
            piece = self._paced(phase, self._bound)
        if piece is None:
            self._hollow = phase.name
        rate_per_s = phase_peak_per_s(piece) if piece is not None and piece.timed else 0.0
        words = ResumedWords(
            phase=piece.name if piece is not None else "",
            of=phase.name,
            part=part,
            rate_per_s=rate_per_s,
            seconds=piece.seconds if piece is not None else 0.0,
        )
        how = f"{rate_per_s:,.1f}/s for {terms.resume_s:g} s" if rate_per_s else "what is left, at a lesser pace"
        vigil.thaw()
        vigil.note(RESUMED, f"{end.says}: {how}", as_details(words))
        if piece is not None:
            self._run(piece)

    def _give_up(self, says: str, vigil: Vigil, frozen: Frozen) -> None:
        stage = self._stage
        lasted_s = (stage.clock.now_ns() - frozen.onset_ns) / 1e9
        reached = None if stage.stopped else answers(stage, vigil)
        told = {True: "the target answers", False: "the target does not answer", None: "nobody can ask the target"}
        words = GivenUpWords(hold_at_least_s=None if reached else round(lasted_s, 1), answers=reached)
        vigil.note(GIVEN_UP, f"{says}; {told[reached]}", as_details(words))
        stage.stop.stop(says, Ending.GUARD)
        if reached:
            vigil.anew()
            self.tidied = self._tidy()

    def _tidy(self) -> bool:
        """What was written is read back and removed, at a lesser pace. Whether it came to that."""
        bound, cleaned = self._bound or _NONE, False
        with tidying(self._stage):
            for phase in self._stage.plan.phases:
                if phase.kind not in SWEEPS or self._stage.halted:
                    continue
                self._run(self._paced(phase, bound))
                cleaned = phase.kind == "clean-up" and not self._stage.halted
        return cleaned


@contextlib.contextmanager
def tidying(stage: Stage) -> Iterator[None]:
    """The run is stopped, and yet tidies up: only a second signal, or the kill switch, ends that."""
    stage.stop, stopped = stage.stop.until_hurried(), stage.stop
    try:
        yield
    finally:
        stage.stop = stopped
