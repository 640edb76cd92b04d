"""What leads traffic elsewhere: through a scrubbing centre, or to the other balancer."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

from maul.lab import border
from maul.lab.causes import delay_line
from maul.lab.causes.border_rules import METRIC, table_of
from maul.lab.causes.play import PLAYED, Orders, Play
from maul.lab.causes.stage import Act, Stage

_DELAY_LINE = Path(delay_line.__file__)
_DIP_S = 3
"""What a change of routes takes: for so long nothing passes at all."""
_OUT, _FAR_OUT, _BACK, _FAR_BACK = "sc-out", "sc-far0", "sc-back", "sc-far1"
_CARD = "02:00:00:00:00:51"
_TABLE, _PREFERENCE = 200, 500
_SEEN = 0x51


def _scrubbing(stage: Stage, orders: Orders) -> Iterator[Act]:
    to_vip = f"ip daddr {border.VIP}"
    unknown = "drop" if orders.variant == "silent" else "reject with tcp reset"
    rules = f"""
counter dropped {{ }}
chain play {{ type filter hook forward priority -150; policy accept;
    iifname "{_BACK}" accept
    {to_vip} meta time < {_in_seconds(_DIP_S)} counter name dropped drop
    {to_vip} tcp flags & (syn | ack) == syn ct state new ct mark set {_SEEN}
    {to_vip} meta l4proto tcp ct mark != {_SEEN} counter name dropped {unknown}
}}"""
    yield stage.table(border.BORDER, table_of("scrubbing"), rules)
    for near, far in ((_OUT, _FAR_OUT), (_BACK, _FAR_BACK)):
        # One address for both: what leaves by the one is taken when it comes in by the other.
        made = f"ip link add {near} address {_CARD} type veth peer name {far} && ip link set {near} arp off up && "
        made += f"ip link set {far} arp off up"
        gone = f"ip link del {near} 2>/dev/null; ! ip link show {near} 2>/dev/null"
        yield stage.command(border.BORDER, ("sh", "-c", made), ("sh", "-c", gone))
    place = stage.layout.directory / PLAYED / "scrubbing"
    yield stage.helper(border.BORDER, place, _DELAY_LINE, _FAR_OUT, _FAR_BACK, f"{orders.strength:g}")
    route = ("ip", "route", "replace", f"{border.VIP}/32", "dev", _OUT, "table", str(_TABLE))
    yield stage.command(border.BORDER, route, ("ip", "route", "flush", "table", str(_TABLE)))
    for device in (border.BRIDGE, border.OUTSIDE_PORT):
        rule = f"iif {device} to {border.VIP} lookup {_TABLE} pref {_PREFERENCE}"
        gone = f"while ip rule del {rule} 2>/dev/null; do :; done"
        yield stage.command(border.BORDER, ("ip", "rule", "add", *rule.split()), ("sh", "-c", gone))


def _failover(stage: Stage, orders: Orders) -> Iterator[Act]:
    both = f"ip daddr {{ {border.PUBLIC}, {border.CONTROL_NETWORK} }}"
    gap = f"{both} meta time < {_in_seconds(orders.strength)} counter name dropped drop"
    chain = f"chain play {{ type filter hook forward priority -150; policy accept;\n{gap}\n}}"
    yield stage.table(border.BORDER, table_of("vip-failover"), f"counter dropped {{ }}\n{chain}")
    for prefix in (border.PUBLIC, border.CONTROL_NETWORK):
        yield stage.route("", prefix, f"via {border.FRONT[border.STANDBY]} metric {METRIC}")


def _in_seconds(seconds: float) -> int:
    """A moment, in whole seconds: nftables knows no finer ones by name."""
    return math.ceil(time.time() + seconds)


PLAYS = (
    Play(
        "scrubbing",
        "what goes to the VIP takes a longer way: nothing passes for seconds, then only connections that are new",
        _scrubbing,
        unit="milliseconds more on the way in",
        strength=20,
        variants=("silent", "reset"),
    ),
    Play(
        "vip-failover",
        "public addresses move to the other balancer, which knows none of the connections",
        _failover,
        unit="seconds in which nobody has them",
        strength=2,
    ),
)
