"""What breaks or fills up on the way, and what a load server runs out of."""

import json
from collections.abc import Iterator

from maul.core.errors import CampaignError
from maul.lab import border
from maul.lab.causes.border_rules import table_of
from maul.lab.causes.play import Orders, Play
from maul.lab.causes.stage import Act, Stage
from maul.lab.wiring import UPLINK_BPS_MAX, UPLINK_BPS_MIN

_FIRST_PORT = 61_000


def _link_down(stage: Stage, orders: Orders) -> Iterator[Act]:
    for name in orders.where:
        yield stage.cut(name)


def _link_congested(stage: Stage, orders: Orders) -> Iterator[Act]:
    if not UPLINK_BPS_MIN <= orders.strength <= UPLINK_BPS_MAX:
        raise CampaignError(f"a cable cannot carry {orders.strength:g} bit/s", cure="choose from 1e6 to 1e9")
    for name in orders.where:
        yield from stage.rate(name, orders.strength)


def _generator_exhausted(stage: Stage, orders: Orders) -> Iterator[Act]:
    ports = f"{_FIRST_PORT} {_FIRST_PORT + max(1, round(orders.strength)) - 1}"
    for name in orders.where:
        yield stage.setting(name, "net/ipv4/ip_local_port_range", ports)


def _mtu_hole(stage: Stage, orders: Orders) -> Iterator[Act]:
    cause = "mtu-hole"
    silent = (
        "chain play { type filter hook output priority -150; policy accept; icmp type destination-unreachable drop\n}"
    )
    yield stage.table(border.BORDER, table_of(cause), silent)
    (shown,) = json.loads(stage.run(border.BORDER, "ip", "-j", "link", "show", border.BRIDGE))
    device = ("ip", "link", "set", border.BRIDGE, "mtu")
    yield stage.command(border.BORDER, (*device, str(round(orders.strength))), (*device, str(shown["mtu"])))


PLAYS = (
    Play("link-down", "the uplink of a rack of load servers is pulled out", _link_down, where=("r4",)),
    Play(
        "link-congested",
        "the uplink of a rack of load servers carries far less than the load",
        _link_congested,
        unit="bits per second",
        strength=2e6,
        where=("r4",),
    ),
    Play(
        "generator-exhausted",
        "a load server has next to no local ports for new connections",
        _generator_exhausted,
        unit="local ports",
        strength=2,
        where=("g41",),
    ),
    Play(
        "mtu-hole",
        "what fills a frame does not pass the border, and nobody is told",
        _mtu_hole,
        unit="bytes of the largest packet",
        strength=1280,
    ),
)
