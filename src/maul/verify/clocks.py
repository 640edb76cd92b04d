"""Clocks: operations that were timed by several machines, held against each other.

Each machine's times were shifted to one clock, and are right to within an error. Which of two operations of different
machines came first is known only when they are further apart than both errors. So each operation is taken to have
lasted from the earliest moment at which it may have begun to the latest at which it may have ended: what is concurrent
then may have been concurrent, and what is not was not.
"""

import numpy as np

from maul.verify.ledger import Operations


def widened(operations: Operations, error_ns: int) -> Operations:
    """A copy whose operations begin and end later or earlier by the error of their clocks; the same array for 0."""
    if error_ns <= 0 or not len(operations):
        return operations
    wide = operations.copy()
    error = np.uint64(error_ns)
    wide["start_ns"] = wide["start_ns"] - np.minimum(wide["start_ns"], error)
    wide["end_ns"] = np.where(wide["end_ns"] > 0, wide["end_ns"] + error, 0)
    return wide
