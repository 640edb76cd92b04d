"""What one read says of its key, against the ledger."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from maul.core.operation import INTEGRITY_CLASSES, ErrorClass, Op, Outcome
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


STICKY = (Answer.CORRUPT, Answer.PHANTOM)
"""No later, better read excuses these: a customer may have had the first one."""


def evidence(operations: Operations) -> Operations:
    """The GETs that say something of the target: those that were sent and not stopped by ourselves."""
    ours = np.isin(operations["error_class"], (ErrorClass.STOPPED, ErrorClass.BACKLOG))
    sent = (operations["op"] == Op.GET) & (operations["outcome"] != Outcome.DROPPED) & ~ours
    reads: Operations = operations[sent]
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
    """Whether a whole object came. Its version is 0 when the body is too short to carry one."""
    flags: Flags = (reads["outcome"] == Outcome.OK) & (reads["error_class"] == ErrorClass.NONE)
    return flags


def is_phantom(ledger: Ledger, reads: Operations, places: Places) -> Flags:
    """Served, with a version that no write of this key carries. `places`: the versions' in the writes."""
    key_places = ledger.key_places(reads["key"].astype(np.uint64))
    versioned = is_served(reads) & (reads["version"] != 0)
    written = places >= 0
    same_key = np.zeros(len(reads), np.bool_)
    same_key[written] = ledger.writes.key_place[places[written]] == key_places[written]
    # a body too short for a version, under a key that nobody wrote
    nameless = is_served(reads) & (reads["version"] == 0) & (key_places < 0)
    flags: Flags = (versioned & ~same_key) | nameless
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
    acceptable[written] = ledger.writes.acceptable[places[written]]

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
