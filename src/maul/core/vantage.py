"""What is felt of the target from somewhere: one attempt to reach it, by whom, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Vantage(StrEnum):
    """From where, or of what. Each is optional; each that is there makes the verdict sharper."""

    SENTINEL = "sentinel"  # of a generator: one connection that stood before the load, one request per second
    IDLE = "idle"  # a new connection from a generator's host, made while its load is silent
    EXTERNAL = "external"  # from outside: another prefix, another way in
    CONTROL = "control"  # another public address of the same balancers, in another prefix, that carries no load
    INSIDE = "inside"  # from within the cluster to the balancers' private address
    BALANCER = "balancer"  # what the balancers' own counters say
    FEED = "feed"  # what the network itself announces: webhook, syslog, Prometheus


class Reach(StrEnum):
    """How far an attempt came."""

    ANSWERED = "answered"  # an HTTP answer, whatever it says, but not one of the next
    REJECTED = "rejected"  # 429 or 503: it asks us to go away
    FAILED = "failed"  # 500, 502, 504
    STALLED = "stalled"  # connected, then no whole answer in time
    TIMEOUT = "timeout"  # the SYN was not answered in time
    REFUSED = "refused"  # the SYN was answered by a RST
    RESET = "reset"  # the connection was reset or closed before the answer
    UNREACHABLE = "unreachable"  # ICMP: no route, host or network unreachable
    PROHIBITED = "prohibited"  # ICMP: administratively prohibited
    TLS = "tls"  # the handshake failed
    LOCAL = "local"  # this machine had no port, descriptor or route left: says nothing of the target


@dataclass(frozen=True, slots=True)
class TcpFacts:
    """Of a connection that stood, from TCP_INFO (tcp(7)) and TCP_MAXSEG. None: the kernel did not tell."""

    rtt_ms: float | None = None
    mss: int | None = None
    send_wscale: int | None = None  # the peer's window scale, as its SYN-ACK offered it; 0: it offered none
    sack: bool | None = None
    timestamps: bool | None = None
    window_zero: bool | None = None  # the peer's first window was 0: a proxy speaks for the server
    syn_retransmits: int | None = None  # SYNs that went out again before one was answered
    retransmits: int | None = None  # segments sent again since it stands


@dataclass(frozen=True, slots=True)
class Question:
    """One attempt to make: from where (`who`), to which door, how.

    `endpoint` names an endpoint of the site. `port`: another port of the same address (0: the endpoint's own); then
    only the TCP connection is tried. `large`: ask for an answer, or send a request, that fills whole frames.
    """

    vantage: Vantage
    who: str
    endpoint: str
    port: int = 0
    large: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended. Times are None for what was not reached, or was not asked anew (a sentinel's TCP)."""

    at_ns: int  # when it began, Unix ns
    question: Question
    reach: Reach
    status: int = 0  # of HTTP; 0 where none came
    connect_ms: float | None = None
    tls_ms: float | None = None
    answer_ms: float | None = None  # from the request's last byte to the answer's first
    tcp: TcpFacts = TcpFacts()
    says: str = ""  # what the kernel or the peer said, in words

    @property
    def reached(self) -> bool:
        """Whether the target itself answered, be it to reject or to refuse."""
        return self.reach in {Reach.ANSWERED, Reach.REJECTED, Reach.FAILED, Reach.REFUSED}


@dataclass(frozen=True, slots=True)
class Notice:
    """What the network said of itself: an address or prefix that is dropped, limited, diverted, or free again."""

    at_ns: int
    source: str  # the feed's name in the site
    prefix: str  # "198.51.100.10/32"; empty when it names none
    action: str  # "drop", "limit", "divert", "release" or, where nobody knows, "other"
    says: str = ""


class Lookout(Protocol):
    """Something that feels the target from somewhere, by itself or when asked.

    Must not send more than one request per second by itself, must not retry, must end within moments when closed.
    """

    def take(self) -> Sequence[Attempt | Notice]:
        """What was felt since the last call; never waits, never raises."""
        ...

    def ask(self, question: Question) -> bool:
        """Begin this attempt; its end comes by `take`. False: not one of ours, or one is still going on."""
        ...

    def quiet(self, wanted: bool) -> None:
        """While wanted: open no connection of its own accord. What stands stays, and what it is asked it does."""
        ...

    def close(self) -> None:
        """Let go of every connection."""
        ...
