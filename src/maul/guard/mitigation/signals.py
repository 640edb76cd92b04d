"""One second of what can be seen: the generators' own counts, and what every vantage point felt. Pure data.

Whatever is None or missing was not there to be seen; a verdict must never take it for zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from maul.core.operation import ErrorClass
from maul.core.vantage import Attempt, Notice


@dataclass(frozen=True, slots=True)
class GeneratorSecond:
    """What one generator counted within the second. Rates are the counts: it is one second."""

    rack: str = ""  # as the site knows it; "" where it does not
    due: float = 0.0  # arrivals, without the withheld ones
    withheld: float = 0.0
    ok: float = 0.0
    dropped: float = 0.0
    failed: Mapping[ErrorClass, float] = field(default_factory=dict)  # by class; not the dropped ones
    in_flight: float = 0.0  # at its end
    backlog: float = 0.0  # due, not yet sent
    opened: float = 0.0  # new connections that stood
    connections: float = 0.0  # that stand at its end
    exhausted: float = 0.0  # connections that failed for want of a local port or descriptor
    bytes_sent: float = 0.0
    bytes_received: float = 0.0
    p50_ms: float | None = None  # service time of what was answered
    p99_ms: float | None = None
    connect_p50_ms: float | None = None  # of new connections
    connect_p99_ms: float | None = None
    cpu_ratio: float | None = None  # of the cores that it may use
    retransmits: float | None = None  # TCP segments its machine sent again
    sent_packets: float | None = None  # of its machine, towards the target where that can be told apart
    received_packets: float | None = None


@dataclass(frozen=True, slots=True)
class BalancerSecond:
    """What one balancer's counters say of the second."""

    vip_packets: float | None = None  # that came in for the loaded address
    vip_bytes: float | None = None
    vip_syns: float | None = None
    answer_packets: float | None = None  # that went out from it
    resets_sent: float | None = None
    idle_ratio: float | None = None  # of its process: 1 nothing to do, 0 saturated
    cpu_ratio: float | None = None  # of its machine's busiest core
    listening: bool | None = None  # a process listens on the address
    sessions: float | None = None  # new ones, by the balancer's process
    server_errors: float | None = None  # 5xx that it answered by itself or passed on
    backends_up: int | None = None
    backends: int | None = None
    syn_received: float | None = None  # sockets in SYN-RECV at its end
    syn_ack_retransmits: float | None = None
    accept_overflows: float | None = None  # ListenOverflows
    tracked_ratio: float | None = None  # connection tracking: entries / limit
    tracked_drops: float | None = None  # packets that found no entry free
    answers: bool | None = None  # its management page or its machine's counters could be read at all
    process_answers: bool | None = None  # its process answered on its management page: a hung one does not


@dataclass(frozen=True, slots=True)
class LinkSecond:
    """One direction of a link that our load crosses. `racks`: those of the generators that cross it."""

    up: bool | None = None
    discards: float | None = None
    ratio: float | None = None  # of its capacity
    racks: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Second:
    """Everything of one second. Attempts carry their vantage point; Notices come as they come."""

    at_ns: int  # its end, Unix ns
    generators: Mapping[str, GeneratorSecond] = field(default_factory=dict)
    attempts: Sequence[Attempt] = ()
    notices: Sequence[Notice] = ()
    balancers: Mapping[str, BalancerSecond] = field(default_factory=dict)
    links: Mapping[str, LinkSecond] = field(default_factory=dict)
    silent: bool = False  # the load was frozen: that nothing is sent is our own doing
