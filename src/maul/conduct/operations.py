"""The operations of a record as arrays, by phase."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from maul.core.operation import OPERATION_DTYPE, Flag
from maul.plan import Plan

OperationArray = np.ndarray[Any, np.dtype[np.void]]

WRITING_KINDS = frozenset({"prepare", "trickle", "warm-up", "load", "limit"})
"""Phases whose operations make the ledger. Audits read; clean-ups delete what the audit has seen."""


def operations_of_kinds(
    plan: Plan, operations: pa.Table, kinds: Collection[str], tenant: int | None = None
) -> OperationArray:
    """The operations of all phases of these kinds, as one array of OPERATION_DTYPE; of one tenant, or of all."""
    names = [phase.name for phase in plan.phases if phase.kind in kinds]
    wanted = pc.is_in(operations["phase"], pa.array(names, pa.string()))
    if tenant is not None:
        wanted = pc.and_(wanted, pc.equal(operations["tenant"], pa.scalar(tenant, pa.uint8())))
    return as_operations(operations.filter(wanted))


def as_operations(table: pa.Table) -> OperationArray:
    """The rows of a record's operations as an array of OPERATION_DTYPE."""
    array: OperationArray = np.empty(table.num_rows, OPERATION_DTYPE)
    for field in OPERATION_DTYPE.names or ():
        array[field] = table[field].to_numpy()
    return array


def one_per_request(operations: pa.Table) -> pa.Table:
    """Without the further keys of requests for several keys, so that an operation counts once."""
    further = pc.bit_wise_and(operations["flags"], pa.scalar(int(Flag.SAME_REQUEST), pa.uint8()))
    return operations.filter(pc.equal(further, pa.scalar(0, pa.uint8())))
