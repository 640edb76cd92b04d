"""What the kernel of a balancer's machine tells, from the lines that `hosts.balancer_counters` brings. Pure.

What each name means, from the kernel's own documentation (Documentation/networking/snmp_counter.rst):

- `Tcp: OutRsts`: resets sent, of every address of the machine.
- `TcpExt: ListenOverflows`: connections that the process was too slow to accept.
- `TcpExt: TCPSynRetrans`: SYN *and* SYN-ACK segments sent again. How many of them were SYN-ACKs is told by the sockets
  that are half open: those in SYN-RECV that were tried again, against our own in SYN-SENT that were.
- `drop` of /proc/net/stat/nf_conntrack: packets dropped because no entry could be made for them; one row per core.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from maul.core.addresses import is_loopback
from maul.hosts.balancer_counters import NFT, NFT_TROUBLE, SOCKETS
from maul.probes.contract import ProbeError
from maul.probes.cpu import core_ticks

VIP_IN, VIP_SYN, VIP_OUT = "vip_in", "vip_syn", "vip_out"
_LIMITS = "sys/net/netfilter/nf_conntrack_"
Lines = Mapping[str, Sequence[str]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sockets:
    """`listeners` on the port. Half open: `received` to the port; tried again: `theirs` to us, `ours` to others."""

    listeners: tuple[str, ...] = ()
    received: int = 0
    theirs: int = 0
    ours: int = 0

    def listens(self, address: str) -> bool:
        """Whether somebody listens for `address`, or for any but this machine's own loopback."""
        return any(one == address or not is_loopback(one) for one in self.listeners)

    @property
    def theirs_part(self) -> float:
        """How much of what was tried again was SYN-ACKs, from 0 to 1."""
        tried = self.theirs + self.ours
        return self.theirs / tried if tried else 0.0


@dataclass(frozen=True, slots=True)
class KernelCounts:
    """Totals since boot or since they were made; None or missing: the machine does not tell."""

    resets_sent: float | None = None
    accept_overflows: float | None = None
    syn_retransmits: float | None = None
    tracked: float | None = None
    tracked_max: float | None = None
    tracked_drops: float | None = None
    sockets: Sockets | None = None
    packets: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # by nft counter: packets, bytes
    ticks: Mapping[str, Sequence[int]] = field(default_factory=dict)  # by core
    trouble: Mapping[str, str] = field(default_factory=dict)  # what is there and could not be understood, by source

    @classmethod
    def of(cls, lines: Lines) -> "KernelCounts":
        """From what was read. Raises nothing: what is broken is left out, and told in `trouble`."""
        trouble: dict[str, str] = {}
        if lines.get(NFT_TROUBLE):
            trouble[NFT] = " ".join(lines[NFT_TROUBLE][0].split())[:200]

        def part(source: str, read: Callable[[], T], otherwise: T) -> T:
            try:
                return read()
            except (ValueError, KeyError, IndexError, TypeError, AttributeError, ProbeError) as error:
                trouble[source] = f"not understood ({type(error).__name__}: {error})"[:200]
                return otherwise

        nothing: dict[str, float] = {}
        tcp = part("net/snmp", lambda: _pairs(lines.get("net/snmp", ()), "Tcp"), nothing)
        more = part("net/netstat", lambda: _pairs(lines.get("net/netstat", ()), "TcpExt"), nothing)
        return cls(
            resets_sent=tcp.get("OutRsts"),
            accept_overflows=more.get("ListenOverflows"),
            syn_retransmits=more.get("TCPSynRetrans"),
            tracked=part("conntrack", lambda: _single(lines, _LIMITS + "count"), None),
            tracked_max=part("conntrack", lambda: _single(lines, _LIMITS + "max"), None),
            tracked_drops=part("conntrack", lambda: _drops(lines.get("net/stat/nf_conntrack", ())), None),
            sockets=part(SOCKETS, lambda: _sockets(lines.get(SOCKETS, ())), None),
            packets=part(NFT, lambda: _packets(lines.get(NFT, ())), {}),
            ticks=part("stat", lambda: core_ticks("\n".join(lines["stat"])) if "stat" in lines else {}, {}),
            trouble=trouble,
        )


def _pairs(lines: Sequence[str], prefix: str) -> dict[str, float]:
    """A line of names, then a line of values; kernels add names, so nothing goes by position alone."""
    own = [line.split()[1:] for line in lines if line.startswith(f"{prefix}:")]
    if not own:
        return {}
    names, values = own
    return dict(zip(names, map(float, values), strict=True))


def _single(lines: Lines, source: str) -> float | None:
    return float(lines[source][0]) if lines.get(source) else None


def _drops(lines: Sequence[str]) -> float | None:
    if not lines:
        return None
    column = lines[0].split().index("drop")
    return float(sum(int(line.split()[column], 16) for line in lines[1:]))


def _sockets(lines: Sequence[str]) -> Sockets | None:
    """None without the last line: then the reading broke off."""
    half = next((line.split()[1:] for line in lines if line.startswith("HALF ")), None)
    if half is None:
        return None
    received, theirs, ours = map(int, half)
    listeners = [_address(line.split()[1]) for line in lines if line.startswith("LISTEN ")]
    return Sockets(tuple(listeners), received, theirs, ours)


def _address(end: str) -> str:
    """Without its port, brackets and device; `*` is every address.

    >>> _address("[::ffff:10.0.0.1]:443"), _address("127.0.0.1%lo:443")
    ('10.0.0.1', '127.0.0.1')
    """
    return end.rpartition(":")[0].strip("[]").partition("%")[0].strip("[]").removeprefix("::ffff:")


def _packets(lines: Sequence[str]) -> dict[str, tuple[float, float]]:
    if not lines:
        return {}
    found = {}
    for item in json.loads(lines[0])["nftables"]:
        counter = item.get("counter")
        if counter is not None:
            found[str(counter["name"])] = float(counter["packets"]), float(counter["bytes"])
    return found
