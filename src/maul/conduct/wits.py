"""The wits of a vigil: the classifier and the answer to it, with what they remember. No I/O."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from maul.guard.mitigation.actions import MitigationAction, Stance
from maul.guard.mitigation.classify import classify
from maul.guard.mitigation.respond import State, step
from maul.guard.mitigation.respond_terms import Terms
from maul.guard.mitigation.signals import Second
from maul.guard.mitigation.terms import ClassifyTerms


class Wits:
    """Satisfies `vigil.Think`."""

    def __init__(self, place: ClassifyTerms, terms: Terms, may_resume: Callable[[], bool]) -> None:
        """`terms` as far as they never change; `may_resume`: whether the permit that is in force allows it now."""
        self._place, self._terms, self._may_resume = place, terms, may_resume
        self._state = State()

    def __call__(self, window: Sequence[Second], phase: str, hurting: Sequence[str]) -> Sequence[MitigationAction]:
        """What the newest second asks for."""
        newest = window[-1]
        terms = replace(self._terms, phase=phase, hurting=tuple(hurting), may_resume=self._may_resume())
        self._state, actions = step(self._state, newest, classify(window, self._place), terms, newest.at_ns)
        return actions

    @property
    def stance(self) -> Stance:
        """See `vigil.Think`."""
        return self._state.stance

    def anew(self) -> None:
        """See `vigil.Think`. What comes next may not resume a second time: whoever is stopped then is done."""
        self._state = State()
        self._terms = replace(self._terms, resume=0.0)
