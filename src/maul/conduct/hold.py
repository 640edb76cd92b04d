"""The hold: between engines, after somebody upstream stopped the traffic. Asks gently, waits, tells what it waits for.

Nothing is sent but the attempts that `guard.mitigation` asks for, one at a time. It ends when it is over, when nobody
may wait any longer, or when somebody stops the run.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from maul.conduct.mitigation_words import first_sentence
from maul.conduct.progress import PhaseProgress
from maul.conduct.seconds import LOCAL
from maul.conduct.stage import Stage
from maul.conduct.vigil import SECOND_NS, Frozen, Vigil
from maul.core.units import show_duration
from maul.core.vantage import Attempt, Question, Vantage
from maul.guard.caps import time_over
from maul.guard.mitigation.actions import Ask, GiveUp, MitigationAction, Resume

MARGIN_S = 300.0
"""Beyond all that is allowed to last: then the hold itself gives up."""
ASKS_MAX = 8
ANSWER_S = 6.0
"""How long the target has to answer, before anything is tidied up."""
TELL_EVERY_S = 60.0
HELD = "held"
"""What the progress calls it."""


def hold(stage: Stage, vigil: Vigil, frozen: Frozen) -> Resume | GiveUp | None:
    """Wait, asking gently. None: the run was stopped meanwhile."""
    return _Hold(stage, vigil, frozen).wait()


def answers(stage: Stage, vigil: Vigil) -> bool | None:
    """Whether the target answers one attempt from a generator's host now; None: nobody can make one."""
    fleet = stage.plan.fleet
    names = [one.name for one in fleet.generators] if fleet is not None else [LOCAL]
    asked = [Question(Vantage.IDLE, name, stage.plan.phases[0].endpoints[0]) for name in names]
    question = next((one for one in asked if vigil.ask(one)), None)
    if question is None:
        return None
    for _ in range(int(ANSWER_S)):
        stage.clock.wait(1.0, stage.stop.hurried)
        vigil.second(silent=True)
        came = [one for one in vigil.newest.attempts if one.question == question] if vigil.newest else []
        if came:
            return came[-1].reached
    return False


class _Hold:
    def __init__(self, stage: Stage, vigil: Vigil, frozen: Frozen) -> None:
        self._stage, self._vigil, self._frozen = stage, vigil, frozen
        terms = stage.plan.mitigation
        self._began_ns = stage.clock.now_ns()
        self._longest_s = terms.probe_s + terms.hold_max_s + MARGIN_S
        self._asks: deque[Question] = deque(maxlen=ASKS_MAX)
        self._asked: list[int] = []
        self._last: Attempt | None = None
        self._told_ns = 0

    def wait(self) -> Resume | GiveUp | None:
        next_ns = self._began_ns
        while not self._stage.stopped:
            self._stage.clock.wait(max(0.0, (next_ns - self._stage.clock.now_ns()) / 1e9), self._stage.stop.stopped)
            next_ns = self._stage.clock.now_ns() + SECOND_NS
            why_not = self._too_long()
            if why_not:
                return GiveUp(f"nothing more is sent: {why_not}")
            end = self._heed(self._vigil.second(silent=True))
            if end is not None:
                return end
            self._tell()
        return None

    def _too_long(self) -> str | None:
        now_ns = self._stage.clock.now_ns()
        if now_ns - self._began_ns > self._longest_s * 1e9:
            return f"it is not over after {show_duration(self._longest_s)}"
        return time_over(now_ns, self._stage.began_ns, self._stage.plan.limits.seconds)

    def _heed(self, actions: Sequence[MitigationAction]) -> Resume | GiveUp | None:
        for action in actions:
            if isinstance(action, Resume | GiveUp):
                return action
            if isinstance(action, Ask):
                self._asks.append(action.question)
        if self._asks:  # whatever was decided: at most one attempt per second leaves here
            question = self._asks.popleft()
            if self._vigil.ask(question):
                self._asked = [*self._asked[-1:], self._stage.clock.now_ns()]
        return None

    def _tell(self) -> None:
        """One look each second, and a line that stays once a minute or when an attempt ends otherwise."""
        now_ns = self._stage.clock.now_ns()
        newest = self._vigil.newest
        came = [one for one in newest.attempts if one.question.vantage is not Vantage.SENTINEL] if newest else []
        changed = bool(came) and (self._last is None or came[-1].reach is not self._last.reach)
        self._last = came[-1] if came else self._last
        says = self._says()
        self._stage.progress.alarm(self._vigil.stance.value, says)
        self._stage.progress.phase(_look(self._frozen.phase, (now_ns - self._frozen.decided_ns) / 1e9, says))
        if changed or now_ns - self._told_ns >= TELL_EVERY_S * 1e9:
            self._told_ns = now_ns
            self._stage.progress.step(f"{HELD}: {says}")

    def _says(self) -> str:
        found = self._vigil.verdict
        what = _shortly(found.says if found is not None else self._frozen.says)
        words = [f"{what} since {_clock_time(self._frozen.onset_ns)}"]
        if self._last is not None:
            question = self._last.question
            words.append(
                f"{question.vantage} {question.who} asked {question.endpoint}"
                f"{f', port {question.port},' if question.port else ''} at {_clock_time(self._last.at_ns)}: "
                f"{self._last.reach}"
            )
        if len(self._asked) == 2:
            gap_s = (self._asked[1] - self._asked[0]) / 1e9
            words.append(f"asking once in {show_duration(max(1.0, round(gap_s)))}")
        return "; ".join([*words, "nothing else is sent; Ctrl-C ends"])


def _look(phase: str, elapsed_s: float, says: str) -> PhaseProgress:
    return PhaseProgress(
        phase=f"{phase} {HELD}",
        elapsed_s=elapsed_s,
        left_s=0.0,
        run_left_s=0.0,
        offered_per_s=0.0,
        done_per_s=0.0,
        p99_ms=None,
        errors=0,
        dropped=0,
        in_flight=0,
        says=says,
    )


def _shortly(says: str) -> str:
    """What happened, without what tells it and what is done about it."""
    return first_sentence(says).rstrip(".").partition(" (")[0].partition(": ")[0]


def _clock_time(at_ns: int) -> str:
    """As the clock on the wall of whoever reads it."""
    return datetime.fromtimestamp(at_ns / 1e9).astimezone().strftime("%H:%M:%S")
