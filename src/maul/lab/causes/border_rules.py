"""What the border drops, limits or answers by itself: black holes, bans, discards, policers, proxies, full tables."""

from collections.abc import Iterator

from maul.core.errors import CampaignError
from maul.lab import border
from maul.lab.causes.play import Acts, Orders, Play
from maul.lab.causes.stage import Act, Stage
from maul.lab.layout import BALANCER_PORT

METRIC = border.ROUTE_METRIC - 50
"""Of the routes that plays add: they come before the border's own."""
_FORWARD = "type filter hook forward priority -150; policy accept;"
_BURST_BYTES_MIN, _BURST_PACKETS = 3000, 5
_MSS, _WSCALE = 1360, 4  # HAProxy's own machine says 1460, and 7 or more


def table_of(cause: str) -> str:
    """The name of a play's table."""
    return f"maul_play_{cause.replace('-', '_')}"


def rule(cause: str, text: str, node: str = border.BORDER, hook: str = _FORWARD) -> Acts:
    """The acts of a play that is one chain. In `text`, {n} stands for the strength as a whole number, {hosts} for the
    addresses of hosts."""

    def acts(stage: Stage, orders: Orders) -> Iterator[Act]:
        hosts = ", ".join(addresses(stage, orders.where))
        rules = text.format(n=round(orders.strength), hosts=f"{{ {hosts} }}")
        yield stage.table(node, table_of(cause), f"counter dropped {{ }}\nchain play {{ {hook}\n{rules}\n}}")

    return acts


def addresses(stage: Stage, where: tuple[str, ...]) -> list[str]:
    """Of hosts, and of the generators of racks. CampaignError for another name."""
    found = []
    for name in where:
        known = [host.address for host in stage.wiring.hosts if host.name == name]
        known += [host.address for host in stage.wiring.hosts_of("generator") if host.rack == name]
        if not known:
            raise CampaignError(f"neither a host nor a rack of generators is named {name!r}", cure="such as g41 or r4")
        found += known
    return found


def _black_hole(to: str) -> Acts:
    def acts(stage: Stage, orders: Orders) -> Iterator[Act]:
        yield stage.route(orders.variant, to, f"metric {METRIC}")

    return acts


def _ban(stage: Stage, orders: Orders) -> Iterator[Act]:
    side = "saddr" if orders.variant == "source" else "daddr"
    yield from rule("generators-banned", f"ip {side} {{hosts}} counter name dropped drop")(stage, orders)


def _policer(stage: Stage, orders: Orders) -> Iterator[Act]:
    n = round(orders.strength)
    bytes_limit = f"{n} bytes/second burst {max(_BURST_BYTES_MIN, n // 10)} bytes"
    limit = bytes_limit if orders.variant == "bytes" else f"{n}/second burst {_BURST_PACKETS} packets"
    over = f"ip daddr {border.VIP} limit rate over {limit} counter name dropped drop"
    yield from rule("policer", over)(stage, orders)


def _syn_proxy(stage: Stage, orders: Orders) -> Iterator[Act]:
    to_vip = f"ip daddr {border.VIP} tcp dport {BALANCER_PORT}"
    stamp = " timestamp sack-perm" if orders.variant == "whole" else " sack-perm"
    body = f"""
counter proxied {{ }}
chain early {{ type filter hook prerouting priority raw; policy accept;
    {to_vip} tcp flags & (fin | syn | rst | ack) == syn notrack
}}
chain play {{ {_FORWARD}
    {to_vip} ct state invalid,untracked counter name proxied synproxy mss {_MSS} wscale {_WSCALE}{stamp}
    {to_vip} ct state invalid drop
}}"""
    # Else the last packet of the handshake with the proxy would be taken for a connection that stands.
    yield stage.setting(border.BORDER, "net/netfilter/nf_conntrack_tcp_loose", "0")
    yield stage.table(border.BORDER, table_of("syn-proxy"), body)


# A table that is full takes a new connection when it forgets an old one. How many wait for that does not matter; `ct
# count` would let everybody in whose connections are short.
_FULL = "tcp flags & (syn | ack) == syn ct state new limit rate over {n}/second burst {n} packets"
_FULL += " counter name dropped drop"
_INPUT = "type filter hook input priority -150; policy accept;"
_RACK = ("r4",)

PLAYS = (
    Play(
        "vip-black-hole",
        "everything towards the VIP is dropped at the border; what the balancer still sends passes",
        _black_hole(f"{border.VIP}/32"),
        variants=("blackhole", "prohibit", "unreachable"),
    ),
    Play(
        "subnet-black-hole",
        "everything towards the VIP's whole /24 is dropped at the border",
        _black_hole(border.PUBLIC),
        variants=("blackhole", "prohibit", "unreachable"),
    ),
    Play(
        "generators-banned",
        "what some load servers send (source) or are sent (destination) is dropped at the border",
        _ban,
        where=_RACK,
        variants=("source", "destination"),
    ),
    Play(
        "port-discard",
        "the VIP's HTTPS port is dropped at the border; its other ports answer",
        rule("port-discard", f"ip daddr {border.VIP} tcp dport {BALANCER_PORT} counter name dropped drop"),
    ),
    Play(
        "policer",
        "what exceeds a rate towards the VIP is dropped at the border",
        _policer,
        unit="bytes per second, or packets",
        strength=12_500,
        variants=("bytes", "packets"),
    ),
    Play(
        "syn-proxy",
        "the border answers each SYN for the balancer, and connects to it afterwards",
        _syn_proxy,
        variants=("plain", "whole"),
    ),
    Play(
        "conntrack-full",
        "the balancer's machine has next to no room for new connections; those that stand go on",
        rule("conntrack-full", f"tcp dport {BALANCER_PORT} {_FULL}", border.ACTIVE, _INPUT),
        unit="new connections per second that find room",
        strength=2,
    ),
    Play(
        "nat-full",
        "the border has next to no room for new connections of one rack; those that stand go on",
        rule("nat-full", f"ip saddr {{hosts}} {_FULL}"),
        unit="new connections per second that find room",
        strength=2,
        where=_RACK,
    ),
)
