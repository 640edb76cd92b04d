"""The border of a lab's network on paper: a router between the fabric, the balancers and the outside. Pure.

The balancers hang on the border alone. What goes to a public address is routed by it and can be watched, limited and
dropped there; what goes to a balancer's private address passes its bridge and is not.

    fabric 10.77.0.0/16 ── border ── balancers 10.78.0.0/24 (lb, and lb2 in reserve)
                              └───── outside   192.0.2.0/24 (ext)

Public prefixes are those that RFC 5737 keeps for documentation: they lead nowhere else.
"""

from collections.abc import Sequence

BORDER, ACTIVE, STANDBY, OUTSIDE = "border", "lb", "lb2", "ext"
BRIDGE, OUTSIDE_PORT = "br0", "p-ext"
FABRIC, BALANCERS, OUTSIDE_NETWORK = "10.77.0.0/16", "10.78.0.0/24", "192.0.2.0/24"
FABRIC_ROUTER, BALANCERS_ROUTER, OUTSIDE_ROUTER = "10.77.0.254", "10.78.0.254", "192.0.2.1"
OUTSIDE_ADDRESS = "192.0.2.2"
PUBLIC, CONTROL_NETWORK = "198.51.100.0/24", "203.0.113.0/24"
VIP, NEIGHBOUR, CONTROL = "198.51.100.10", "198.51.100.20", "203.0.113.10"
"""The loaded address; another of the same prefix; another of another prefix. All lead to the same balancer."""
PRIVATE = {ACTIVE: "10.77.0.1", STANDBY: "10.77.0.3"}
FRONT = {ACTIVE: "10.78.0.1", STANDBY: "10.78.0.2"}
PLAIN_PORT = 80
"""Another port of every address of the balancers: it sends to HTTPS."""
WATCH_TABLE = "maul_watch"
FEED = "10.77.0.2:9880"
"""Where the conductor listens for what the network says of itself."""
ROUTE_METRIC = 100
"""Of the border's own routes: what somebody adds without one is preferred."""

_REPLIES_TABLE = 100
_BEYOND = (PUBLIC, CONTROL_NETWORK)


def ip_lines(name: str) -> list[str]:
    """What makes a host or the border part of this, in the words of `ip -batch`; its links are up already."""
    if name == BORDER:
        return [
            f"addr add {FABRIC_ROUTER}/16 dev {BRIDGE}",
            f"addr add {BALANCERS_ROUTER}/24 dev {BRIDGE}",
            f"addr add {OUTSIDE_ROUTER}/24 dev {OUTSIDE_PORT}",
            *(f"route add {prefix} via {FRONT[ACTIVE]} metric {ROUTE_METRIC}" for prefix in _BEYOND),
        ]
    if name in FRONT:
        return [
            f"addr add {FRONT[name]}/24 dev eth0",
            *(f"addr add {address}/32 dev lo" for address in (VIP, NEIGHBOUR, CONTROL)),
            f"route add {OUTSIDE_NETWORK} via {BALANCERS_ROUTER}",
            # What answers from a public address goes back the way it came: through the border.
            *(f"rule add from {prefix} lookup {_REPLIES_TABLE}" for prefix in _BEYOND),
            *(f"route add {to} via {BALANCERS_ROUTER} table {_REPLIES_TABLE}" for to in (FABRIC, OUTSIDE_NETWORK)),
        ]
    if name == OUTSIDE:
        return [f"route add {prefix} via {OUTSIDE_ROUTER}" for prefix in _BEYOND]
    return [f"route add {prefix} via {FABRIC_ROUTER}" for prefix in (*_BEYOND, OUTSIDE_NETWORK, BALANCERS)]


def sysctls(name: str) -> Sequence[tuple[str, str]]:
    """Settings below /proc/sys of a host or the border, `*` for every device, and their values."""
    if name == BORDER:
        return (
            ("net/ipv4/ip_forward", "1"),
            ("net/ipv4/conf/*/rp_filter", "0"),
            # In by the bridge and out by it again: it would tell everybody to go directly.
            ("net/ipv4/conf/*/send_redirects", "0"),
            # What it only bridges is none of its filters' business.
            ("net/bridge/bridge-nf-call-iptables", "0"),
        )
    return (("net/ipv4/conf/*/rp_filter", "0"),) if name in FRONT else ()


def nft_text(name: str) -> str:
    """The table `inet maul_watch` of a balancer or of the border; empty for others.

    Counters count what the kernel handles as one packet: segments that a host hands over together are one. `ct` makes
    the kernel track connections from the start: a table of connections that is switched on later knows none.
    """
    hooks = {BORDER: ("forward", "forward", "forward")} | dict.fromkeys(FRONT, ("prerouting", "output", "input"))
    if name not in hooks:
        return ""
    into, out, new = hooks[name]
    return f"""\
table inet {WATCH_TABLE} {{
    counter vip_in {{ }}
    counter vip_syn {{ }}
    counter vip_new {{ }}
    counter vip_out {{ }}
    chain into {{
        type filter hook {into} priority -300; policy accept;
        ip daddr {VIP} counter name vip_in
        ip daddr {VIP} tcp flags & (syn | ack) == syn counter name vip_syn
    }}
    chain out {{
        type filter hook {out} priority -300; policy accept;
        ip saddr {VIP} counter name vip_out
    }}
    chain fresh {{
        type filter hook {new} priority -200; policy accept;
        ip daddr {VIP} ct state new counter name vip_new
    }}
}}
"""
