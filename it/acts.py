"""What is played, on which load, and what maul must make of it. Pure data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from maul.guard.mitigation.causes import Cause
from maul.lab.causes import Orders


@dataclass(frozen=True, slots=True)
class Load:
    """Steady load of a fleet, in the words of a campaign. `requests_each`: of a connection, then it is closed."""

    name: str
    rate: int
    size: str
    mix: str
    requests_each: int | None = None
    connections: int = 60

    @property
    def says(self) -> str:
        """In words, for people."""
        fresh = f", a new connection for every {self.requests_each}" if self.requests_each else ""
        return f"{self.rate}/s of {self.size.replace('KiB', ' KiB')}, {self.mix}{fresh}"


LIGHT = Load("light", 20, "4KiB", "{get: 100}")
BRISK = Load("brisk", 150, "{uniform: [1KiB, 16KiB]}", "{get: 70, put: 30}")
SHORT = replace(LIGHT, requests_each=2), replace(BRISK, requests_each=5)
"""Clients that keep their connections for a few requests only: they need new ones all the time."""
SINGLE = replace(LIGHT, requests_each=1), replace(BRISK, requests_each=2)
BULKY = (
    replace(LIGHT, size="{uniform: [1KiB, 64KiB]}", mix="{get: 60, put: 40}"),
    replace(BRISK, rate=60, size="{uniform: [4KiB, 128KiB]}", mix="{get: 60, put: 40}"),
)


@dataclass(frozen=True, slots=True)
class Act:
    """One cause, on two loads, with orders for each. `freezes`: whether traffic must stop, must not, or (None) may."""

    cause: Cause
    loads: Sequence[Load] = (LIGHT, BRISK)
    orders: Sequence[Orders] = (Orders(),)
    freezes: bool | None = True


ACTS: Sequence[Act] = (
    Act(Cause.VIP_BLACK_HOLE),
    Act(Cause.SUBNET_BLACK_HOLE),
    Act(Cause.GENERATORS_BANNED, orders=(Orders(variant="source", where=("g41", "g51")),)),
    Act(Cause.PORT_DISCARD),
    Act(Cause.POLICER, BULKY, (Orders(strength=60e3), Orders(strength=150e3)), freezes=None),
    Act(Cause.SCRUBBING, freezes=None),
    Act(Cause.SYN_PROXY, SHORT, freezes=None),
    Act(Cause.BALANCER_DOWN, freezes=None),
    Act(Cause.BALANCER_HUNG),
    Act(Cause.BALANCER_SATURATED, SHORT, freezes=None),
    Act(Cause.CONNTRACK_FULL, SHORT, freezes=None),
    Act(Cause.NAT_FULL, SINGLE, (Orders(strength=1), Orders()), freezes=None),
    Act(Cause.LINK_DOWN, freezes=None),
    Act(Cause.LINK_CONGESTED, (replace(BULKY[1], name="light", rate=40), BULKY[1]), freezes=None),
    Act(Cause.GENERATOR_EXHAUSTED, SINGLE, freezes=None),
    Act(Cause.APPLICATION_THROTTLE, freezes=False),
    Act(Cause.BACKENDS_DOWN, freezes=False),
    Act(Cause.VIP_FAILOVER, freezes=None),
    Act(Cause.MTU_HOLE, BULKY, freezes=None),
)
