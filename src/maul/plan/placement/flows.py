"""Flows: which part of each group's load crosses each edge, in normal state and during every failure.

The load of an endpoint is spread evenly over those of its hosts that can be reached. A failure is looked at only for
groups whose load crosses something that fails: all others keep their paths.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array, csr_array, vstack

from maul.plan.placement.failures import Failure
from maul.plan.placement.routes import FAR, Fractions, Planes, Router, sorted_unique
from maul.plan.placement.wiring import Bools, Floats, Ints, Wiring

PAIRS_AT_ONCE = 256  # of failure and group: fits caches
SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Changes:
    """What failures change: for `row` (an entry of `failure` and `edge`) and `group`, by how much more or less."""

    failure: Ints
    edge: Ints
    finest: Floats
    """The smallest part that any group has there then: how many ways the load was divided."""
    up: csr_array
    """rows × groups, to the target."""
    down: csr_array
    """rows × groups, from the target."""


@dataclass(frozen=True, slots=True)
class Flows:
    """All fractions. `up` and `down`: groups × edges, in normal state."""

    up: csr_array
    down: csr_array
    finest: Floats
    """By edge: the smallest part of any group; 1 where none has one."""
    reach: Floats
    """By group: the part of its load that has a path in normal state."""
    changes: Changes
    lost: tuple[tuple[int, Ints, Floats], ...] = field(default=())
    """Failures that cut groups off: failure, groups, and the part of their load that has no path."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """The fractions of some pairs of failure and group."""

    up: Fractions
    down: Fractions
    reach: Floats


class FlowMaker:
    """Builds flows on one wiring. `endpoints`: for each endpoint the nodes of its hosts."""

    def __init__(self, wiring: Wiring, endpoints: Sequence[Sequence[int]]) -> None:
        """Prepares the router."""
        self.wiring = wiring
        self.router = Router(wiring)
        self.hosts = np.array(sorted({host for hosts in endpoints for host in hosts}), dtype=np.int64)
        place = {int(host): number for number, host in enumerate(self.hosts)}
        self.member = np.zeros((len(endpoints), len(self.hosts)))
        for number, hosts in enumerate(endpoints):
            for host in hosts:
                self.member[number, place[host]] = 1.0
        self._nodes = np.array([group.node for group in wiring.groups], dtype=np.int64)
        self._destinations = np.concatenate([self.hosts, self._nodes])
        everywhere = np.zeros(len(self._destinations), np.int64)
        self._normal = self.router.planes(self._destinations, np.zeros((1, wiring.edges), dtype=bool), everywhere)
        self._leads = np.zeros((self._normal.count, wiring.edges), dtype=bool)
        owner = np.repeat(np.arange(len(self._normal.starts) - 1), np.diff(self._normal.starts)) // len(wiring.nodes)
        self._leads[owner, self._normal.edges] = True
        self._degree = np.bincount(wiring.tail, minlength=len(wiring.nodes))
        ones = np.ones(wiring.edges, dtype=np.int32)
        shape = (wiring.edges, len(wiring.nodes))
        self._tails = csr_array(coo_array((ones, (np.arange(wiring.edges), wiring.tail)), shape=shape))

    def flows(self, failures: Sequence[Failure]) -> Flows:
        """The fractions in normal state and what each failure changes."""
        wiring = self.wiring
        count, edges = len(wiring.groups), wiring.edges
        everyone = np.arange(count)
        whole = self._piece(np.zeros(count, np.int64), everyone, np.zeros((1, edges), dtype=bool))
        up, down = whole.up.matrix(count, edges), whole.down.matrix(count, edges)
        finest = np.ones(edges)
        for table in (up, down):
            np.minimum.at(finest, table.indices, table.data)
        lost: list[tuple[int, Ints, Floats]] = []
        changes = self._changes(failures, up, down, whole.reach, lost)
        return Flows(up, down, finest, whole.reach, changes, tuple(lost))

    def _changes(
        self,
        failures: Sequence[Failure],
        up: csr_array,
        down: csr_array,
        reach: Floats,
        lost: list[tuple[int, Ints, Floats]],
    ) -> Changes:
        edges, groups = self.wiring.edges, len(self.wiring.groups)
        keys: list[Ints] = []
        finest: list[Floats] = []
        sums: list[tuple[csr_array, csr_array]] = []
        for numbers, failure, group in self._affected(failures, up, down):
            dead = np.zeros((len(numbers), edges), dtype=bool)
            for line, number in enumerate(numbers):
                dead[line, list(failures[number].edges)] = True
            piece = self._piece(failure, group, dead)
            gone = reach[group] - piece.reach
            for line in np.unique(failure[gone > SAME]):
                cut = (failure == line) & (gone > SAME)
                lost.append((numbers[line], group[cut], gone[cut]))
            key, least, more = _rows(piece, _Batch(failure, group, edges, groups), up, down)
            local, edge = key // edges, key % edges
            keys.append(np.array(numbers, dtype=np.int64)[local] * edges + edge)
            finest.append(least)
            sums.append(more)
        if not keys:
            nothing = csr_array((0, groups))
            empty = np.zeros(0, np.int64)
            return Changes(empty, empty, np.zeros(0), nothing, nothing)
        key = np.concatenate(keys)
        return Changes(
            key // edges,
            key % edges,
            np.concatenate(finest),
            csr_array(vstack([one for one, _ in sums])),
            csr_array(vstack([one for _, one in sums])),
        )

    def _affected(
        self, failures: Sequence[Failure], up: csr_array, down: csr_array
    ) -> Iterator[tuple[list[int], Ints, Ints]]:
        """Pairs of failure and group whose load crosses what fails, in batches: failures, line in them, group."""
        line = np.array([place for place, one in enumerate(failures) for _ in one.edges], dtype=np.int64)
        edge = np.array([edge for one in failures for edge in one.edges], dtype=np.int64)
        shape = (len(failures), self.wiring.edges)
        failing = csr_array(coo_array((np.ones(len(line)), (line, edge)), shape=shape))
        hit = csr_array(failing @ (up + down).T)
        numbers: list[int] = []
        lines: list[Ints] = []
        groups: list[Ints] = []
        pairs = 0
        for number, failure in enumerate(failures):
            found = hit.indices[hit.indptr[number] : hit.indptr[number + 1]].astype(np.int64)
            if failure.cable_of >= 0:
                found = found[found == failure.cable_of]
            if not len(found):
                continue
            lines.append(np.full(len(found), len(numbers)))
            groups.append(found)
            numbers.append(number)
            pairs += len(found)
            if pairs >= PAIRS_AT_ONCE:
                yield numbers, np.concatenate(lines), np.concatenate(groups)
                numbers, lines, groups, pairs = [], [], [], 0
        if numbers:
            yield numbers, np.concatenate(lines), np.concatenate(groups)

    def _piece(self, failure: Ints, group: Ints, dead: Bools) -> _Piece:
        """Fractions of pairs; `dead`: lines × edges, `failure`: each pair's line."""
        lines, hosts = len(dead), len(self.hosts)
        planes, special = self._planes(dead, failure, group)
        to_host, to_group = special[: lines * hosts].reshape(lines, hosts), special[lines * hosts :]
        nodes = self._nodes[group]
        reached = planes.hops[to_host[failure], nodes[:, None]] < FAR
        share = self._shares(reached)
        pair, host = np.nonzero(share)
        begin = (pair * hosts + host, nodes[pair], share[pair, host])
        up = self.router.spread(planes, to_host[failure].ravel(), begin, dead, np.repeat(failure, hosts))
        up = Fractions(up.row // hosts, up.edge, up.part)
        down = self.router.spread(planes, to_group, (pair, self.hosts[host], share[pair, host]), dead, failure)
        return _Piece(up, down, share.sum(axis=1))

    def _planes(self, dead: Bools, failure: Ints, group: Ints) -> tuple[Planes, Ints]:
        """Planes to every host in every line, then to the group of every pair: planes, and the place of each.

        Most failures leave all distances to most destinations as they were: then the normal plane serves.
        """
        lines, hosts = len(dead), len(self.hosts)
        line = np.concatenate([np.repeat(np.arange(lines), hosts), failure])
        place = np.concatenate([np.tile(np.arange(hosts), lines), hosts + group])
        other = np.nonzero(self._moved(dead, line, place))[0]
        if not len(other):
            return self._normal, place
        own = self.router.planes(self._destinations[place[other]], dead, line[other])
        where = place.copy()
        where[other] = self._normal.count + np.arange(len(other))
        return self._normal.joined(own), where

    def _moved(self, dead: Bools, line: Ints, place: Ints) -> Bools:
        """Which destinations have nodes whose every next hop is gone: only then distances change."""
        nodes, wiring = len(self.wiring.nodes), self.wiring
        at_line, edge = np.nonzero(dead)
        starts = np.searchsorted(at_line, np.arange(len(dead) + 1))
        counts = starts[line + 1] - starts[line]
        which = np.repeat(np.arange(len(line)), counts)
        at = np.repeat(starts[line] - (np.cumsum(counts) - counts), counts) + np.arange(len(which))
        edge = edge[at]
        used = self._leads[place[which], edge]
        which, edge = which[used], edge[used]
        keys = np.sort(which * nodes + wiring.tail[edge])
        key, gone = np.unique(keys, return_counts=True)
        which, node = key // nodes, key % nodes
        start, plane = self._normal.starts, place[which] * nodes + node
        stuck = gone == start[plane + 1] - start[plane]
        alone = self._alive_edges(dead)[line[which], node] == 0
        stuck &= ~(alone & (node < wiring.switches))  # a switch that is down is nobody's next hop
        moved = np.zeros(len(line), dtype=bool)
        moved[which[stuck]] = True
        return moved

    def _alive_edges(self, dead: Bools) -> Ints:
        """lines × nodes: edges out of a node that are up."""
        gone = csr_array(dead.astype(np.int32)) @ self._tails
        return np.asarray(self._degree[None, :] - gone.toarray(), dtype=np.int64)

    def _shares(self, reached: Bools) -> Floats:
        """pairs × hosts: of each endpoint's load evenly over the hosts that are reached."""
        per_endpoint = reached.astype(float) @ self.member.T  # how many of its hosts are reached
        each = np.divide(1.0, per_endpoint, out=np.zeros_like(per_endpoint), where=per_endpoint > 0)
        return np.asarray((each @ self.member) * reached / len(self.member))


@dataclass(frozen=True, slots=True)
class _Batch:
    """Pairs of failure (its line) and group, and how many edges and groups there are."""

    failure: Ints
    group: Ints
    edges: int
    groups: int


def _rows(
    piece: _Piece, batch: _Batch, up: csr_array, down: csr_array
) -> tuple[Ints, Floats, tuple[csr_array, csr_array]]:
    """Of a batch: the rows (line × edges + edge), the smallest part in each, and the differences to normal."""
    failure, group, edges = batch.failure, batch.group, batch.edges
    entries = []
    for parts, normal in ((piece.up, up), (piece.down, down)):
        before = csr_array(normal[group])
        was_pair = np.repeat(np.arange(len(group)), np.diff(before.indptr))
        now = failure[parts.row] * edges + parts.edge
        was = failure[was_pair] * edges + before.indices
        entries.append((now, group[parts.row], parts.part, was, group[was_pair], before.data))
    every = np.concatenate([one[at] for one in entries for at in (0, 3)])
    key = sorted_unique(every)
    place = np.searchsorted(key, every)
    least = np.ones(len(key))
    made, begin = [], 0
    for now, now_group, now_part, was, was_group, was_part in entries:
        now_row = place[begin : begin + len(now)]
        was_row = place[begin + len(now) : begin + len(now) + len(was)]
        begin += len(now) + len(was)
        shape = (len(key), batch.groups)
        after = csr_array(coo_array((now_part, (now_row, now_group)), shape=shape))  # ways to several hosts add up
        np.minimum.at(least, np.repeat(np.arange(len(key)), np.diff(after.indptr)), after.data)
        table = csr_array(after - csr_array(coo_array((was_part, (was_row, was_group)), shape=shape)))
        table.data[np.abs(table.data) < SAME] = 0.0
        table.eliminate_zeros()
        made.append(table)
    changed = (np.diff(made[0].indptr) + np.diff(made[1].indptr)) > 0
    return key[changed], least[changed], (made[0][changed], made[1][changed])
