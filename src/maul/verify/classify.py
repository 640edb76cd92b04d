"""What one read says of its key, against the ledger."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from maul.core.operation import INTEGRITY_CLASSES, READS, ErrorClass, Op, Outcome
from maul.verify.ledger import Flags, Ledger, Numbers, Operations, Places

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


_NOT_FOUND = 404
_DECLINED = (304, 412)

STICKY = (Answer.CORRUPT, Answer.PHANTOM)
"""No later, better read excuses these: a customer may have had the first one."""


def evidence(operations: Operations) -> Operations:
    """The reads of present objects that say something of the target.

    Those that were sent, not stopped by ourselves, and not declined as they were asked to be (304, 412); and of
    those of the past the ones whose bytes are wrong.
    """
    ours = np.isin(operations["error_class"], (ErrorClass.STOPPED, ErrorClass.BACKLOG))
    asked = np.isin(operations["op"], [int(op) for op in READS])
    declined = (operations["outcome"] == Outcome.OK) & np.isin(operations["status"], _DECLINED)
    asked |= (operations["op"] == Op.GET_VERSION) & is_corrupt(operations)
    reads: Operations = operations[asked & (operations["outcome"] != Outcome.DROPPED) & ~ours & ~declined]
    return reads


def is_absent(reads: Operations) -> Flags:
    """Whether the answer was that there is no such key."""
    missing: Flags = reads["error_class"] == ErrorClass.NO_SUCH_KEY
    return missing | _is_rightly_gone(reads)


def _is_rightly_gone(reads: Operations) -> Flags:
    flags: Flags = (reads["op"] == Op.GET_DELETED) & (reads["status"] == _NOT_FOUND)
    return flags


def is_corrupt(reads: Operations) -> Flags:
    """Whether bytes came that are not the object's."""
    flags: Flags = np.isin(reads["error_class"], [int(c) for c in INTEGRITY_CLASSES])
    return flags


def is_served(reads: Operations) -> Flags:
    """Whether a whole object came, be it an old one. Its version is 0 when the body is too short to carry one."""
    sound = (reads["outcome"] == Outcome.OK) & (reads["error_class"] == ErrorClass.NONE)
    # what the engine itself called wrong is whole all the same, only not what it should be
    wrong = np.isin(reads["error_class"], (ErrorClass.STALE, ErrorClass.RESURRECTED, ErrorClass.CONDITION_IGNORED))
    flags: Flags = (sound | (wrong & (reads["version"] != 0))) & ~_is_rightly_gone(reads)
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
    origins = ledger.origin_places(reads["key"].astype(np.uint64))
    same_key[written] = ledger.writes.key_place[places[written]] == origins[written]
    same_key &= key_places >= 0
    # a body too short for a version, under a key that nobody wrote
    nameless = is_served(reads) & (reads["version"] == 0) & (key_places < 0)
    unexplained = ledger.unexplained(reads["key"].astype(np.uint64), reads["version"].astype(np.uint64))
    flags: Flags = ((versioned & ~same_key) | nameless) & ~unexplained
    return flags


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
    acceptable[written] = ledger.may_be_shown(keys[written], places[written])

    return np.select(
        [
            is_corrupt(reads),
            is_absent(reads) & absent_ok,
            is_absent(reads),
            ~served,
            ledger.unexplained(keys, reads["version"].astype(np.uint64)),
            phantom,
            ~present_ok,
            acceptable,
        ],
        [
            Answer.CORRUPT,
            Answer.RIGHT,
            Answer.LOST,
            Answer.UNREADABLE,
            Answer.RIGHT,
            Answer.PHANTOM,
            Answer.RESURRECTED,
            Answer.RIGHT,
        ],
        Answer.STALE,
    ).astype(np.uint8)
