"""Histories written by hand: short operations on few keys, and brute-force answers about them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maul.core.operation import OPERATION_DTYPE, ErrorClass, Op, Outcome

INFINITY = float("inf")
S = 1_000_000_000


@dataclass(frozen=True)
class Change:
    """A write (`version` > 0) or a delete (`version` None) of one key, from `start` to `end`."""

    start: int
    end: int
    version: int | None
    outcome: Outcome = Outcome.OK
    key: int = 1

    @property
    def certain_end(self) -> float:
        return self.end if self.outcome == Outcome.OK else INFINITY


def possible_ends(changes: Sequence[Change]) -> set[int | None]:
    """The states (version, or None for no object) in which some linearization of the history ends.

    By enumeration: every subset of the uncertain changes took effect, in every order that real time allows.
    """
    certain = [c for c in changes if c.outcome == Outcome.OK]
    uncertain = [c for c in changes if c.outcome == Outcome.UNKNOWN]
    ends: set[int | None] = set()
    for count in range(len(uncertain) + 1):
        for some in combinations(uncertain, count):
            for order in permutations([*certain, *some]):
                if _in_real_time(order):
                    ends.add(order[-1].version if order else None)
    return ends


def possible_reads(changes: Sequence[Change], start: int, end: int) -> set[int | None]:
    """What a read from `start` to `end` may show, by enumeration of orders that contain the read."""
    read = Change(start, end, -1)
    certain = [c for c in changes if c.outcome == Outcome.OK]
    uncertain = [c for c in changes if c.outcome == Outcome.UNKNOWN]
    seen: set[int | None] = set()
    for count in range(len(uncertain) + 1):
        for some in combinations(uncertain, count):
            for order in permutations([*certain, *some, read]):
                if _in_real_time(order):
                    place = order.index(read)
                    seen.add(order[place - 1].version if place else None)
    return seen


def _in_real_time(order: Sequence[Change]) -> bool:
    return not any(b.certain_end < a.start for a, b in combinations(order, 2))


def operations(changes: Iterable[Change]) -> NDArray[Any]:
    """The changes as the engine records them."""
    rows = np.zeros(0, OPERATION_DTYPE)
    for change in changes:
        row = np.zeros(1, OPERATION_DTYPE)
        row["key"] = change.key
        row["due_ns"] = row["start_ns"] = change.start
        row["end_ns"] = change.end
        row["op"] = Op.DELETE if change.version is None else Op.PUT
        row["version"] = change.version or 0
        row["outcome"] = change.outcome
        row["status"] = {Outcome.OK: 200, Outcome.FAIL: 403}.get(change.outcome, 0)
        row["error_class"] = {
            Outcome.OK: ErrorClass.NONE,
            Outcome.FAIL: ErrorClass.ACCESS_DENIED,
            Outcome.UNKNOWN: ErrorClass.TIMEOUT,
            Outcome.DROPPED: ErrorClass.BACKLOG,
        }[change.outcome]
        rows = np.concatenate([rows, row])
    return rows


def read(
    version: int | None = None,
    *,
    key: int = 1,
    endpoint: int = 0,
    start: int = 100 * S,
    end: int | None = None,
    error: ErrorClass = ErrorClass.NONE,
    status: int = 200,
) -> NDArray[Any]:
    """One GET: a version, None for a 404, or an error."""
    row = np.zeros(1, OPERATION_DTYPE)
    row["op"] = Op.GET
    row["key"], row["endpoint"] = key, endpoint
    row["due_ns"] = row["start_ns"] = start
    row["end_ns"] = start + S // 100 if end is None else end
    if error is ErrorClass.NONE and version is None:
        error, status = ErrorClass.NO_SUCH_KEY, 404
    row["version"] = version or 0
    row["error_class"], row["status"] = error, status
    row["outcome"] = Outcome.OK if error is ErrorClass.NONE else Outcome.FAIL
    if error in (ErrorClass.STOPPED, ErrorClass.TIMEOUT):
        row["outcome"] = Outcome.UNKNOWN
    if error is ErrorClass.BACKLOG:
        row["outcome"] = Outcome.DROPPED
    return row


def together(*rows: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate(rows) if rows else np.zeros(0, OPERATION_DTYPE)
