"""FleetPlan: which load server sends which part of the load, and what every link will carry. Frozen, part of the plan.

Rates are those of the heaviest moment of the run; at any other moment everything is in proportion. Bit rates are on
the wire, headers included. A direction of a link is named as in `maul.site.model_network`.
"""

from maul.plan.engine_plan import Frozen


class Load(Frozen):
    """What is sent and received per second."""

    requests_per_s: float = 0.0
    connections_per_s: float = 0.0
    """New ones."""
    sent_bps: float = 0.0
    """Bits per second from load servers to the target."""
    received_bps: float = 0.0
    """Bits per second from the target to load servers."""


class GeneratorPlan(Frozen):
    """One load server and its part: arrivals whose place in the wheel lies from `first` to below `first + width`."""

    name: str
    """Of the agent: the host's name, or `local-1` and so on."""
    host: str | None
    """Of the site; None: a process of this machine."""
    rack: str | None
    first: int
    width: int
    load: Load
    requests_ceiling_per_s: float | None
    """What it may make at most, also when it takes over from others; None: not known."""


class LinkLoad(Frozen):
    """One direction of a link."""

    name: str
    capacity_bps: float
    background_bps: float
    shared: bool
    """Customers use it."""
    cap: float
    """The part of the capacity that may be full."""
    ours_bps: float
    """In normal state."""
    worst_bps: float
    """Ours and background while the worst single failure lasts."""
    worst_when: str | None
    """That failure; None: none changes it, or none is looked at."""
    up: dict[str, float]
    """By generator: the part of what it sends to the target that crosses here, from 0 to 1, in normal state."""
    down: dict[str, float]
    """By generator: the part of what it receives from the target that crosses here. A generator beside a balancer may
    have both on one direction; the guard and the trickle predict counters from them."""

    def bps_of(self, generator: GeneratorPlan) -> float:
        """Bits per second of one generator here, at the heaviest moment in normal state."""
        sent, received = self.up.get(generator.name, 0.0), self.down.get(generator.name, 0.0)
        return sent * generator.load.sent_bps + received * generator.load.received_bps

    @property
    def crossing(self) -> frozenset[str]:
        """Generators whose traffic crosses here, in either way."""
        return frozenset(name for parts in (self.up, self.down) for name, part in parts.items() if part > 0)


class Blocker(Frozen):
    """What stands in the way of more load."""

    what: str
    """The constraint, in words: `tor-r1>spine while spine-2 is down`."""
    price: float
    """Shadow price: requests per second that one more unit of its bound would allow."""
    unit: str
    """Of the bound: `Mbit/s`, `req/s`, …"""


class FleetPlan(Frozen):
    """The placement of the load."""

    wheel: int
    """Places in the wheel that the arrivals go round in; the widths add up to it."""
    generators: tuple[GeneratorPlan, ...]
    links: tuple[LinkLoad, ...] = ()
    """Every direction that carries our load, if only during a failure; empty where the site has no network."""
    load: Load
    """All together, at the heaviest moment."""
    most: Load | None = None
    """The most of the same mix that the caps allow; None where nothing bounds it."""
    unpaced: Load | None = None
    """The most that what nobody paces (filling, audit, clean-up, closed loops) may do with these shares, each direction
    by itself; its limits are held to it. None where no cap is enforced."""
    blockers: tuple[Blocker, ...] = ()
    """What blocks the next 10 %, the strongest first."""
    on_loss: str = "redistribute"
    trickle_error: float = 0.2
    """By which part a link may carry more or less than predicted, before the map of the network is called wrong."""
    guard_acts: bool = True
    """False: the link guard only writes down whom it would cut."""
    notes: tuple[str, ...] = ()

    def generator(self, name: str) -> GeneratorPlan:
        """The generator of that name; KeyError."""
        return {generator.name: generator for generator in self.generators}[name]
