"""What one read says of its key, against the ledger."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from maul.core.operation import INTEGRITY_CLASSES, ErrorClass, Op, Outcome
from maul.verify.ledger import Flags, Ledger, Numbers, Operations, Places, base_twin, is_copy

Answers = NDArray[np.uint8]


class Answer(IntEnum):
    """What a read said, from the customer's point of view."""

    RIGHT = 0
    LOST = 1  # 404, and the object must be there
    CORRUPT = 2  # bytes that are not the object's
    STALE = 3  # a version that was replaced
    RESURRECTED = 4  # a version, and the object must be gone
    PHANTOM = 5  # a version that was never written, or whose write was refused
    UNREADABLE = 6  # any other error


STICKY = (Answer.CORRUPT, Answer.PHANTOM)
"""No later, better read excuses these: a customer may have had the first one."""


_READS = (Op.GET, Op.GET_RANGE, Op.GET_PART, Op.GET_IF_MATCH, Op.GET_IF_NONE_MATCH, Op.PRESIGNED_GET)
"""Reads of what a key holds now."""
_READS_OF_THE_PAST = (Op.GET_VERSION, Op.GET_DELETED)
"""Reads that ask for what is gone: only their bytes can be wrong."""


def evidence(operations: Operations) -> Operations:
    """The reads that say something of the target: those that were sent and not stopped by ourselves.

    Not among them: what was not modified, as it was to be; an old version that is as it was.
    """
    ours = np.isin(operations["error_class"], (ErrorClass.STOPPED, ErrorClass.BACKLOG, ErrorClass.GIVEN_UP))
    sent = (operations["outcome"] != Outcome.DROPPED) & ~ours
    unread = (operations["outcome"] == Outcome.OK) & (operations["op"] == Op.GET_IF_NONE_MATCH)
    unread &= operations["version"] == 0
    past = np.isin(operations["op"], _READS_OF_THE_PAST) & is_corrupt(operations)
    reads: Operations = operations[sent & (np.isin(operations["op"], _READS) & ~unread | past)]
    return reads


def is_absent(reads: Operations) -> Flags:
    """Whether the answer was that there is no such key."""
    flags: Flags = reads["error_class"] == ErrorClass.NO_SUCH_KEY
    return flags


def is_corrupt(reads: Operations) -> Flags:
    """Whether bytes came that are not the object's."""
    flags: Flags = np.isin(reads["error_class"], [int(c) for c in INTEGRITY_CLASSES])
    return flags


def is_served(reads: Operations) -> Flags:
    """Whether a whole object came, be it an old one. Its version is 0 when the body is too short to carry one."""
    flags: Flags = (reads["outcome"] == Outcome.OK) & (reads["error_class"] == ErrorClass.NONE)
    flags |= is_stale(reads) & (reads["version"] != 0)
    return flags


def is_stale(reads: Operations) -> Flags:
    """Whether the generator itself saw that the version is older than one acknowledged before the read began."""
    flags: Flags = reads["error_class"] == ErrorClass.STALE
    return flags


def is_phantom(ledger: Ledger, reads: Operations, places: Places) -> Flags:
    """Served, with a version that no write of this key carries. `places`: the versions' in the writes."""
    key_places = ledger.key_places(reads["key"].astype(np.uint64))
    versioned = is_served(reads) & (reads["version"] != 0)
    written = places >= 0
    same_key = np.zeros(len(reads), np.bool_)
    same_key[written] = ledger.writes.key_place[places[written]] == key_places[written]
    same_key |= _copied(ledger, reads, places)
    # a body too short for a version, under a key that nobody wrote
    nameless = is_served(reads) & (reads["version"] == 0) & (key_places < 0)
    flags: Flags = (versioned & ~same_key) | nameless
    return flags


def _copied(ledger: Ledger, reads: Operations, places: Places) -> Flags:
    """Of reads of copies: whether the version is one that its base object had before the last copy was over.

    Which of them the copy took nobody can tell from outside; so a copy is never called stale.
    """
    keys: Numbers = reads["key"].astype(np.uint64)
    copied = is_copy(keys) & (places >= 0)
    copied[copied] = ledger.copied_until_ns(keys[copied]) >= ledger.writes.start_ns[places[copied]]
    twins = ledger.key_places(base_twin(keys[copied]))
    copied[copied] = ledger.writes.key_place[places[copied]] == twins
    return copied


def classify(ledger: Ledger, reads: Operations) -> Answers:
    """An Answer for each read of `evidence`, about the state after all writes of the ledger."""
    keys: Numbers = reads["key"].astype(np.uint64)
    key_places = ledger.key_places(keys)
    touched = key_places >= 0
    absent_ok = np.ones(len(reads), np.bool_)
    absent_ok[touched] = ledger.absent_ok[key_places[touched]]
    present_ok = np.zeros(len(reads), np.bool_)
    present_ok[touched] = ledger.present_ok[key_places[touched]]

    places, _ = ledger.write_places(reads["version"].astype(np.uint64))
    served = is_served(reads)
    phantom = is_phantom(ledger, reads, places)
    acceptable = reads["version"] == 0  # too short for a version: its presence is all that can be judged
    written = places >= 0
    acceptable[written] = ledger.writes.acceptable[places[written]]
    acceptable |= _copied(ledger, reads, places)

    return np.select(
        [
            is_corrupt(reads),
            is_absent(reads) & absent_ok,
            is_absent(reads),
            ~served,
            phantom,
            ~present_ok,
            acceptable,
        ],
        [
            Answer.CORRUPT,
            Answer.RIGHT,
            Answer.LOST,
            Answer.UNREADABLE,
            Answer.PHANTOM,
            Answer.RESURRECTED,
            Answer.RIGHT,
        ],
        Answer.STALE,
    ).astype(np.uint8)
