"""Consent, judged: do the targets agree, and for how long may they be too busy to say so? Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from maul.core.consent import ConsentAnswer, Way
from maul.core.units import show_duration

NOES_TO_STOP = 2
"""A target that says no is asked once more: a reader may be behind a moment after a write."""


NEVER: Mapping[str, Way] = {}


class Standing(Enum):
    """What all targets together say."""

    GIVEN = "given"
    UNTOLD = "untold"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Consented:
    """The answer, and for each endpoint that does not agree why."""

    standing: Standing
    says: str = ""


def agrees(permit_hash: str, answer: ConsentAnswer) -> bool:
    """Whether this one answer proves consent."""
    return permit_hash in answer.found


def proven_by(permit_hash: str, answers: Mapping[str, Sequence[ConsentAnswer]]) -> dict[str, Way]:
    """In which way each endpoint agreed."""
    return {name: one.way for name, given in answers.items() for one in given if agrees(permit_hash, one)}


def consented(
    permit_hash: str, answers: Mapping[str, Sequence[ConsentAnswer]], before: Mapping[str, Way] = NEVER
) -> Consented:
    """Every endpoint must agree, in any way. No endpoint is no consent.

    An endpoint that can be asked and does not agree is REFUSED; so is one that agreed `before` in a way that now says
    no. Any other that does not agree is UNTOLD: somebody was too busy to answer.
    """
    if not answers:
        return Consented(Standing.REFUSED, "no endpoint was asked")
    told = []
    standing = Standing.GIVEN
    for endpoint, given in answers.items():
        if any(agrees(permit_hash, one) for one in given):
            continue
        known = any(one.sure and one.way is before.get(endpoint) for one in given)
        known = known or (bool(given) and all(one.sure for one in given))
        standing = Standing.REFUSED if known or standing is Standing.REFUSED else Standing.UNTOLD
        told.append(f"{endpoint}: " + ", ".join(_shown(one) for one in given))
    return Consented(standing, "; ".join(told))


def _shown(answer: ConsentAnswer) -> str:
    other = f" of another permit ({answer.found[0][:12]}…)" if answer.found else ""
    return f"{answer.way}: {answer.says}{other}"


@dataclass(frozen=True, slots=True)
class ConsentState:
    """What the checks of a run have said so far."""

    given_ns: int
    """When consent was last proven."""
    noes: int = 0


def next_consent(state: ConsentState, seen: Consented, now_ns: int, grace_s: float) -> tuple[ConsentState, str | None]:
    """The state after one more check, and why the run must stop, if it must."""
    if seen.standing is Standing.GIVEN:
        return ConsentState(now_ns), None
    noes = state.noes + (seen.standing is Standing.REFUSED)
    if noes >= NOES_TO_STOP:
        return ConsentState(state.given_ns, noes), f"the target withdrew its consent ({seen.says})"
    for_s = (now_ns - state.given_ns) / 1e9
    if for_s > grace_s:
        says = f"for {show_duration(for_s)} nobody could confirm the target's consent ({seen.says})"
        return ConsentState(state.given_ns, noes), says
    return ConsentState(state.given_ns, noes), None
