"""Demand: what a campaign asks of the network at its heaviest moment, in bits on the wire.

Bodies and HTTP headers come from `plan.costs`; this adds what TCP, TLS and Ethernet put around them. Phases follow
each other, so each quantity is that of the phase in which it is highest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from maul.plan.budget import peak_per_s
from maul.plan.engine_plan import TraceArrivals
from maul.plan.fleet_model import Load
from maul.plan.ground import TraceKey
from maul.plan.model import PassPlan, PhasePlan
from maul.plan.replays import NO_TRACES
from maul.plan.trace import Trace

OVERHEAD = 1.04  # TCP, TLS records and Ethernet around bodies and HTTP headers
ACKS = 0.03  # of what goes one way comes back as bare acknowledgements
SEGMENT_BYTES = 1448  # what a full segment carries at an MTU of 1500
TLS_SENT_BYTES, TLS_RECEIVED_BYTES = 2000, 6000  # a full handshake, with a chain of two certificates
TCP_BYTES = 300  # opening and closing a connection without TLS, each way
HANDSHAKE_PACKETS = 6  # from the client: SYN, ACK, ClientHello, Finished, and two to close


@dataclass(frozen=True, slots=True)
class Demand:
    """What all load servers together send and receive. The load is spread evenly over the endpoints."""

    load: Load
    packets_per_s: float
    """To the target."""
    connections: int
    """Open at once; every server has its part of them."""
    flows: int
    """How many hashing can spread: as many as there are connections."""
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """HTTP requests, new connections and bytes of bodies and headers, per second."""

    requests: float = 0.0
    connections: float = 0.0
    sent: float = 0.0
    received: float = 0.0

    def __add__(self, other: "Stream") -> "Stream":
        """The sum."""
        return Stream(
            self.requests + other.requests,
            self.connections + other.connections,
            self.sent + other.sent,
            self.received + other.received,
        )


def demand_of(
    phases: Sequence[PhasePlan], endpoints: Sequence[tuple[str, str]], traces: Mapping[TraceKey, Trace] = NO_TRACES
) -> Demand:
    """The demand of all timed phases whose rate is planned; `endpoints`: name and URL of those that are loaded.

    What nobody paces (filling, audit, clean-up, closed loops) asks for nothing here: it is held to what the placement
    allows.
    """
    streams = [sum(_streams(phase, traces), Stream()) for phase in phases if phase.timed]
    tls = any(url.startswith("https:") for _, url in endpoints)
    loads = [on_the_wire(one, tls) for one in streams]
    flows = max((sum(part.engine.limits.connections for part in one.passes) for one in phases if one.timed), default=1)
    return Demand(
        load=Load(
            requests_per_s=max((one.requests_per_s for one in loads), default=0.0),
            connections_per_s=max((one.connections_per_s for one in loads), default=0.0),
            sent_bps=max((one.sent_bps for one in loads), default=0.0),
            received_bps=max((one.received_bps for one in loads), default=0.0),
        ),
        packets_per_s=max((packets_to(one) for one in streams), default=0.0),
        connections=max(1, flows),
        flows=max(1, flows),
        endpoints=tuple(name for name, _ in endpoints),
    )


def on_the_wire(stream: Stream, tls: bool) -> Load:
    """With everything around the bytes of HTTP."""
    there, back = (TLS_SENT_BYTES, TLS_RECEIVED_BYTES) if tls else (TCP_BYTES, TCP_BYTES)
    sent = OVERHEAD * (stream.sent + ACKS * stream.received) + stream.connections * there
    received = OVERHEAD * (stream.received + ACKS * stream.sent) + stream.connections * back
    return Load(
        requests_per_s=stream.requests,
        connections_per_s=stream.connections,
        sent_bps=8 * sent,
        received_bps=8 * received,
    )


def packets_to(stream: Stream) -> float:
    """Packets per second from the client: requests and bodies in full segments, and an acknowledgement for every second
    one that comes.
    """
    data = max(stream.requests, stream.requests + stream.sent / SEGMENT_BYTES)
    return data + stream.received / SEGMENT_BYTES / 2 + stream.connections * HANDSHAKE_PACKETS


def _streams(phase: PhasePlan, traces: Mapping[TraceKey, Trace]) -> Iterator[Stream]:
    for one in phase.passes:
        peak = _peak(phase, one, traces)
        if not peak or not one.expected.operations:
            continue
        each = peak / one.expected.operations
        requests = each * one.expected.requests
        use = one.engine.connections.requests_each
        yield Stream(
            requests=requests,
            connections=requests / use if use else 0.0,
            sent=each * one.expected.bytes_sent,
            received=each * one.expected.bytes_received,
        )


def _peak(phase: PhasePlan, one: PassPlan, traces: Mapping[TraceKey, Trace]) -> float:
    """Operations per second."""
    if phase.search is not None:
        return phase.search.to_per_s
    if isinstance(one.engine.arrivals, TraceArrivals):
        return float(traces[phase.name, one.tenant].peak_per_s)
    return peak_per_s(one.engine.arrivals)
