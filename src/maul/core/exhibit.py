"""Exhibit: one operation kept with its request id, so that whoever runs the target can look it up in their logs."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class ExhibitReason(StrEnum):
    """Why it was kept."""

    SLOWEST = "slowest"  # one of the slowest of its kind, counted from its due time
    ERROR = "error"  # one of the first that went wrong in this way


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One operation worth showing. `expected` and `found` are empty unless a body was wrong at `offset` (bytes)."""

    reason: ExhibitReason
    operation: np.void  # of OPERATION_DTYPE
    request_id: str = ""  # x-amz-request-id of its last answer; empty where none came
    says: str = ""  # what the target or the network said
    offset: int | None = None
    expected: str = ""
    found: str = ""
