"""Rows: one for every direction of a shared way in every state, with the room that is left for our load there.

    others' load + ours × imbalance ≤ cap × capacity

ECMP and LACP place whole connections. With n of them on m equal ways the fullest gets 1 + √(2 m ln m / n) times the
mean (balls into bins), so that what *we* may plan on a way is less than its room: see `usable_bps`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array, vstack

from maul.campaign.model_fleet import Caps
from maul.plan.placement.demand import Demand
from maul.plan.placement.failures import Failure
from maul.plan.placement.flows import Flows
from maul.plan.placement.routes import Router
from maul.plan.placement.wiring import Bools, Floats, Ints, Wiring
from maul.site.model_network import node_of

NORMAL = -1


@dataclass(frozen=True, slots=True)
class Edges:
    """What the links are, by edge. Edges of groups have no capacity here: each server has its own cable."""

    capacity_bps: Floats
    background_bps: Floats
    members: Floats
    shared: Bools
    cap: Floats
    """In normal state."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Parallel arrays. The load of ours on row r, by group: `base[edge[r]] + delta[r]`, in bits/s of the whole load."""

    failure: Ints
    """Its number; NORMAL in normal state."""
    edge: Ints
    delta: csr_array
    base: csr_array
    """edges × groups."""
    scale: Floats
    """1, or what the loss of a member makes of a load in proportion to the capacity."""
    capacity_bps: Floats
    cap: Floats
    others_bps: Floats
    room_bps: Floats
    """What cap, capacity and others leave."""
    unevenness_bps: Floats
    """2 M ln(m M) × bits/s of a connection; 0 where there is one way only."""
    usable_bps: Floats
    """What of ours, on average, keeps the fullest way within the room."""

    def ours_bps(self, by_group: Floats) -> Floats:
        """Our mean load on every row; `by_group`: its part of the whole load."""
        return np.asarray((self.base @ by_group)[self.edge] + self.delta @ by_group)


def usable_bps(room_bps: Floats, unevenness_bps: Floats) -> Floats:
    """The mean load x with x + √(unevenness · x) = room."""
    root = np.sqrt(unevenness_bps)
    return np.asarray(((np.sqrt(unevenness_bps + 4 * room_bps) - root) / 2) ** 2)


def worst_bps(ours_bps: Floats, unevenness_bps: Floats) -> Floats:
    """The fullest way's load, as if all ways carried as much."""
    ours = np.maximum(ours_bps, 0.0)
    return np.asarray(ours + np.sqrt(unevenness_bps * ours))


def edges_of(wiring: Wiring, caps: Caps, every_failure: bool) -> Edges:
    """Capacity, background and cap of each edge."""
    real = wiring.link >= 0
    links = [wiring.network.links[one] if one >= 0 else None for one in wiring.link.tolist()]

    def numbers(values: list[float]) -> Floats:
        return np.where(real, np.array(values, dtype=float), 0.0)

    background = [
        0.0 if link is None else link.background.back_bps if edge % 2 else link.background.out_bps
        for edge, link in enumerate(links)
    ]
    # edge 2i of the wiring leads from the link's first end to its second
    shared = np.array([link is not None and bool(link.shared_by) for link in links], dtype=bool)
    ours, everybodys = (caps.normal(shared=one, every_failure=every_failure) for one in (False, True))
    cap = np.where(shared, everybodys, ours)
    return Edges(
        capacity_bps=numbers([link.capacity if link else 0.0 for link in links]),
        background_bps=numbers(background),
        members=np.array([link.members if link else 1 for link in links], dtype=float),
        shared=shared,
        cap=cap,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Some rows, before their room is known."""

    failure: Ints
    edge: Ints
    delta: csr_array
    finest: Floats
    scale: Floats


@dataclass(frozen=True, slots=True)
class Scene:
    """What rows are made of."""

    wiring: Wiring
    flows: Flows
    failures: Sequence[Failure]
    demand: Demand
    caps: Caps


def rows_of(scene: Scene, router: Router) -> Rows:
    """Every row that our load can be on."""
    wiring, flows, failures = scene.wiring, scene.flows, scene.failures
    demand, caps = scene.demand, scene.caps
    edges = edges_of(wiring, caps, bool(failures))
    sent, received = demand.load.sent_bps, demand.load.received_bps
    base = csr_array((sent * flows.up + received * flows.down).T)
    moved = _moved_background(wiring, failures, edges.background_bps, router)
    parts = list(_parts(scene, edges, moved))
    failure = np.concatenate([one.failure for one in parts])
    edge = np.concatenate([one.edge for one in parts])
    scale = np.concatenate([one.scale for one in parts])
    finest = np.concatenate([one.finest for one in parts])
    others = edges.background_bps[edge] + moved.at(failure, edge)
    cap = np.where(failure == NORMAL, edges.cap[edge], caps.failure)
    room = np.maximum(cap * edges.capacity_bps[edge] / scale - others, 0.0)
    uneven = _unevenness(flows, demand, edge, edges.members[edge], finest)
    return Rows(
        failure=failure,
        edge=edge,
        delta=csr_array(vstack([one.delta for one in parts])),
        base=base,
        scale=scale,
        capacity_bps=edges.capacity_bps[edge],
        cap=cap,
        others_bps=others,
        room_bps=room,
        unevenness_bps=uneven,
        usable_bps=usable_bps(room, uneven),
    )


def _parts(scene: Scene, edges: Edges, moved: "_Moved") -> Iterator[_Part]:
    """Normal state; what failures change of ours; what only brings more of the others'; bundles that lose a member."""
    wiring, flows, failures = scene.wiring, scene.flows, scene.failures
    groups, load, changes = len(wiring.groups), scene.demand.load, flows.changes
    carries = np.zeros(wiring.edges, dtype=bool)
    carries[np.concatenate([flows.up.indices, flows.down.indices])] = True
    used = np.nonzero(carries & (wiring.link >= 0))[0]
    yield _plain(np.full(len(used), NORMAL), used, flows, groups)
    real = wiring.link[changes.edge] >= 0
    at = changes.edge[real]
    delta = csr_array(load.sent_bps * changes.up + load.received_bps * changes.down)[real]
    finest = np.minimum(changes.finest[real], flows.finest[at])
    yield _Part(changes.failure[real], at, delta, finest, np.ones(len(at)))
    yield _plain(*moved.fullest(used, changes.failure, changes.edge), flows, groups)
    lost = [(number, edge) for number, one in enumerate(failures) if one.member_of >= 0
            for edge in used[wiring.link[used] == one.member_of].tolist()]  # fmt: skip
    edge = np.array([edge for _, edge in lost], dtype=np.int64)
    members = edges.members[edge]
    fewer = _plain(np.array([number for number, _ in lost], dtype=np.int64), edge, flows, groups)
    yield replace(fewer, scale=members / np.maximum(members - 1, 1))


def _plain(failure: Ints, edge: Ints, flows: Flows, groups: int) -> _Part:
    """Rows with our load as it is in normal state."""
    return _Part(failure, edge, csr_array((len(edge), groups)), flows.finest[edge], np.ones(len(edge)))


def _unevenness(flows: Flows, demand: Demand, edge: Ints, members: Floats, finest: Floats) -> Floats:
    """2 M ln(m M) × bits/s of one connection, m equal ways of M members each."""
    up = np.asarray(flows.up.sum(axis=0)).ravel() > 0
    down = np.asarray(flows.down.sum(axis=0)).ravel() > 0
    changes = flows.changes
    np.logical_or.at(up, changes.edge, np.diff(changes.up.indptr) > 0)
    np.logical_or.at(down, changes.edge, np.diff(changes.down.indptr) > 0)
    each = np.maximum(up * demand.load.sent_bps, down * demand.load.received_bps) / demand.flows
    return np.asarray(2 * members * np.log(np.maximum(members / finest, 1.0)) * each[edge])


@dataclass(frozen=True, slots=True)
class _Moved:
    """What others send on an edge besides while something is down, by failure × edges + edge, sorted."""

    keys: Ints
    bits: Floats
    edges: int

    def at(self, failure: Ints, edge: Ints) -> Floats:
        """In bits per second, for pairs."""
        if not len(self.keys):
            return np.zeros(len(edge))
        wanted = failure * self.edges + edge
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.bits[place], 0.0)

    def fullest(self, used: Ints, failure: Ints, edge: Ints) -> tuple[Ints, Ints]:
        """For each edge in use: the failure that brings most, but for those pairs that are looked at anyhow."""
        alone = ~np.isin(self.keys, failure * self.edges + edge) & np.isin(self.keys % self.edges, used)
        keys, bits = self.keys[alone], self.bits[alone]
        at = keys % self.edges
        order = np.lexsort((-bits, at))
        first = order[np.concatenate([[True], np.diff(at[order]) > 0])] if len(order) else order
        return keys[first] // self.edges, at[first]


def _moved_background(wiring: Wiring, failures: Sequence[Failure], background: Floats, router: Router) -> _Moved:
    """Nobody knows where others' load comes from and goes to, so it moves evenly to the siblings of the edge that
    failed: B / (m − 1) on each. Siblings at both ends are counted.
    """
    siblings = router.siblings(_leaves(wiring)) if any(one.edges for one in failures) else []
    found: dict[int, float] = {}
    for number, failure in enumerate(failures):
        dead = set(failure.edges)
        for edge in failure.edges if failure.cable_of < 0 else ():
            if background[edge] <= 0:
                continue
            ways = (siblings[edge].tolist(), [one ^ 1 for one in siblings[edge ^ 1].tolist()])
            for others in ([one for one in way if one not in dead] for way in ways):
                for other in others:
                    key = number * wiring.edges + other
                    found[key] = found.get(key, 0.0) + background[edge] / len(others)
    keys = np.array(sorted(found), dtype=np.int64)
    return _Moved(keys, np.array([found[key] for key in keys.tolist()]), wiring.edges)


def _leaves(wiring: Wiring) -> Ints:
    """Switches that hosts hang on, or that are said to be leaves: what others' load leads to."""
    network = wiring.network
    named = {switch.name for switch in network.switches if switch.tier == "leaf"}
    for link in network.links:
        for port, other in (link.between, link.between[::-1]):
            if node_of(port) not in wiring.node_of_switch:
                named.add(node_of(other))
    return np.array(sorted(wiring.node_of_switch[name] for name in named if name in wiring.node_of_switch), np.int64)
