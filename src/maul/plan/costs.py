"""What operations cost: requests, bytes, and a guess at the time of those that nobody paces."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from maul.campaign.model_mix import OpName
from maul.campaign.model_workload import Workload, mean_size_bytes
from maul.core.operation import LISTINGS
from maul.plan.model import Amount

HEADER_BYTES = 500  # of one request, and as many of its answer: line, headers, signature
LIST_ENTRY_BYTES = 400  # of one key in the XML of a listing
NAMED_KEY_BYTES = 100  # of one key in the XML of a multi-delete, asked or answered
SERVICE_S = {"put": 0.04, "get": 0.02, "delete": 0.03, "multipart": 0.2}  # a busy small cluster's; only for estimates

_READS = frozenset({"get", "get_if_match", "get_version", "presigned_get"})
_WRITES = frozenset({"put", "put_if_none_match", "put_if_match", "presigned_put", "aborted_put"})
_LISTINGS = frozenset(op.name.lower() for op in LISTINGS)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one operation, on average; bytes on the wire."""

    requests: float
    sent: float
    received: float

    @property
    def bytes(self) -> float:
        """Both directions."""
        return self.sent + self.received


def cost_of(op: str, workload: Workload, object_bytes: float | None = None) -> Cost:
    """The cost of one operation; `object_bytes` instead of the workload's mean size.

    >>> workload = Workload.model_validate({"objects": 10, "size": 4096, "mix": {"get": 1}})
    >>> cost_of("get", workload).received
    4596.0
    """
    size = mean_size_bytes(workload.size) if object_bytes is None else object_bytes
    requests, sent, received = float(_requests(op, workload)), 0.0, 0.0
    if op in _WRITES:
        sent = size
    elif op in _READS:
        received = size
    elif op in _LISTINGS:
        received = requests * workload.listing.max_keys * LIST_ENTRY_BYTES
    elif op == "get_range":
        received = min(float(workload.range_bytes), size)
    elif op == "get_part":
        received = float(workload.multipart.part_size_bytes)
    elif op == "multipart":
        sent = float(workload.multipart.object_bytes)
    elif op == "multipart_abort":
        sent = float(workload.multipart.part_size_bytes)
    elif op == "multi_delete":
        sent = received = float(workload.multi_delete_keys * NAMED_KEY_BYTES)
    return Cost(requests, sent + requests * HEADER_BYTES, received + requests * HEADER_BYTES)


def _requests(op: str, workload: Workload) -> int:
    """HTTP requests of one operation, at most."""
    if op in _LISTINGS:
        return workload.listing.pages
    return {
        "multipart": workload.multipart.requests,
        "multipart_abort": 4,  # create, a part, list the parts, abort
        "multipart_copy": 3,  # create, copy a part, complete
    }.get(op, 1)


def mean_cost(weights: Mapping[OpName, float], workload: Workload) -> Cost:
    """The mean cost of an operation of a mix."""
    total = math.fsum(weights.values())
    parts = [(weight / total, cost_of(op, workload)) for op, weight in weights.items()]
    return Cost(
        math.fsum(share * cost.requests for share, cost in parts),
        math.fsum(share * cost.sent for share, cost in parts),
        math.fsum(share * cost.received for share, cost in parts),
    )


def amount(operations: int, cost: Cost) -> Amount:
    """So many operations of that cost, rounded up."""
    return Amount(
        operations=operations,
        requests=math.ceil(round(operations * cost.requests, 6)),
        bytes_sent=math.ceil(round(operations * cost.sent, 3)),
        bytes_received=math.ceil(round(operations * cost.received, 3)),
    )
