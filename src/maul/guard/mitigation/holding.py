"""Holding: sparse canaries that ask whether it is over, and for how long it lasted.

One attempt at a time, further and further apart. A detector that lifts its ban only once the attack has ended
(FastNetMon: `unban_only_if_attack_finished`) never lifts it while it is asked often.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from maul.core.vantage import Attempt, Question, Reach, Vantage
from maul.guard.mitigation.onset import SILENT_REACHES
from maul.guard.mitigation.probing import Gentle, generators, ready
from maul.guard.mitigation.respond_terms import Terms

GAPS_S = (15.0, 30.0, 60.0, 120.0)
"""Between canaries; the last one from then on."""
CONFIRM_PARTS = 12
"""While it looks over: so many canaries within the time that it must last, but not closer than two seconds."""
CONFIRM_GAP_MIN_S = 2.0
FALSE_ALARM_S = 10.0


@dataclass(frozen=True, slots=True)
class Hold:
    """What is remembered since traffic was frozen. Begin with `Hold()`.

    `silent_ns`: the last attempt at the loaded door that met silence; `reached_ns`: the first one after it that came
    through, whatever the answer; `well_ns`: since when everybody is answered well. 0: not yet.
    """

    next_ns: int = 0
    gap: int = 0
    silent_ns: int = 0
    reached_ns: int = 0
    well_ns: int = 0
    well: Mapping[Question, int] = field(default_factory=dict)
    """When each was last answered well, since `well_ns`."""


def take(hold: Hold, attempts: Iterable[Attempt], canaries: Sequence[Question]) -> Hold:
    """Take in how attempts ended. What our own machine could not send says nothing.

    Only who asks the loaded door can say that it may be over; that the others are answered well is asked then.
    """
    first = leads(canaries)
    for attempt in sorted(attempts, key=lambda one: one.at_ns):
        if attempt.question not in canaries or attempt.reach is Reach.LOCAL:
            continue
        at_door = attempt.question in first
        if at_door and attempt.reach in SILENT_REACHES:
            hold = replace(hold, silent_ns=max(hold.silent_ns, attempt.at_ns), reached_ns=0)
        elif at_door and attempt.reached and not hold.reached_ns:
            hold = replace(hold, reached_ns=attempt.at_ns)
        if attempt.reach is Reach.ANSWERED and not hold.well_ns and attempt.question not in first:
            continue
        if attempt.reach is Reach.ANSWERED:
            hold = replace(
                hold, well_ns=hold.well_ns or attempt.at_ns, well={**hold.well, attempt.question: attempt.at_ns}
            )
        else:
            hold = replace(hold, well_ns=0, well={})
    return hold


def canaries_of(terms: Terms, silent: Sequence[str], never: frozenset[tuple[Vantage, str]]) -> tuple[Question, ...]:
    """Who must be answered again: generators that were silent first, from outside, and the control address.

    `never`: who was not answered in good times either; nothing can be learnt from them.
    """
    ours = generators(terms, silent)
    elsewhere = terms.of(Vantage.EXTERNAL, Vantage.CONTROL)
    return tuple(
        dict.fromkeys(asker.question() for asker in (*ours, *elsewhere) if (asker.vantage, asker.who) not in never)
    )


def leads(canaries: Sequence[Question]) -> tuple[Question, ...]:
    """Who asks the loaded door: idle generators; without any, whoever there is."""
    return tuple(one for one in canaries if one.vantage is Vantage.IDLE) or tuple(canaries)


def next_canary(hold: Hold, gentle: Gentle, canaries: Sequence[Question], now_ns: int) -> Question | None:
    """Whom to ask now, if anybody: the loaded door until it answers, then everybody in turn."""
    if not canaries or now_ns < hold.next_ns or not ready(gentle, now_ns):
        return None
    if not hold.well_ns:
        return min(leads(canaries), key=lambda one: (_answered(gentle, one), gentle.asked_at.get(one, 0)))
    return min(canaries, key=lambda one: (hold.well.get(one, 0), gentle.asked_at.get(one, 0)))


def _answered(gentle: Gentle, question: Question) -> bool:
    last = gentle.last.get(question)
    return last is not None and last.reach is Reach.ANSWERED


def after_asking(hold: Hold, now_ns: int, floor_s: float) -> Hold:
    """When to ask next: sparsely while there is silence, evenly within the time to confirm while there is none."""
    if hold.well_ns:
        gap_s = max(CONFIRM_GAP_MIN_S, floor_s / CONFIRM_PARTS)
        return replace(hold, next_ns=now_ns + round(gap_s * 1e9))
    gap_s = GAPS_S[min(hold.gap + 1, len(GAPS_S) - 1)]
    return replace(hold, gap=hold.gap + 1, next_ns=now_ns + round(gap_s * 1e9))


def begin(hold: Hold, now_ns: int) -> Hold:
    """After the verdict: the first canary waits, unless the door already answers."""
    return replace(hold, gap=0, next_ns=now_ns if hold.well_ns else now_ns + round(GAPS_S[0] * 1e9))


def soon(before: Hold, after: Hold, now_ns: int) -> Hold:
    """The first good answer after silence: ask the others now, and not after the long gap."""
    if after.well_ns and not before.well_ns:
        return replace(after, next_ns=now_ns)
    if before.well_ns and not after.well_ns:
        return replace(after, next_ns=now_ns + round(GAPS_S[min(after.gap, len(GAPS_S) - 1)] * 1e9))
    return after


def is_over(hold: Hold, canaries: Sequence[Question], now_ns: int, floor_s: float) -> bool:
    """Whether everybody has been answered well, for long enough."""
    return (
        bool(hold.well_ns and canaries)
        and now_ns - hold.well_ns >= round(floor_s * 1e9)
        and all(question in hold.well for question in canaries)
    )


def floor_s(terms: Terms, *, false_alarm: bool) -> float:
    """How long everybody must have been answered."""
    floor = max(terms.recovered_after_s, 2 * terms.detect_s)
    return min(floor, FALSE_ALARM_S) if false_alarm else floor


def lasted(hold: Hold, onset_ns: int) -> tuple[float, float]:
    """How long it lasted, and how coarse that is: the gap between the last silence and the first that came through."""
    ended_ns = hold.reached_ns or hold.well_ns
    silent_ns = hold.silent_ns or onset_ns
    return max(0, ended_ns - onset_ns) / 1e9, max(0, ended_ns - silent_ns) / 1e9
