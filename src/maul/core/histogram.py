"""The latency histogram (HdrHistogram, three significant digits): merged exactly, percentiles never averaged.

The class is compiled (crates/engine-py) because a report merges thousands of them. Values are nanoseconds.
"""

from dataclasses import dataclass
from enum import StrEnum

from maul._engine import Histogram

__all__ = ["Histogram", "LatencyKind", "LatencyRow"]


class LatencyKind(StrEnum):
    """What was timed."""

    LATENCY = "latency"  # due to end: what a customer feels
    SERVICE = "service"  # send to end: what the target took
    FIRST_BYTE = "first_byte"  # send to first byte of the answer
    LAG = "lag"  # due to send: how late the generator was, or how long it had to queue
    SCHEDULE = "schedule"  # due to noticed: how late the generator was, whatever the target did
    CONNECT = "connect"  # begin of a new connection to TCP connected
    TLS = "tls"  # TCP connected to TLS agreed
    SEND = "send"  # connection ready to last byte of the request handed over
    WAIT = "wait"  # last byte of the request to first byte of the answer
    BODY = "body"  # first byte of the answer to the end


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """A histogram of one (second of the due time, operation, outcome, kind, tenant), in HdrHistogram V2 encoding.

    Several rows of the same key are parts of one distribution: merge them.
    """

    second: int
    op: int
    outcome: int
    kind: LatencyKind
    count: int
    hdr: bytes
    tenant: int = 0
