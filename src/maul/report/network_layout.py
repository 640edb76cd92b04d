"""Layout: where switches and racks stand on the drawing. Pure: a site in, places out."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maul.report.network_svg import Spot
from maul.site import Site
from maul.site.model import Host
from maul.site.model_network import Network, Switch
from maul.site.topology import by_rack

DETAILED_HOSTS_MAX = 80
DETAILED_RACKS_MAX = 10
MARGIN = 28.0
HEAD = 118.0
ROW = 22.0
"""Of one host."""
SWITCH_HEIGHT = 30.0
GRID_ROW = 19.0
NAMES_WIDTH = 96.0


@dataclass(frozen=True, slots=True)
class Box:
    """A switch or rack on the drawing: its top left and its size."""

    at: Spot
    width: float
    height: float

    @property
    def top(self) -> Spot:
        """The middle of its upper edge."""
        return Spot(self.at.x + self.width / 2, self.at.y)

    @property
    def bottom(self) -> Spot:
        """The middle of its lower edge."""
        return Spot(self.at.x + self.width / 2, self.at.y + self.height)

    @property
    def middle(self) -> Spot:
        """Its centre."""
        return Spot(self.at.x + self.width / 2, self.at.y + self.height / 2)


@dataclass(frozen=True)
class Layout:
    """Everything that has a place."""

    detailed: bool
    """Each host is drawn; else racks count theirs."""
    width: float
    height: float
    switches: dict[str, Box]
    racks: dict[str, Box]
    rack_of_leaf: dict[str, str]
    hosts: dict[str, tuple[Host, ...]]
    """By rack."""
    grid: dict[str, float]
    """In a large site: the row of each switch above the leaves, by its upper edge. Lines would be a thicket there."""


def lay_out(site: Site, network: Network) -> Layout:
    """Places for a site with that network: edges at the top right, then core, spines, leaves over their racks."""
    hosts = dict(by_rack(site))
    detailed = len(site.hosts) <= DETAILED_HOSTS_MAX and len(hosts) <= DETAILED_RACKS_MAX
    leaves, rack_of_leaf = _leaves(site, network)
    tiers = {tier: [switch for switch in network.switches if switch.tier == tier] for tier in ("core", "spine", "edge")}
    homeless = [switch for switch in network.switches if switch.tier == "leaf" and switch.name not in rack_of_leaf]
    above = _above(network) if not detailed else ()
    column = 248.0 if detailed else max(30.0, min(76.0, 2000 / max(1, len(hosts))))
    gap = 26.0 if detailed else 5.0
    field = max(len(hosts) * (column + gap) - gap, 1180.0)
    left = MARGIN if detailed else MARGIN + NAMES_WIDTH
    levels = _levels(tiers, bool(homeless), len(above))
    switches = _row(tiers["core"], levels["core"], left, field) | _row(tiers["spine"], levels["spine"], left, field)
    switches |= _row(homeless, levels["homeless"], left, field)
    switches |= _aside(tiers["edge"], levels["edge"], left + field)
    first = left + (field - (len(hosts) * (column + gap) - gap)) / 2
    racks: dict[str, Box] = {}
    for number, (rack, inside) in enumerate(hosts.items()):
        at = Spot(first + number * (column + gap), levels["rack"])
        racks[rack] = Box(at, column, (30 + ROW * max(1, len(inside)) + 8) if detailed else 128.0)
        switches |= _over(leaves[rack], at, column, levels["leaf"])
    bottom = levels["rack"] + max(box.height for box in racks.values())
    rows = {name: levels["grid"] + number * GRID_ROW for number, name in enumerate(above)}
    return Layout(detailed, left + field + MARGIN, bottom, switches, racks, rack_of_leaf, hosts, rows)


def _above(network: Network) -> tuple[str, ...]:
    """Switches that leaves are wired to, leaves apart, in the order of the file."""
    tiers = {switch.name: switch.tier for switch in network.switches}
    wired = {
        other
        for link in network.links
        for one, other in (link.nodes, link.nodes[::-1])
        if tiers.get(one) == "leaf" and tiers.get(other, "leaf") != "leaf"
    }
    return tuple(name for name in tiers if name in wired)


def _leaves(site: Site, network: Network) -> tuple[dict[str, list[Switch]], dict[str, str]]:
    """Leaves over each rack: by their own word, else by where most of their hosts stand."""
    racks = {host.name: host.rack for host in site.hosts}
    below: dict[str, Counter[str]] = defaultdict(Counter)
    for link in network.links:
        for one, other in (link.nodes, link.nodes[::-1]):
            if one in racks:
                below[other][racks[one]] += 1
    over: dict[str, list[Switch]] = defaultdict(list)
    rack_of_leaf: dict[str, str] = {}
    for switch in network.switches:
        if switch.tier == "leaf":
            seen = below[switch.name].most_common(1)
            rack = switch.rack or (seen[0][0] if seen else None)
            if rack is not None:
                over[rack].append(switch)
                rack_of_leaf[switch.name] = rack
    return over, rack_of_leaf


def _levels(tiers: Mapping[str, Sequence[Switch]], homeless: bool, grid_rows: int) -> dict[str, float]:
    """Upper edges of the rows; the grid of a large site stands between spines and leaves."""
    levels = {"edge": HEAD}
    levels["core"] = HEAD + (86.0 if tiers["edge"] else 0.0)
    levels["spine"] = levels["core"] + (120.0 if tiers["core"] else 0.0)
    below = levels["spine"] + (SWITCH_HEIGHT + 30.0 if tiers["spine"] or tiers["core"] or tiers["edge"] else 0.0)
    levels["grid"] = below
    levels["homeless"] = below + (grid_rows * GRID_ROW + 12 if grid_rows else 90.0)
    levels["leaf"] = levels["homeless"] + (90.0 if homeless else 0.0)
    levels["rack"] = levels["leaf"] + SWITCH_HEIGHT + (10.0 if grid_rows else 14.0)
    return levels


def _row(switches: Sequence[Switch], y: float, left: float, field: float) -> dict[str, Box]:
    """Evenly over the width."""
    part = field / max(1, len(switches))
    size = min(170.0, part - 12)
    return {
        switch.name: Box(Spot(left + part * (number + 0.5) - size / 2, y), size, SWITCH_HEIGHT)
        for number, switch in enumerate(switches)
    }


def _aside(switches: Sequence[Switch], y: float, right: float) -> dict[str, Box]:
    """Beside each other, from the right."""
    size = 150.0
    return {
        switch.name: Box(Spot(right - (size + 20) * (len(switches) - number) + 20, y), size, SWITCH_HEIGHT)
        for number, switch in enumerate(switches)
    }


def _over(leaves: list[Switch], at: Spot, column: float, y: float) -> dict[str, Box]:
    """Side by side over their rack."""
    part = column / max(1, len(leaves))
    size = min(150.0, part - 4) if len(leaves) > 1 or column > 154 else column
    return {
        switch.name: Box(Spot(at.x + part * (number + 0.5) - size / 2, y), size, SWITCH_HEIGHT)
        for number, switch in enumerate(leaves)
    }
