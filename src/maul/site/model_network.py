"""Network: switches, links, VIPs, what fails together, and where a protection may step in.

A direction of a link is named by where it comes from and where it leads: `tor-r1>spine`. What planning, guarding and
drawing ask of all this is in `topology.py`.
"""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema

from maul.campaign.part import Part
from maul.campaign.quantities import NAME_PATTERN, Bitrate, Name, Rate, Seconds, SecondsOrZero, Whole

_PORT_PATTERN = NAME_PATTERN + r"(:[^\s>]{1,63})?"
_PORT = re.compile(_PORT_PATTERN)


def _port(value: str) -> str:
    if not _PORT.fullmatch(value):
        raise ValueError("expected a host or switch, or one of its ports, such as tor-r1 or tor-r1:eth49")
    return value


Port = Annotated[str, AfterValidator(_port), WithJsonSchema({"type": "string", "pattern": f"^{_PORT_PATTERN}$"})]
"""A host or switch, and which of its ports: `tor-r1:eth49`. Without a port its counters cannot be found."""


def _carries(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than nothing")
    return value


Speed = Annotated[Bitrate, AfterValidator(_carries)]
"""Bits per second that a card or a link can carry."""


def node_of(port: str) -> str:
    """The host or switch of a port.

    >>> node_of("tor-r1:eth49")
    'tor-r1'
    """
    return port.partition(":")[0]


def named_port(port: str) -> str | None:
    """Which port of its node; None when the site does not say.

    >>> named_port("tor-r1:eth49"), named_port("tor-r1")
    ('eth49', None)
    """
    return port.partition(":")[2] or None


def direction(source: str, target: str) -> str:
    """The name of one direction of a link.

    >>> direction("tor-r1", "spine")
    'tor-r1>spine'
    """
    return f"{source}>{target}"


class Nic(Part):
    """A network card of a host."""

    name: str = Field(min_length=1, max_length=63)
    speed: Speed
    """Bits per second, each direction."""


class Borrow(Part):
    """What a host may give when it is borrowed as a load server."""

    requests_per_s: Rate | None = Field(default=None, alias="requests")
    """Requests per second that it makes at most, by its calibration; None: its NIC is its only limit."""
    connections_per_s: Rate | None = Field(default=None, alias="new_connections")
    """New TLS connections per second that it makes at most."""
    connections: Whole = Field(default=20_000, ge=1, le=1_000_000)
    """Connections that it may hold open."""
    cost: float = Field(default=1.0, ge=0.0, le=1e6)
    """What borrowing it costs its owner; the plan borrows as little as it can."""


class Ssh(Part):
    """How the fleet reaches a host."""

    user: str | None = Field(default=None, min_length=1, max_length=64)
    """None: the user of this process."""
    port: Whole = Field(default=22, ge=1, le=65_535)
    address: str | None = Field(default=None, min_length=1, max_length=253)
    """Of its management interface; the host's own address when absent."""


class Switch(Part):
    """One switch or router."""

    name: Name
    tier: Literal["leaf", "spine", "core", "edge"] = "leaf"
    """Where it stands; routing does not depend on it, drawings do."""
    rack: Name | None = None
    """A leaf's rack."""


class Flow(Part):
    """Bits per second in both directions of a link, seen from its first end."""

    out_bps: Bitrate = Field(default=0.0, alias="out")
    """From the first end to the second."""
    back_bps: Bitrate = Field(default=0.0, alias="back")
    """From the second end to the first."""


class Link(Part):
    """A cable, or a bundle of `members` that share load by flow (LACP). Each direction has the capacity."""

    between: tuple[Port, Port]
    """Its two ends: `[tor-r1:up0, spine:dn-r1]`."""
    capacity: Speed
    """Bits per second in each direction, of all members together."""
    members: Whole = Field(default=1, ge=1, le=256)
    background: Flow = Flow()
    """What others send at the busiest: the 99th percentile of the same hour of the week."""
    shared_by: tuple[str, ...] = ()
    """Who else uses it. A link that customers use has a lower cap than one of our own."""

    @property
    def nodes(self) -> tuple[str, str]:
        """The hosts or switches at its ends."""
        return node_of(self.between[0]), node_of(self.between[1])

    @property
    def directions(self) -> tuple[str, str]:
        """The names of its two directions; parallel links between the same nodes are told apart by their ports."""
        first, second = self.between
        return direction(first, second), direction(second, first)


class Thresholds(Part):
    """Above which a protection may act; None: not known."""

    packets_per_s: Rate | None = Field(default=None, alias="packets")
    bits_per_s: Bitrate | None = Field(default=None, alias="bandwidth")
    connections_per_s: Rate | None = Field(default=None, alias="new_connections")
    requests_per_s: Rate | None = Field(default=None, alias="requests")


class Vip(Part):
    """A public address, and the balancers that answer on it."""

    name: Name
    address: str = Field(min_length=1, max_length=253)
    endpoint: Name
    """The endpoint of the site that is reached through it."""
    hosts: tuple[Name, ...] = Field(min_length=1, max_length=1000)
    """Hosts of the balancers that serve it; its load is spread evenly over them."""
    mitigation: Thresholds = Thresholds()
    """Of everything that comes in."""
    mitigation_per_source: Thresholds = Thresholds()
    """Of what one source address sends."""


class FailureGroup(Part):
    """Switches and links that fail together: a line card, a power feed, a duct."""

    name: Name
    switches: tuple[Name, ...] = ()
    links: tuple[tuple[Port, Port], ...] = ()
    """Each by its two ends, as in `links`."""


class Canary(Part):
    """Two hosts of customers: what they feel of each other is what must not get worse."""

    name: Name
    source: Name = Field(alias="from")
    target: Name = Field(alias="to")
    selector: str | None = Field(default=None, min_length=1, max_length=1000, pattern=r'^\w+\s*(=|!=|=~|!~)\s*"')
    """Where Prometheus knows it: the labels of a blackbox exporter's `probe_duration_seconds` and `probe_success`, such
    as `job="canary", instance="10.0.2.9"`. None: read from the lab's own customers."""
    excess_s: SecondsOrZero = Field(default=0.0005, alias="excess")
    """A round trip that is longer by less than this harms nobody, whatever its ratio to the usual one."""


def exporter_url(value: str) -> str:
    """The message does not repeat the URL: it may carry a password."""
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected a URL such as http://10.0.0.5:9090 or http://{node}:9100/metrics")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not carry a user or password")
    return value


class CounterSource(Part):
    """Where the counters of ports are read."""

    kind: Literal["lab", "node-exporter", "prometheus"]
    """`lab`: from the namespaces of maul's own lab. `node-exporter`: each switch or host answers itself. `prometheus`:
    one server knows all, by SNMP (`ifHCInOctets` …) or by node exporters."""
    url: Annotated[str, AfterValidator(exporter_url)] | None = Field(default=None, max_length=2000)
    """Of Prometheus; or of the exporters, with `{node}` in the host's place."""
    every_s: Seconds = Field(default=1.0, le=300.0, alias="every")
    """How often fresh values appear there."""


class Network(Part):
    """How the hosts are wired."""

    switches: tuple[Switch, ...] = Field(default=(), max_length=10_000)
    links: tuple[Link, ...] = Field(default=(), max_length=100_000)
    vips: tuple[Vip, ...] = Field(default=(), max_length=1000)
    groups: tuple[FailureGroup, ...] = Field(default=(), max_length=10_000)
    canaries: tuple[Canary, ...] = Field(default=(), max_length=100)
    counters: CounterSource | None = None
