"""ConsentAnswer: what a target said when it was asked whether it agrees to be hit."""

from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """Where the owner of a target may place the permit's hash."""

    OBJECT = "object"
    HEADER = "header"
    DNS = "dns"


@dataclass(frozen=True, slots=True)
class ConsentAnswer:
    """One way, asked once. `found`: the hashes that stand there.

    `sure` is False when nobody could tell: no answer, a server error, a resolver that is down.
    """

    endpoint: str
    way: Way
    found: tuple[str, ...]
    sure: bool
    says: str
