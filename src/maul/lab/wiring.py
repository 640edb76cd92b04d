"""The network of a lab on paper: switches, hosts, cables, rates. Pure: everything follows from two rates.

A spine, and a top-of-rack switch (a bridge) per rack with one uplink. Flat layer 2, 10.77.0.0/16, no way out:

    edge       lb (balancer, with the VIP 10.77.0.100)  ops (the conductor)
    r1 r2 r3   the storage, as on loopback: s11 s12 s21 s31
    r4 r5 r6   what is lent, next to its customers: g41 g42 c41, g51 g52 c51, g61 g62 c61

With a border (`border.py`) the balancers, two of them, hang on a router behind the edge's switch, and so does a host
outside, `ext`; then customers talk to a public address that is routed.

Storage and edge have uplinks that nobody else uses. The uplinks of r4 to r6 are the customers': narrow, and watched.
"""

from dataclasses import dataclass
from typing import Literal

from maul.core.errors import CampaignError
from maul.core.units import parse_bitrate, show_bitrate
from maul.lab.border import ACTIVE, BORDER, OUTSIDE, OUTSIDE_ADDRESS, PRIVATE, STANDBY, VIP

SPINE = "spine"
UPLINK_BPS = 50e6
CUSTOMERS_BPS = 4e6
FAST_BPS = 1e9
UPLINK_BPS_MIN, UPLINK_BPS_MAX = 1e6, 1e9
# How long a packet may wait in the queue of a port: what customers feel when a link is full. Switches hold about this
# much at their access ports.
UPLINK_QUEUE_S, FAST_QUEUE_S = 0.05, 0.02

_EDGE, _STORAGE, _LENT = 0, (1, 2, 3), (4, 5, 6)
_STORAGE_HOSTS = ((1, 1), (1, 2), (2, 1), (3, 1))
_GENERATORS_PER_RACK = 2
_CUSTOMER_NUMBER = 101

Kind = Literal["storage", "balancer", "ops", "generator", "customer", "outside"]
Tier = Literal["leaf", "spine", "edge"]


@dataclass(frozen=True, slots=True)
class NetHost:
    """A host: a namespace with one card, `eth0`. `more` are further addresses on it, `prefix` is their network's
    length."""

    name: str
    kind: Kind
    rack: str
    address: str
    more: tuple[str, ...] = ()
    prefix: int = 16


@dataclass(frozen=True, slots=True)
class NetSwitch:
    """A switch: a namespace with one bridge."""

    name: str
    rack: str | None
    tier: Tier = "leaf"


@dataclass(frozen=True, slots=True)
class Cable:
    """Two ports, as (node, device), and what it carries each way. `shared`: customers use it too."""

    near: tuple[str, str]
    far: tuple[str, str]
    bits_per_s: float
    queue_s: float
    shared: bool = False

    @property
    def ends(self) -> tuple[str, str]:
        """As a site names them: `tor-r1:up0`, `spine:dn-r1`."""
        return ":".join(self.near), ":".join(self.far)

    @property
    def directions(self) -> tuple[str, str]:
        """`tor-r1:up0>spine:dn-r1` and back."""
        near, far = self.ends
        return f"{near}>{far}", f"{far}>{near}"


@dataclass(frozen=True, slots=True)
class Wiring:
    """The network of one lab: what the uplinks of the lent racks carry, what each customer host sends, and whether a
    border stands before the balancers."""

    uplink_bps: float = UPLINK_BPS
    customers_bps: float = CUSTOMERS_BPS
    border: bool = False

    @property
    def vip(self) -> str:
        """The address that customers of the storage talk to."""
        return VIP if self.border else "10.77.0.100"

    def address(self, rack: int, number: int) -> str:
        """The address of a host in a rack."""
        return f"10.77.{rack}.{number}"

    @property
    def racks(self) -> tuple[str, ...]:
        """By name, the edge first."""
        return (*(_rack(number) for number in (_EDGE, *_STORAGE, *_LENT)), *(("outside",) if self.border else ()))

    @property
    def hosts(self) -> tuple[NetHost, ...]:
        """Every host, the edge first."""
        hosts = [NetHost("ops", "ops", "edge", self.address(0, 2))]
        if self.border:
            hosts = [*(NetHost(name, "balancer", "edge", PRIVATE[name]) for name in (ACTIVE, STANDBY)), *hosts]
            hosts.append(NetHost(OUTSIDE, "outside", "outside", OUTSIDE_ADDRESS, prefix=24))
        else:
            hosts.insert(0, NetHost(ACTIVE, "balancer", "edge", self.address(0, 1), (self.vip,)))
        hosts += [NetHost(f"s{r}{n}", "storage", _rack(r), self.address(r, n)) for r, n in _STORAGE_HOSTS]
        for r in _LENT:
            numbers = range(1, _GENERATORS_PER_RACK + 1)
            hosts += [NetHost(f"g{r}{n}", "generator", _rack(r), self.address(r, n)) for n in numbers]
            hosts.append(NetHost(f"c{r}1", "customer", _rack(r), self.address(r, _CUSTOMER_NUMBER)))
        return tuple(hosts)

    def host(self, name: str) -> NetHost:
        """One host by name; KeyError."""
        return {host.name: host for host in self.hosts}[name]

    def hosts_of(self, kind: Kind) -> tuple[NetHost, ...]:
        """Hosts of a kind."""
        return tuple(host for host in self.hosts if host.kind == kind)

    @property
    def switches(self) -> tuple[NetSwitch, ...]:
        """The spine, then one per rack, then the border."""
        tors = (NetSwitch(f"tor-{_rack(number)}", _rack(number)) for number in (_EDGE, *_STORAGE, *_LENT))
        border = (NetSwitch(BORDER, None, "edge"),) if self.border else ()
        return (NetSwitch(SPINE, None, "spine"), *tors, *border)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every namespace, switches first."""
        return (*(switch.name for switch in self.switches), *(host.name for host in self.hosts))

    @property
    def cables(self) -> tuple[Cable, ...]:
        """Uplinks, then the cables of the hosts. The first end is the one farther from the spine."""
        lent = {_rack(number) for number in _LENT}
        uplinks = [
            Cable(
                near=(f"tor-{rack}", "up0"),
                far=(SPINE, f"dn-{rack}"),
                bits_per_s=self.uplink_bps if rack in lent else FAST_BPS,
                queue_s=UPLINK_QUEUE_S if rack in lent else FAST_QUEUE_S,
                shared=rack in lent,
            )
            for rack in (switch.rack for switch in self.switches)
            if rack is not None
        ]
        if self.border:
            uplinks.append(Cable((BORDER, "up0"), ("tor-edge", f"p-{BORDER}"), FAST_BPS, FAST_QUEUE_S))
        access = [
            Cable((host.name, "eth0"), (self._switch_of(host), f"p-{host.name}"), FAST_BPS, FAST_QUEUE_S)
            for host in self.hosts
        ]
        return (*uplinks, *access)

    def cable(self, name: str) -> Cable:
        """The cable that leads from a host, a switch or a rack towards the spine. CampaignError for another name."""
        for cable in self.cables:
            if cable.near[0] in (name, f"tor-{name}"):
                return cable
        known = ", ".join(cable.near[0] for cable in self.cables)
        raise CampaignError(f"{name!r} has no cable towards the spine", cure=f"there are {known}")

    def _switch_of(self, host: NetHost) -> str:
        return BORDER if self.border and host.kind in ("balancer", "outside") else f"tor-{host.rack}"

    @property
    def pairs(self) -> tuple[tuple[NetHost, NetHost], ...]:
        """Which customer talks to which: a ring over the racks, so that every uplink carries as much up as down."""
        customers = self.hosts_of("customer")
        return tuple(zip(customers, (*customers[1:], customers[0]), strict=True))


def wiring_of(uplink: str | None, customers: str | None, border: bool = False) -> Wiring:
    """From what was said on a command line; None: the default. CampaignError for rates that cannot be."""
    wiring = Wiring(
        UPLINK_BPS if uplink is None else rate_from(uplink),
        CUSTOMERS_BPS if customers is None else rate_from(customers),
        border,
    )
    if not UPLINK_BPS_MIN <= wiring.uplink_bps <= UPLINK_BPS_MAX:
        raise CampaignError(
            f"an uplink of {show_bitrate(wiring.uplink_bps)} cannot be made",
            cure=f"choose from {show_bitrate(UPLINK_BPS_MIN)} to {show_bitrate(UPLINK_BPS_MAX)}",
        )
    if wiring.customers_bps >= wiring.uplink_bps:
        raise CampaignError(
            f"customers at {show_bitrate(wiring.customers_bps)} alone fill an uplink of "
            f"{show_bitrate(wiring.uplink_bps)}",
            cure="lower --customers, or raise --uplink",
        )
    return wiring


def rate_from(text: str) -> float:
    """Bits per second. CampaignError says what would be understood."""
    try:
        return parse_bitrate(text)
    except ValueError as error:
        raise CampaignError(str(error)) from None


def canary_name(source: NetHost, target: NetHost) -> str:
    """What the measurement between two customers is called."""
    return f"{source.name}-{target.name}"


def _rack(number: int) -> str:
    return f"r{number}" if number else "edge"
