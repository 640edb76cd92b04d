"""Ledger: what the target may hold, folded from everything that was written.

For each key the operations form a history of intervals. A write may be the last one unless another write or
delete, acknowledged, *started after it had ended*: that one must have come later, and replaced it. A write
of unknown outcome (timed out, reset, stopped) may take effect at any time after its start, or never: it has
no end, and obliges to nothing. This is exactly the set of last operations over all linearizations of the
history; the tests enumerate them.

A copy writes whatever version its original has at some moment between its start and its end. Which one is not in the
record: any that the original may have had from the start of the earliest copy that may be the last one to the end of
the latest is accepted; during the load no read of a copy is called stale.

Keys do not depend on each other, but copies on their originals: the ledger of a range of keys and of their copies is
the fold of the operations on both. A record larger than memory can therefore be folded range by range.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maul.core.errors import InternalError
from maul.core.operation import (
    ABANDONED,
    COPIES,
    DELETES,
    OPERATION_DTYPE,
    REGION_SHIFT,
    WRITES,
    Op,
    Outcome,
    Region,
)
from maul.verify.unheard import HEARD, Unheard
from maul.verify.words import show_moment, show_version

Operations = NDArray[Any]
"""A structured array of core.operation.OPERATION_DTYPE."""
Numbers = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

NEVER = np.uint64(2**64 - 1)
"""The end of a write whose outcome is unknown."""
_NAMED_MAX = 3
_SERVER_ERROR = 500


@dataclass(frozen=True)
class Writes:
    """The writes and deletes that took effect or may have, sorted by key, then start. Columns of one length.

    `key_place` is the place of the key in `Ledger.keys`; `end_ns` is NEVER where the outcome is unknown.
    """

    key_place: Places
    version: Numbers
    start_ns: Numbers
    end_ns: Numbers
    acknowledged: Flags
    delete: Flags
    copy: Flags
    acceptable: Flags

    def __len__(self) -> int:
        """How many."""
        return len(self.key_place)


@dataclass(frozen=True)
class _Copies:
    """For each key of the ledger, of the copies that may be its last one: when the earliest began and the latest ended.

    `floor_ns`: the start of the newest change of the original that was acknowledged before the earliest began: what had
    ended before that had been replaced. All 0 for keys that are no copies.
    """

    from_ns: Numbers
    until_ns: Numbers
    floor_ns: Numbers

    @classmethod
    def of(cls, keys: Numbers, writes: Writes) -> "_Copies":
        from_ns, until_ns = np.full(len(keys), NEVER), np.zeros(len(keys), np.uint64)
        last = writes.copy & writes.acceptable
        np.minimum.at(from_ns, writes.key_place[last], writes.start_ns[last])
        np.maximum.at(until_ns, writes.key_place[last], writes.end_ns[last])
        # the changes of originals, seen from their copies
        changed = keys[writes.key_place]
        copy_place = _find(keys, changed + np.uint64(Region.COPY << REGION_SHIFT))
        of_original = (changed >> np.uint64(REGION_SHIFT) == np.uint64(Region.BASE)) & (copy_place >= 0)
        before = of_original & writes.acknowledged
        before[before] = writes.end_ns[before] < from_ns[copy_place[before]]
        floor_ns = np.zeros(len(keys), np.uint64)
        np.maximum.at(floor_ns, copy_place[before], writes.start_ns[before])
        return cls(from_ns, until_ns, floor_ns)

    def may_carry(self, writes: Writes, copies: Places, places: Places) -> Flags:
        """Whether the copy key at each place of `copies` may carry the version of the write at each of `places`."""
        known = copies >= 0
        copies = np.maximum(copies, 0)
        if not len(self.until_ns):
            return known
        begun = writes.start_ns[places] <= self.until_ns[copies]
        flags: Flags = known & begun & (writes.end_ns[places] >= self.floor_ns[copies])
        return flags


@dataclass(frozen=True)
class _Versions:
    """Version numbers, sorted, with the place of their write in `Writes`; -1: refused, never took effect."""

    version: Numbers
    write: Places


class Ledger:
    """Per key, the versions that may be there now. Immutable; built once, by `from_operations`.

    `keys` are all keys that a write or delete may have touched, sorted. `absent_ok[i]`: a 404 for `keys[i]`
    is no loss. `present_ok[i]`: some version of `keys[i]` may be served. At least one of the two is true
    for every key.
    """

    def __init__(self, keys: Numbers, writes: Writes, versions: _Versions, unheard: Unheard = HEARD) -> None:
        """Use `from_operations`."""
        self.keys = keys
        self.unheard = unheard
        self.writes = writes
        self._versions = versions
        count = len(keys)
        objects = ~writes.delete
        self.present_ok = _any_per_key(writes.key_place, writes.acceptable & objects, count)
        deleted = _any_per_key(writes.key_place, writes.acceptable & writes.delete, count)
        self.absent_ok = deleted | ~_any_per_key(writes.key_place, writes.acknowledged & objects, count)
        if unheard:  # each deletes only new keys of its own
            self.absent_ok |= (keys >> np.uint64(REGION_SHIFT) == Region.EPHEMERAL) & unheard.may_have_made(keys)
        self._copies = _Copies.of(keys, writes)

    @classmethod
    def from_operations(cls, operations: Operations | Iterable[Operations], unheard: Unheard = HEARD) -> "Ledger":
        """Fold one array, or several in any order. Raises InternalError if two writes carry one version.

        `unheard`: engines that changed more than the record knows.
        """
        batches = [operations] if isinstance(operations, np.ndarray) else operations
        changing = [batch[_changes(batch)] for batch in batches]
        changes = np.concatenate(changing) if changing else np.empty(0, OPERATION_DTYPE)
        failed = _refused(changes) | _is(changes, ABANDONED)
        effective = changes[~failed]
        refused = changes[failed & (changes["version"] != 0)]
        effective = effective[np.lexsort((effective["start_ns"], effective["key"]))]
        keys, key_place = np.unique(effective["key"], return_inverse=True)
        writes = _writes(effective, key_place.astype(np.int64), len(keys))
        versions = _versions(writes, refused["version"].astype(np.uint64))
        return cls(keys.astype(np.uint64), writes, versions, unheard)

    def must_exist(self) -> Numbers:
        """The keys for which a 404 would be a loss."""
        return self.keys[~self.absent_ok]

    def key_places(self, keys: Numbers) -> Places:
        """The place of each key in `self.keys`, -1 where nothing was ever written."""
        return _find(self.keys, keys)

    def write_places(self, versions: Numbers) -> tuple[Places, Flags]:
        """The place in `self.writes` of each version, -1 where it has none; and whether it is known at all.

        Known without a place: the write was refused and should never be seen.
        """
        found = _find(self._versions.version, versions)
        known = found >= 0
        places = np.where(known, _take(self._versions.write, found), -1)
        return places, known

    def origin_places(self, keys: Numbers) -> Places:
        """The place in `self.keys` of the key whose versions a key carries: that of a copy is its original's."""
        return self.key_places(_originals(keys))

    def may_be_shown(self, keys: Numbers, places: Places) -> Flags:
        """Whether the write at each place may be what its key shows now; `places` ≥ 0."""
        copied = _is_copy(keys)
        shown: Flags = self.writes.acceptable[places]
        if self.unheard:  # one more copy, made when nobody knows, may carry any of them
            shown |= copied
            return shown
        copies = self.key_places(keys[copied])
        shown[copied] = self._copies.may_carry(self.writes, copies, places[copied])
        return shown

    def unexplained(self, keys: Numbers, versions: Numbers) -> Flags:
        """Which of these reads show what an engine that was not heard to its end may have left there.

        A version of its own that the record does not know; or a copy of which the record knows only the original.
        """
        if not self.unheard:
            return np.zeros(len(keys), np.bool_)
        places, known = self.write_places(versions)
        own = self.unheard.wrote(versions) & ~known
        untold_copy = _is_copy(keys) & (self.key_places(keys) < 0)
        of_original = np.zeros(len(keys), np.bool_)
        written = places >= 0
        of_original[written] = self.keys[self.writes.key_place[places[written]]] == _originals(keys[written])
        flags: Flags = self.unheard.may_have_made(keys) & (own | (untold_copy & of_original))
        nameless: Flags = (versions == 0) & (self.key_places(keys) < 0) & self.unheard.may_have_made(keys)
        flags |= nameless
        return flags

    def explain(self, key: int) -> str:
        """In words, what may be found under a key and why.

        Bounded: of many acceptable versions it names the first few.
        """
        place = int(self.key_places(np.array([key], np.uint64))[0])
        if place < 0:
            return "no object: nothing was ever written there"
        first, last = np.searchsorted(self.writes.key_place, [place, place + 1])
        candidates = [i for i in range(int(first), int(last)) if self.writes.acceptable[i]]
        candidates.sort(key=lambda i: not self.writes.acknowledged[i])
        said = [self._say(i) for i in candidates[:_NAMED_MAX]]
        if len(candidates) > _NAMED_MAX:
            said.append(f"{len(candidates) - _NAMED_MAX} more")
        if self.absent_ok[place] and not any(self.writes.delete[i] for i in candidates):
            said.append("no object (no write was acknowledged)")
        return " or ".join(said)

    def _say(self, write: int) -> str:
        column = self.writes
        deleted = bool(column.delete[write])
        what = "no object" if deleted else f"version {show_version(int(column.version[write]))}"
        what = "a copy of what its original was then" if column.copy[write] else what
        if column.acknowledged[write]:
            done = "deleted" if deleted else "written"
            return f"{what} ({done}, acknowledged {show_moment(int(column.end_ns[write]))})"
        asked = "a DELETE" if deleted else "a write"
        return f"{what} ({asked} of unknown outcome, sent {show_moment(int(column.start_ns[write]))})"


def tried_keys(operations: Operations) -> Numbers:
    """The keys under which an object of ours may lie, in the order of the operations.

    Those of the ledger, and those of uploads that we gave up: a target that made an object of half a body is wrong, and
    the object is ours all the same.
    """
    begun = _is(operations, ABANDONED) & (operations["outcome"] != Outcome.DROPPED)
    keys: Numbers = operations["key"][begun | _changes(operations) & ~_refused(operations)].astype(np.uint64)
    return keys


def _refused(operations: Operations) -> Flags:
    """A 5xx that was counted as a refusal (SlowDown) proves less than a 4xx: it may have taken effect all the same."""
    flags: Flags = (operations["outcome"] == Outcome.FAIL) & (operations["status"] < _SERVER_ERROR)
    return flags


def _changes(batch: Operations) -> Flags:
    # declined as it was asked to be: nothing was written
    declined = _is(batch, WRITES) & (batch["outcome"] == Outcome.OK) & (batch["version"] == 0)
    changing = _is(batch, WRITES | ABANDONED | COPIES | DELETES) & ~declined
    flags: Flags = changing & (batch["outcome"] != Outcome.DROPPED)
    return flags


def _is(batch: Operations, ops: frozenset[Op]) -> Flags:
    flags: Flags = np.isin(batch["op"], [int(op) for op in ops])
    return flags


def _is_copy(keys: Numbers) -> Flags:
    flags: Flags = keys >> np.uint64(REGION_SHIFT) == np.uint64(Region.COPY)
    return flags


def _originals(keys: Numbers) -> Numbers:
    return np.where(_is_copy(keys), keys - np.uint64(Region.COPY << REGION_SHIFT), keys)


def _writes(effective: Operations, key_place: Places, keys: int) -> Writes:
    acknowledged = effective["outcome"] == Outcome.OK
    start_ns = effective["start_ns"].astype(np.uint64)
    end_ns = np.where(acknowledged, effective["end_ns"], NEVER).astype(np.uint64)
    # the start of the newest acknowledged change of each key: what ended before it was replaced
    newest_start_ns = np.zeros(keys, np.uint64)
    np.maximum.at(newest_start_ns, key_place[acknowledged], start_ns[acknowledged])
    return Writes(
        key_place=key_place,
        # a copy has no version of its own: it carries the one that its original had then
        version=np.where(_is(effective, COPIES), 0, effective["version"]).astype(np.uint64),
        start_ns=start_ns,
        end_ns=end_ns,
        acknowledged=acknowledged,
        delete=_is(effective, DELETES),
        copy=_is(effective, COPIES),
        acceptable=end_ns >= newest_start_ns[key_place],
    )


def _versions(writes: Writes, refused: Numbers) -> _Versions:
    places = np.flatnonzero(~writes.delete & ~writes.copy & (writes.version != 0))
    version = np.concatenate([writes.version[places], refused])
    write = np.concatenate([places, np.full(len(refused), -1)]).astype(np.int64)
    order = np.argsort(version, kind="stable")
    version, write = version[order], write[order]
    twice = np.flatnonzero(version[1:] == version[:-1])
    if len(twice):
        raise InternalError(
            f"two writes of the record carry version {show_version(int(version[twice[0]]))}",
            cure="Versions are unique in a run; the record cannot be judged. Please report this.",
        )
    return _Versions(version, write)


def _any_per_key(key_place: Places, flags: Flags, keys: int) -> Flags:
    found = np.zeros(keys, np.bool_)
    found[key_place[flags]] = True
    return found


def _find(ordered: Numbers, wanted: Numbers) -> Places:
    """The place of each wanted number in an ordered array, -1 where it is not there."""
    places = np.searchsorted(ordered, wanted).astype(np.int64)
    inside = places < len(ordered)
    here = np.zeros(len(wanted), np.bool_)
    here[inside] = ordered[places[inside]] == wanted[inside]
    return np.where(here, places, -1)


def _take(column: Places, places: Places) -> Places:
    """`column[places]`, and anything where the place is -1 (also of an empty column)."""
    return column[np.maximum(places, 0)] if len(column) else np.full(len(places), -1, np.int64)
