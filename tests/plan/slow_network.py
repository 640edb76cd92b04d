"""A slow, plain simulator of a network that shares no code with the planner: every server, every failure, by hand."""

import math
from collections import defaultdict, deque
from collections.abc import Iterator

from maul.campaign.model_fleet import Caps
from maul.plan.placement import Demand
from maul.site import Site

Down = tuple[frozenset[int], frozenset[str], frozenset[int]]
"""Links that are down, switches that are down, bundles that lost a member."""
NOTHING: Down = (frozenset(), frozenset(), frozenset())


def states(site: Site) -> Iterator[Down]:
    """Normal state and every single failure."""
    network = site.network
    yield NOTHING
    for number, link in enumerate(network.links):
        yield frozenset({number}), frozenset(), frozenset()
        if link.members > 1:
            yield frozenset(), frozenset(), frozenset({number})
    for switch in network.switches:
        yield frozenset(), frozenset({switch.name}), frozenset()
    for group in network.groups:
        links = {n for n, link in enumerate(network.links) if any(set(link.between) == set(e) for e in group.links)}
        yield frozenset(links), frozenset(group.switches), frozenset()


class SlowNetwork:
    """One state of a site's network."""

    def __init__(self, site: Site, down: Down) -> None:
        self.site, self.down = site, down
        self.switches = {switch.name for switch in site.network.switches}
        self.out: dict[str, list[tuple[str, str, int]]] = defaultdict(list)  # node → (to, direction, link)
        for number, link in enumerate(site.network.links):
            (a, b), (there, back) = link.nodes, link.directions
            if number in down[0] or {a, b} & down[1]:
                continue
            self.out[a].append((b, there, number))
            self.out[b].append((a, back, number))

    def hops(self, to: str) -> dict[str, int]:
        found, queue = {to: 0}, deque([to])
        while queue:
            at = queue.popleft()
            if at != to and at not in self.switches:
                continue  # a host forwards nothing
            for other, _, _ in self.out[at]:
                if other not in found:
                    found[other] = found[at] + 1
                    queue.append(other)
        return found

    def next_hops(self, at: str, to: str, hops: dict[str, int]) -> list[tuple[str, str, int]]:
        far = hops.get(at, math.inf)
        return [
            way for way in self.out[at]
            if hops.get(way[0], math.inf) == far - 1 and (way[0] in self.switches or way[0] == to)
        ]  # fmt: skip

    def path(self, start: str, to: str) -> dict[str, float] | None:
        """Direction → part of the flow; None when there is no way."""
        hops = self.hops(to)
        if start not in hops:
            return None
        found: dict[str, float] = defaultdict(float)
        mass = {start: 1.0}
        while mass:
            at = max(mass, key=lambda node: hops[node])
            part = mass.pop(at)
            if at == to:
                continue
            ways = self.next_hops(at, to, hops)
            for other, name, _ in ways:
                found[name] += part / len(ways)
                mass[other] = mass.get(other, 0.0) + part / len(ways)
        return dict(found)

    def crossing(self, server: str) -> tuple[dict[str, float], dict[str, float]]:
        """Parts of what a server sends and receives, by direction; a VIP's load goes to its hosts that are reached."""
        up: dict[str, float] = defaultdict(float)
        down: dict[str, float] = defaultdict(float)
        for vip in self.site.network.vips:
            ways = [(self.path(server, one), self.path(one, server)) for one in vip.hosts]
            there = [pair for pair in ways if pair[0] is not None]
            for go, back in there:
                for found, parts in ((up, go), (down, back)):
                    for name, part in parts.items():
                        found[name] += part / len(there) / len(self.site.network.vips)
        return up, down

    def background(self) -> dict[str, float]:
        """Others' bits per second by direction; what is down moves to its siblings at either end."""
        found: dict[str, float] = {}
        directions = {}
        for number, link in enumerate(self.site.network.links):
            for name, ends, bps in zip(
                link.directions, (link.nodes, link.nodes[::-1]),
                (link.background.out_bps, link.background.back_bps), strict=True,
            ):  # fmt: skip
                directions[name] = (number, ends)
                found[name] = bps
        whole = SlowNetwork(self.site, NOTHING)
        leaves = {switch.name for switch in self.site.network.switches if switch.tier == "leaf"}
        hops = {leaf: whole.hops(leaf) for leaf in leaves}

        def siblings(start: str, name: str) -> set[str]:
            found: set[str] = set()
            for leaf in leaves:
                ways = {way[1] for way in whole.next_hops(start, leaf, hops[leaf]) if way[0] in whole.switches}
                found |= ways if name in ways else set()
            return found - {name}

        alive = {name for ways in self.out.values() for _, name, _ in ways}
        other_way = {name: other for link in self.site.network.links for name, other in
                     (link.directions, link.directions[::-1])}  # fmt: skip
        moved: dict[str, float] = defaultdict(float)
        for name, (_, (start, end)) in directions.items():
            if name in alive or not found[name] or not {start, end} <= self.switches:
                continue
            after = [one for one in siblings(start, name) if one in alive]
            before = [other_way[one] for one in siblings(end, other_way[name])]
            before = [one for one in before if one in alive]
            for others in (after, before):
                for one in others:
                    moved[one] += found[name] / len(others)
        return {name: found[name] + moved[name] for name in found}


def overfull(site: Site, caps: Caps, demand: Demand, parts: dict[str, float], *, failures: bool) -> list[str]:
    """Directions that carry our load above a cap, in any state."""
    problems = []
    load, links = demand.load, {}
    for number, link in enumerate(site.network.links):
        for name in link.directions:
            links[name] = (number, link)
    for down in states(site) if failures else [NOTHING]:
        here = SlowNetwork(site, down)
        others = here.background()
        ours: dict[str, float] = defaultdict(float)
        finest: dict[str, float] = {}
        each: dict[str, float] = defaultdict(float)
        for server, share in parts.items():
            up, back = here.crossing(server)
            for found, bits in ((up, load.sent_bps), (back, load.received_bps)):
                for name, part in found.items():
                    ours[name] += part * bits * share
                    if bits:
                        finest[name] = min(finest.get(name, 1.0), part)
                        each[name] = max(each[name], bits / demand.flows)
        for name, bits in ours.items():
            number, link = links[name]
            if bits <= 0:
                continue
            size = link.capacity * ((link.members - 1) / link.members if number in down[2] else 1)
            cap = (caps.shared if link.shared_by else caps.dedicated) if down == NOTHING else caps.failure
            ways = max(1.0, link.members / finest[name])
            uneven = math.sqrt(2 * link.members * math.log(ways) * each[name] / bits) if ways > 1 else 0.0
            if others[name] + bits * (1 + uneven) > cap * size * (1 + 1e-5) + 1:
                problems.append(f"{name} in {down}: {others[name]:g} + {bits:g} × {1 + uneven:g} > {cap} × {size:g}")
    return problems
