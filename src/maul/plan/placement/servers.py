"""Servers: which hosts may send, what each may send at most and why, and which are alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maul.campaign.model_fleet import Caps, Fleet
from maul.core.units import show_bitrate
from maul.plan.fleet_model import Load
from maul.plan.placement.demand import Demand
from maul.plan.placement.flows import Flows
from maul.plan.placement.rows import usable_bps
from maul.plan.placement.wiring import Wiring, cable_port
from maul.site import Site
from maul.site.model import Host
from maul.site.model_network import Link, Network, Thresholds
from maul.site.topology import target_hosts, target_racks

WITHOUT_END = 1e6  # times the load that is asked


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What holds a server back. `share`: the part of the whole load that it may send."""

    share: float
    what: str
    unit: str
    per_unit: float
    """By how much the share grows with one more unit of the bound."""


@dataclass(frozen=True, slots=True)
class ServerClass:
    """Servers that differ in nothing but their names."""

    hosts: tuple[str, ...]
    rack: str
    group: int
    cost: float
    ceiling: Ceiling


def candidates(site: Site, fleet: Fleet) -> tuple[dict[str, Host], dict[str, int]]:
    """Hosts that may be borrowed, and how many are left out for which reason."""
    busy = target_hosts(site)
    racks = target_racks(site) if fleet.avoid_target_racks else frozenset()
    found: dict[str, Host] = {}
    out: dict[str, int] = {}
    for host in site.hosts:
        if host.borrow is None:
            reason = "may not be borrowed"
        elif host.name in busy:
            reason = "run part of the target"
        elif host.rack in racks:
            reason = "stand in a rack that holds part of the target (fleet.avoid_target_racks)"
        else:
            found[host.name] = host
            continue
        out[reason] = out.get(reason, 0) + 1
    return found, out


def own_ceilings(host: Host, demand: Demand) -> Iterator[Ceiling]:
    """What the machine itself can do, by what its owner lends."""
    borrow, load = host.borrow, demand.load
    if borrow is None:
        return
    if borrow.requests_per_s is not None and load.requests_per_s:
        yield _bound(borrow.requests_per_s, load.requests_per_s, "its borrow.requests", "req/s")
    if borrow.connections_per_s is not None and load.connections_per_s:
        yield _bound(borrow.connections_per_s, load.connections_per_s, "its borrow.new_connections", "connections/s")
    yield _bound(borrow.connections, demand.connections, "its borrow.connections", "connections")


def mitigation_ceilings(network: Network, demand: Demand, caps: Caps, *, source: bool) -> Iterator[Ceiling]:
    """What a protection lets pass: from one source, or in all; as parts of the whole load."""
    for vip in network.vips:
        part = demand.endpoints.count(vip.endpoint) / len(demand.endpoints)
        if not part:
            continue
        known = vip.mitigation_per_source if source else vip.mitigation
        for threshold, asked, noun, unit, size in _dimensions(known, demand):
            if threshold is None or not asked:
                continue
            whose = " of one source" if source else ""
            words = f"{caps.mitigation:.0%} of the {noun}{whose} at which {vip.name}'s protection may act"
            share = caps.mitigation * threshold / (asked * part)
            yield Ceiling(share, words, unit, caps.mitigation * size / (asked * part))


def _dimensions(known: Thresholds, demand: Demand) -> Iterator[tuple[float | None, float, str, str, float]]:
    load = demand.load
    yield known.requests_per_s, load.requests_per_s, "requests", "req/s", 1.0
    yield known.connections_per_s, load.connections_per_s, "new connections", "connections/s", 1.0
    yield known.bits_per_s, load.sent_bps, "bits", "Mbit/s", 1e6
    yield known.packets_per_s, demand.packets_per_s, "packets", "packets/s", 1.0


def _bound(most: float, asked: float, what: str, unit: str) -> Ceiling:
    return Ceiling(most / asked, what, unit, 1 / asked)


@dataclass(frozen=True, slots=True)
class Cabling:
    """What crosses the cables of a group's servers: for each cable the largest part of a server's load, either way."""

    up: tuple[float, ...]
    down: tuple[float, ...]
    up_worst: tuple[float, ...]
    down_worst: tuple[float, ...]


def cablings(wiring: Wiring, flows: Flows) -> list[Cabling]:
    """Of every group: in normal state, and while the worst failure lasts."""
    up, down = flows.up.tocsr(), flows.down.tocsr()
    worst_up, worst_down = _worst(wiring, flows, up=True), _worst(wiring, flows, up=False)
    found = []
    for number, group in enumerate(wiring.groups):
        there = [float(up[number, edge]) for edge in group.edges]
        back = [float(down[number, edge ^ 1]) for edge in group.edges]
        found.append(
            Cabling(
                tuple(there),
                tuple(back),
                tuple(part + worst_up.get((number, edge), 0.0) for part, edge in zip(there, group.edges, strict=True)),
                tuple(
                    part + worst_down.get((number, edge ^ 1), 0.0) for part, edge in zip(back, group.edges, strict=True)
                ),
            )
        )
    return found


def _worst(wiring: Wiring, flows: Flows, *, up: bool) -> dict[tuple[int, int], float]:
    """By group and edge of its own cables: the most that a failure adds."""
    changes = flows.changes
    own = np.nonzero(wiring.link[changes.edge] < 0)[0]
    table = (changes.up if up else changes.down)[own].tocoo()
    found: dict[tuple[int, int], float] = {}
    for row, group, more in zip(table.row.tolist(), table.col.tolist(), table.data.tolist(), strict=True):
        key = (group, int(changes.edge[own[row]]))
        found[key] = max(found.get(key, 0.0), more)
    return found


def cable_ceilings(
    host: Host, cabling: Cabling, links: Sequence[Link], demand: Demand, caps: Caps, *, every_failure: bool
) -> Iterator[Ceiling]:
    """What the host's cables and cards let pass, in normal state and when another of its cables is down."""
    for place, link in enumerate(links):
        for sends, (normal, worst) in (
            (True, (cabling.up[place], cabling.up_worst[place])),
            (False, (cabling.down[place], cabling.down_worst[place])),
        ):
            bits = demand.load.sent_bps if sends else demand.load.received_bps
            way, others = way_of(link, host.name, sends)
            name = link.directions[way]
            moved = sum(way_of(one, host.name, sends)[1] for one in links if one is not link) / max(len(links) - 1, 1)
            cap = caps.normal(shared=bool(link.shared_by), every_failure=every_failure)
            states = [(normal, cap, others, 1.0, name)]
            if every_failure and len(links) > 1:
                what = f"{name} while another cable of it is down"
                states.append((max(worst, normal), caps.failure, others + moved, 1.0, what))
            if every_failure and link.members > 1:
                what = f"{name} while one of its {link.members} members is down"
                states.append((normal, caps.failure, others, link.members / (link.members - 1), what))
            for part, most, load, scale, words in states:
                if bits * part <= 0:
                    continue
                room = max(most * link.capacity / scale - load, 0.0)
                ways = max(1.0, 1 / part) * link.members
                yield _on_wire(room, bits * part, 2 * link.members * np.log(ways) * bits / demand.flows, words)
            card = _card_bps(host, link)
            if card is not None and bits * max(normal, worst) > 0:
                room = max(caps.nic * card - others, 0.0)
                words = f"{caps.nic:.0%} of its card, {show_bitrate(card)}"
                yield _on_wire(room, bits * max(normal, worst), 0.0, words)


def _on_wire(room: float, bits: float, unevenness: float, words: str) -> Ceiling:
    usable = float(usable_bps(np.array([room]), np.array([unevenness]))[0])
    more = float(usable_bps(np.array([room + 1e6]), np.array([unevenness]))[0])
    return Ceiling(usable / bits, words, "Mbit/s", (more - usable) / bits)


def way_of(link: Link, host: str, sends: bool) -> tuple[int, float]:
    """The direction of its cable that a host sends (else receives) on, 0 or 1, and what others send there, bit/s."""
    out = (link.nodes[0] == host) == sends
    return (0, link.background.out_bps) if out else (1, link.background.back_bps)


def _card_bps(host: Host, link: Link) -> float | None:
    """The speed of the card that the cable ends in; of all together where its port names none."""
    if not host.nics:
        return None
    port = cable_port(link, host.name).partition(":")[2]
    return next((nic.speed for nic in host.nics if nic.name == port), sum(nic.speed for nic in host.nics))


def classes_of(
    servers: Mapping[str, Host], wiring: Wiring, flows: Flows, demand: Demand, fleet: Fleet
) -> list[ServerClass]:
    """Servers by what they are alike in; those that no path leads from, or that may send nothing, are in none."""
    network, cabling = wiring.network, cablings(wiring, flows)
    from_source = list(mitigation_ceilings(network, demand, fleet.caps, source=True))
    alike: dict[tuple[int, str, float, float], list[str]] = {}
    ceilings: dict[tuple[int, str, float, float], Ceiling] = {}
    for number, group in enumerate(wiring.groups):
        if flows.reach[number] < 1 - 1e-9:
            continue
        for name in group.cables:
            host = servers[name]
            lowest = lowest_of(
                [
                    *own_ceilings(host, demand),
                    *from_source,
                    *cable_ceilings(
                        host, cabling[number], wiring.cables_of(name, number), demand, fleet.caps,
                        every_failure=fleet.survive_one_failure,
                    ),
                ]
            )  # fmt: skip
            cost = host.borrow.cost if host.borrow else 1.0
            key = (number, host.rack, cost, round(lowest.share, 12))
            alike.setdefault(key, []).append(name)
            ceilings.setdefault(key, lowest)
    order = {name: place for place, name in enumerate(servers)}
    return sorted(
        (
            ServerClass(tuple(sorted(names, key=order.__getitem__)), key[1], key[0], key[2], ceilings[key])
            for key, names in alike.items() if ceilings[key].share > 0
        ),
        key=lambda one: order[one.hosts[0]],
    )  # fmt: skip


def lowest_of(ceilings: Iterable[Ceiling]) -> Ceiling:
    """The one that binds."""
    return min(ceilings, key=lambda one: one.share, default=Ceiling(WITHOUT_END, "nothing", "req/s", 0.0))


def part_of(load: Load, share: float) -> Load:
    """That part of it."""
    return Load(**{name: value * share for name, value in load})
