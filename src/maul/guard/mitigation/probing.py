"""Probing: which one attempt to make next, while traffic is frozen. Never more than one per second over everybody.

An attempt that is not answered sends its SYN again by itself; so nothing new is asked before the last one ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from maul.core.vantage import Attempt, Question, Vantage
from maul.guard.mitigation.diagnosis import Diagnosis
from maul.guard.mitigation.respond_terms import Asker, Terms

GAP_NS = 1_000_000_000
SLACK_NS = 1_000_000_000
"""An answer is seen at the next tick, and came over a network."""
GENERATORS_MAX = 4
TELLING_TWICE_NS = 8_000_000_000
"""The attempt that would tell two causes apart is made again after so long, if they still are not."""


@dataclass(frozen=True, slots=True)
class Gentle:
    """What was asked since traffic is frozen. Begin with `Gentle(asked_ns=now)`: the load's own SYNs were just sent.

    `pending`: who has not answered yet. `times`: how often each was asked; `last`: how it ended the last time.
    """

    asked_ns: int = 0
    pending: Question | None = None
    times: Mapping[Question, int] = field(default_factory=dict)
    asked_at: Mapping[Question, int] = field(default_factory=dict)
    last: Mapping[Question, Attempt] = field(default_factory=dict)


def hear(gentle: Gentle, attempts: Iterable[Attempt], now_ns: int, limit_s: float) -> Gentle:
    """Take in what ended. Who does not even say that it failed is waited for no longer than an attempt may take."""
    last = dict(gentle.last)
    pending = gentle.pending
    for attempt in attempts:
        last[attempt.question] = attempt
        if attempt.question == pending and attempt.at_ns >= gentle.asked_ns - GAP_NS:
            pending = None
    if now_ns - gentle.asked_ns > round(limit_s * 1e9) + SLACK_NS:
        pending = None
    return replace(gentle, pending=pending, last=last)


def ready(gentle: Gentle, now_ns: int) -> bool:
    """Whether one more attempt may be made now."""
    return gentle.pending is None and now_ns - gentle.asked_ns >= GAP_NS


def ask(gentle: Gentle, question: Question, now_ns: int) -> Gentle:
    """After this was asked."""
    return replace(
        gentle,
        asked_ns=now_ns,
        pending=question,
        times={**gentle.times, question: gentle.times.get(question, 0) + 1},
        asked_at={**gentle.asked_at, question: now_ns},
    )


def next_question(
    gentle: Gentle, diagnosis: Diagnosis, terms: Terms, silent: Sequence[str], now_ns: int
) -> Question | None:
    """What to ask now, if anything: what tells the top two apart first, then the round, the least asked first."""
    if not ready(gentle, now_ns):
        return None
    telling = diagnosis.separate
    if telling is not None and terms.may_ask(telling):
        asked_ns = gentle.asked_at.get(telling)
        if asked_ns is None or (asked_ns != gentle.asked_ns and now_ns - asked_ns >= TELLING_TWICE_NS):
            return telling
    return min(the_round(terms, silent), key=lambda question: gentle.times.get(question, 0), default=None)


def the_round(terms: Terms, silent: Sequence[str]) -> tuple[Question, ...]:
    """Everybody once: from elsewhere, from our own hosts that are silent now, another port, whole frames."""
    elsewhere = terms.of(Vantage.EXTERNAL, Vantage.CONTROL, Vantage.INSIDE)
    ours = generators(terms, silent)
    asked = [asker.question() for asker in (*ours[:1], *elsewhere, *ours[1:])]
    if ours and terms.other_port:
        asked.append(ours[0].question(port=terms.other_port))
    if ours:
        asked.append(ours[0].question(large=True))
    return tuple(dict.fromkeys(asked))


def generators(terms: Terms, silent: Sequence[str]) -> tuple[Asker, ...]:
    """At most four idle ones: one that fell silent, one that did not, then as many racks as there are."""
    idle, fell = terms.of(Vantage.IDLE), frozenset(silent)
    hit = [asker for asker in idle if asker.who in fell]
    spared = [asker for asker in idle if asker.who not in fell]
    one_of_rack = {asker.rack: asker for asker in (*reversed(spared), *reversed(hit))}
    most = min(GENERATORS_MAX, 1 + len(one_of_rack))
    first = [*hit[:1], *spared[:1]]
    seen = {asker.rack for asker in first}
    more = [asker for rack, asker in one_of_rack.items() if rack not in seen]
    return tuple(dict.fromkeys([*first, *more, *hit[:most], *spared[:most]]))[:most]


def went_round(gentle: Gentle, diagnosis: Diagnosis, terms: Terms, silent: Sequence[str]) -> bool:
    """Whether everybody was asked, and what would tell the top two apart."""
    asked = [*the_round(terms, silent)]
    if diagnosis.separate is not None and terms.may_ask(diagnosis.separate):
        asked.append(diagnosis.separate)
    return gentle.pending is None and all(gentle.times.get(question, 0) for question in asked)
