"""Respond: what to do at every second, from what was seen and what it was said to be. Pure.

NORMAL → SUSPECT → (Freeze) PROBING → (Verdict) HELD → RECOVERED → Resume, back to NORMAL; or OVER. Nobody asks anything
by himself between Freeze and Resume (`Lookout.quiet`): then one attempt per second over everybody is all there is.
Whoever calls `classify` begins a new window of seconds after Resume, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from maul.core.units import show_duration
from maul.core.vantage import Question, Vantage
from maul.guard.mitigation import holding
from maul.guard.mitigation.actions import (
    Ask,
    Freeze,
    GiveUp,
    MitigationAction,
    Recovered,
    Resume,
    Stance,
    Suspected,
    Verdict,
)
from maul.guard.mitigation.causes import Family
from maul.guard.mitigation.diagnosis import Diagnosis
from maul.guard.mitigation.holding import Hold
from maul.guard.mitigation.onset import SUSPECT, Onset, listen, unanswered
from maul.guard.mitigation.probing import Gentle, ask, hear, next_question, went_round
from maul.guard.mitigation.respond_terms import PART_MAX, Terms
from maul.guard.mitigation.signals import Second

PROTECTION_ROW, PROTECTION_ROW_QUIET = 3, 5
"""Diagnoses in a row that call it a protection, until it is acted upon: while answers are missing, and while not."""
TELL_ROW = 5
"""Diagnoses in a row that call it the same, until that is told although nothing is frozen."""
GRACE_NS = 10_000_000_000
"""After our own fault was healed: connections come back."""
PROBE_MIN_NS = 5_000_000_000
STOPS_MAX, ALARMS_MAX = 5, 3
"""Mitigations with the right to trigger again, and false alarms: after so many the run ends."""
REVISE_NS = 120_000_000_000
UNKNOWN = "unknown"
QUIET_NS = 10_000_000_000
"""A suspicion that came to nothing is not told again for so long."""

Actions = tuple[MitigationAction, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered. Begin with `State()`. Times are Unix ns; 0: it did not come to that."""

    stance: Stance = Stance.NORMAL
    onset: Onset = field(default_factory=Onset)
    gentle: Gentle = field(default_factory=Gentle)
    hold: Hold = field(default_factory=Hold)
    silent: Sequence[str] = ()
    """Generators that had fallen silent when traffic was frozen."""
    onset_ns: int = 0
    suspected_ns: int = 0
    frozen_ns: int = 0
    verdict: Diagnosis | None = None
    revised: bool = False
    protection_row: int = 0
    same_row: int = 0
    last_cause: str = ""
    told: frozenset[str] = frozenset()
    """Causes that were told although nothing was frozen; each once."""
    quiet_until_ns: int = 0
    hurt_until_ns: int = 0
    resumed_ns: int = 0
    """What began before is over; a diagnosis whose onset lies before speaks of the past."""
    stops: int = 0
    """Times that traffic was stopped by somebody, and not by the target or ourselves."""
    alarms: int = 0
    """Times that it was the target or ourselves."""
    met: Mapping[tuple[Vantage, str], bool] = field(default_factory=dict)
    """Who was asked in good times, and whether he ever was answered."""

    @property
    def never(self) -> frozenset[tuple[Vantage, str]]:
        """Who was not answered in good times either."""
        return frozenset(who for who, reached in self.met.items() if not reached)


def step(state: State, second: Second, diagnosis: Diagnosis, terms: Terms, now_ns: int) -> tuple[State, Actions]:
    """One second further. At most one Freeze per onset, one Ask per second; nothing after GiveUp."""
    if state.stance is Stance.OVER:
        return state, ()
    if state.stance is Stance.PROBING:
        return _probing(state, second, diagnosis, terms, now_ns)
    if state.stance is Stance.HELD:
        return _held(state, second, diagnosis, terms, now_ns)
    if state.stance is Stance.RECOVERED:
        return _recovered(state, terms, now_ns)
    if diagnosis.onset_ns is not None and diagnosis.onset_ns < state.resumed_ns:
        diagnosis = Diagnosis(now_ns, None, (), "")
    return _listening(state, second, diagnosis, terms, now_ns)


def is_false_alarm(diagnosis: Diagnosis) -> bool:
    """Nobody stopped us: the target or a generator of ours was silent, or nothing is wrong at all."""
    family = diagnosis.cause.family if diagnosis.cause is not None else None
    return diagnosis.healthy or family in {Family.TARGET, Family.GENERATOR}


def _listening(state: State, second: Second, diagnosis: Diagnosis, terms: Terms, now_ns: int) -> tuple[State, Actions]:
    state = _noted(state, second, diagnosis, terms, now_ns)
    protection = state.protection_row > 0 and not second.silent
    if state.onset.score < SUSPECT and not protection:
        calm = state.onset.score == 0 and state.stance is Stance.SUSPECT
        if calm:
            state = replace(state, stance=Stance.NORMAL, suspected_ns=0, quiet_until_ns=now_ns + QUIET_NS)
        return _told_only(state, diagnosis, terms, now_ns)
    actions: list[MitigationAction] = []
    spared = _spared(state, diagnosis, terms, now_ns)
    if state.stance is Stance.NORMAL:
        state = replace(state, stance=Stance.SUSPECT, suspected_ns=now_ns)
        if now_ns >= state.quiet_until_ns:
            actions.append(Suspected(_suspicion(state, diagnosis, spared)))
    if spared:
        state, told = _told_only(state, diagnosis, terms, now_ns)
        return state, (*actions, *told)
    if not _is_certain(state, second):
        return state, tuple(actions)
    onset_ns = diagnosis.onset_ns or state.onset.since_ns or now_ns
    says = _freezing(state, diagnosis)
    state = replace(
        state,
        stance=Stance.PROBING,
        onset_ns=onset_ns,
        frozen_ns=now_ns,
        silent=state.onset.silent,
        gentle=Gentle(asked_ns=now_ns),
        hold=Hold(),
        verdict=None,
        revised=False,
    )
    return state, (*actions, Freeze(says, onset_ns))


def _noted(state: State, second: Second, diagnosis: Diagnosis, terms: Terms, now_ns: int) -> State:
    hurting = bool(terms.hurting)
    healed = 0 < state.hurt_until_ns <= now_ns and not hurting
    family = diagnosis.cause.family if diagnosis.cause is not None else None
    cause = str(diagnosis.cause or "")
    met = dict(state.met)
    for attempt in second.attempts if state.onset.score == 0 else ():
        who = (attempt.question.vantage, attempt.question.who)
        met[who] = met.get(who, False) or attempt.reached
    return replace(
        state,
        onset=Onset(terms.phase) if healed else listen(state.onset, second, terms.phase),
        protection_row=state.protection_row + 1 if family is Family.PROTECTION else 0,
        same_row=state.same_row + 1 if cause and cause == state.last_cause else 1,
        last_cause=cause,
        hurt_until_ns=now_ns + GRACE_NS if hurting else 0 if healed else state.hurt_until_ns,
        met=met,
    )


def _is_certain(state: State, second: Second) -> bool:
    if state.onset.certain:
        return True
    missing = state.onset.score > 0 or any(unanswered(one) for one in second.generators.values())
    return state.protection_row >= (PROTECTION_ROW if missing else PROTECTION_ROW_QUIET)


def _spared(state: State, diagnosis: Diagnosis, terms: Terms, now_ns: int) -> str:
    """Why a suspicion is only told; empty: it is acted upon. What is called a protection spares nobody for long."""
    if terms.act == "watch":
        return "this campaign only watches"
    if state.protection_row >= PROTECTION_ROW:
        return ""
    if now_ns < state.hurt_until_ns:
        faults = ", ".join(terms.hurting)
        return f"our own fault {faults} is active" if faults else "our own fault was healed a moment ago"
    if diagnosis.cause is not None and is_false_alarm(diagnosis):
        return f"this looks like {diagnosis.cause}, which is no doing of anybody upstream"
    return ""


def _told_only(state: State, diagnosis: Diagnosis, terms: Terms, now_ns: int) -> tuple[State, Actions]:
    """Nothing is frozen. What it was is told when the diagnosis stands, or will not get any better; each cause once."""
    cause = str(diagnosis.cause or UNKNOWN)
    stands = diagnosis.cause is not None and state.same_row >= TELL_ROW
    waited_ns = now_ns - state.suspected_ns if state.stance is Stance.SUSPECT else 0
    late = waited_ns >= round(terms.probe_s * 1e9)
    if cause in state.told or diagnosis.healthy or not (stands or late):
        return state, ()
    return replace(state, told=state.told | {cause}), (Verdict(diagnosis),)


def _probing(state: State, second: Second, diagnosis: Diagnosis, terms: Terms, now_ns: int) -> tuple[State, Actions]:
    state = _heard(state, second, terms, now_ns)
    waited_ns = now_ns - state.frozen_ns
    clear = diagnosis.cause is not None and went_round(state.gentle, diagnosis, terms, state.silent)
    if waited_ns >= round(terms.probe_s * 1e9) or (waited_ns >= PROBE_MIN_NS and clear):
        alarm = is_false_alarm(diagnosis)
        state = replace(
            state,
            stance=Stance.HELD,
            verdict=diagnosis,
            hold=holding.begin(state.hold, now_ns),
            alarms=state.alarms + alarm,
            stops=state.stops + (not alarm),
        )
        return state, (Verdict(diagnosis),)
    question = next_question(state.gentle, diagnosis, terms, state.silent, now_ns)
    if question is None:
        return state, ()
    return replace(state, gentle=ask(state.gentle, question, now_ns)), (Ask(question),)


def _held(state: State, second: Second, diagnosis: Diagnosis, terms: Terms, now_ns: int) -> tuple[State, Actions]:
    before = state.hold
    state = _heard(state, second, terms, now_ns)
    state = replace(state, hold=holding.soon(before, state.hold, now_ns))
    revised: Actions = ()
    if _is_better(state, diagnosis, now_ns):
        state = replace(state, verdict=diagnosis, revised=True)
        revised = (Verdict(diagnosis),)
    floor_s = _floor_s(state, terms)
    canaries = _canaries(state, terms)
    if not canaries:
        return _give_up(state, "there is nobody who could ask whether it is over", revised)
    if holding.is_over(state.hold, canaries, now_ns, floor_s):
        hold_s, quantum_s = holding.lasted(state.hold, state.onset_ns)
        says = (
            f"everybody has been answered for {show_duration((now_ns - state.hold.well_ns) / 1e9)}; "
            f"it lasted {show_duration(hold_s)}, give or take {show_duration(quantum_s)}"
        )
        return replace(state, stance=Stance.RECOVERED), (*revised, Recovered(says, hold_s, quantum_s))
    if now_ns - state.frozen_ns >= round(terms.hold_max_s * 1e9):
        return _give_up(state, f"it is not over after {show_duration(terms.hold_max_s)}", revised)
    question = holding.next_canary(state.hold, state.gentle, canaries, now_ns)
    if question is None:
        return state, revised
    hold = holding.after_asking(state.hold, now_ns, floor_s)
    return replace(state, gentle=ask(state.gentle, question, now_ns), hold=hold), (*revised, Ask(question))


def _recovered(state: State, terms: Terms, now_ns: int) -> tuple[State, Actions]:
    """Resume where that is allowed; whatever was learnt of what is usual, is learnt anew."""
    why_not = _may_not_resume(state, terms)
    if why_not:
        return _give_up(state, why_not)
    part = min(terms.resume, PART_MAX)
    fresh = State(stops=state.stops, alarms=state.alarms, met=state.met, resumed_ns=now_ns)
    return fresh, (Resume(part, f"going on with {part:.0%} of the load at which it began"),)


def _may_not_resume(state: State, terms: Terms) -> str:
    if terms.resume <= 0:
        return "the campaign says not to go on after that (mitigation.resume)"
    if not terms.may_resume:
        return "the permit does not allow to go on after that (resume)"
    if state.stops > (STOPS_MAX if terms.retrigger else 1):
        return f"traffic was stopped {state.stops} times; once more would be to trigger it on purpose"
    if state.alarms > ALARMS_MAX:
        return f"silence came {state.alarms} times by the target or ourselves; that is enough to know"
    return ""


def _give_up(state: State, says: str, before: Actions = ()) -> tuple[State, Actions]:
    return replace(state, stance=Stance.OVER), (*before, GiveUp(f"nothing more is sent: {says}"))


def _heard(state: State, second: Second, terms: Terms, now_ns: int) -> State:
    asked_for = [attempt for attempt in second.attempts if attempt.question.vantage is not Vantage.SENTINEL]
    since = [attempt for attempt in asked_for if attempt.at_ns >= state.frozen_ns]
    return replace(
        state,
        gentle=hear(state.gentle, since, now_ns, terms.answer_limit_s),
        hold=holding.take(state.hold, since, _canaries(state, terms)),
    )


def _canaries(state: State, terms: Terms) -> tuple[Question, ...]:
    return holding.canaries_of(terms, state.silent, state.never)


def _floor_s(state: State, terms: Terms) -> float:
    return holding.floor_s(terms, false_alarm=state.verdict is not None and is_false_alarm(state.verdict))


def _is_better(state: State, diagnosis: Diagnosis, now_ns: int) -> bool:
    """Unknown until now, and known by what the canaries or the network told since; while the onset is still in view."""
    unknown = state.verdict is not None and state.verdict.cause is None
    return unknown and not state.revised and diagnosis.cause is not None and now_ns - state.onset_ns < REVISE_NS


def _suspicion(state: State, diagnosis: Diagnosis, spared: str) -> str:
    who = _who(state)
    slow = "; it had become slow before" if state.onset.slowing else ""
    named = f": {diagnosis.says}" if diagnosis.cause is not None and diagnosis.says else ""
    return f"{who}{slow}{named}" + (f"; only told, since {spared}" if spared else "")


def _freezing(state: State, diagnosis: Diagnosis) -> str:
    named = f" ({diagnosis.says})" if diagnosis.cause is not None and diagnosis.says else ""
    return f"{_who(state)}{named}: all load is stopped until it is known why"


def _who(state: State) -> str:
    silent, everybody = state.onset.silent, [name for name in state.onset.by_name if name]
    if not silent:
        return "a protection seems to act"
    if len(silent) == len(everybody):
        return "answers ceased to come"
    return f"answers ceased to come at {len(silent)} of {len(everybody)} generators: {', '.join(silent[:5])}"
