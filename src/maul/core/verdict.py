"""Three answers, ordered. Doubt is UNKNOWN, never PASS; no check, no pass."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer


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


def _verdict(value: object) -> object:
    return Verdict[value] if isinstance(value, str) else value


VerdictName = Annotated[
    Verdict, BeforeValidator(_verdict), PlainSerializer(lambda v: v.name, return_type=str, when_used="json")
]
"""As JSON has it: by name."""
