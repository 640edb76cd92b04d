"""Three answers, ordered. Doubt is UNKNOWN, never PASS; no check, no pass."""

from collections.abc import Iterable
from enum import IntEnum


class Verdict(IntEnum):
    """PASS < UNKNOWN < FAIL: the worst of many is their maximum."""

    PASS = 0
    UNKNOWN = 1
    FAIL = 2


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst verdict; of none at all, UNKNOWN.

    >>> worst([Verdict.PASS, Verdict.UNKNOWN]).name
    'UNKNOWN'
    >>> worst([]).name
    'UNKNOWN'
    """
    return max(verdicts, default=Verdict.UNKNOWN)
