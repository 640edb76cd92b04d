"""What operations cost: requests, bytes, and a guess at the time of those that nobody paces."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from maul.campaign.model_workload import Workload, mean_size_bytes
from maul.plan.model import Amount

HEADER_BYTES = 500  # of one request, and as many of its answer: line, headers, signature
LIST_ENTRY_BYTES = 400  # of one key in the XML of a listing
SERVICE_S = {"put": 0.04, "get": 0.02, "delete": 0.03}  # what a busy small cluster takes; only for estimates


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
    if op == "multipart":
        requests = workload.multipart.requests
        headers = float(HEADER_BYTES * requests)
        return Cost(requests, workload.multipart.object_bytes + headers, headers)
    listed = float(workload.listing.max_keys * LIST_ENTRY_BYTES)
    received = {"get": size, "list": listed}.get(op, 0.0)
    return Cost(1, (size if op == "put" else 0.0) + HEADER_BYTES, received + HEADER_BYTES)


def mean_cost(weights: Mapping[str, float], workload: Workload) -> Cost:
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
