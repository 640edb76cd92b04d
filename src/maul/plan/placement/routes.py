"""Routes: shortest paths, split evenly over equal next hops (ECMP), for many destinations and failures at once.

A *plane* is the network as seen from one destination in one state: how many hops each node is away, and which edges
lead nearer. A breadth-first search makes it. Flows then move along a plane from next hop to next hop, only over nodes
that carry some. Hosts never carry what is not theirs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from maul.plan.placement.wiring import Bools, Floats, Ints, Wiring

Hops = npt.NDArray[np.int16]
FAR = np.int16(30_000)  # no path


@dataclass(frozen=True, slots=True)
class Fractions:
    """Parts of a row's flow on an edge: parallel arrays."""

    row: Ints
    edge: Ints
    part: Floats

    def matrix(self, rows: int, edges: int) -> csr_array:
        """rows × edges."""
        return csr_array(coo_array((self.part, (self.row, self.edge)), shape=(rows, edges)))


@dataclass(frozen=True, slots=True)
class Planes:
    """`hops`: planes × nodes. `starts` and `edges`: CSR of the edges that lead nearer, by plane × nodes + tail."""

    hops: Hops
    starts: Ints
    edges: Ints

    @property
    def count(self) -> int:
        """How many."""
        return len(self.hops)

    def joined(self, other: "Planes") -> "Planes":
        """These, then those of the other."""
        return Planes(
            np.concatenate([self.hops, other.hops]),
            np.concatenate([self.starts, other.starts[1:] + self.starts[-1]]),
            np.concatenate([self.edges, other.edges]),
        )


class Router:
    """Shortest paths on one wiring."""

    def __init__(self, wiring: Wiring) -> None:
        """Prepares the neighbour lists."""
        self.wiring = wiring
        self._out_starts, self._out = wiring.out_edges()
        self._in_starts, self._in = wiring.in_edges()
        self._transit = np.arange(len(wiring.nodes)) < wiring.switches

    def planes(self, destination: Ints, dead: Bools, state: Ints) -> Planes:
        """One for each destination; `dead`: states × edges, `state`: each destination's line in it."""
        nodes, order = len(self.wiring.nodes), self._out
        hops = self._distances(destination, dead, state)
        tail, head = self.wiring.tail[order], self.wiring.head[order]
        far = hops[:, head]
        nearer = (far + 1 == hops[:, tail]) & (self._transit[head] | (far == 0)) & ~dead[state][:, order]
        plane, place = np.nonzero(nearer)
        starts = np.zeros(len(hops) * nodes + 1, dtype=np.int64)
        np.cumsum(np.bincount(plane * nodes + tail[place], minlength=len(hops) * nodes), out=starts[1:])
        return Planes(hops, starts, order[place])

    def _distances(self, destination: Ints, dead: Bools, state: Ints) -> Hops:
        rows, nodes = len(destination), len(self.wiring.nodes)
        found = np.full((rows, nodes), FAR, dtype=np.int16)
        at_row, at_node = np.arange(rows), destination
        found[at_row, at_node] = 0
        for hop in range(1, nodes + 1):
            which, edge = _expand(self._in_starts, self._in, at_node)
            row, node = at_row[which], self.wiring.tail[edge]
            fresh = found[row, node] == FAR
            row, node, edge = row[fresh], node[fresh], edge[fresh]
            alive = ~dead[state[row], edge]
            found[row[alive], node[alive]] = hop
            keys = sorted_unique(row[alive] * nodes + node[alive])
            at_row, at_node = keys // nodes, keys % nodes
            passing = self._transit[at_node]
            at_row, at_node = at_row[passing], at_node[passing]
            if not len(at_row):
                break
        return found

    def spread(
        self, planes: Planes, plane: Ints, begin: tuple[Ints, Ints, Floats], dead: Bools, state: Ints
    ) -> Fractions:
        """Where flows go. `plane`, `state`: of each row; `begin`: row, node and part where flow begins.

        A plane of the normal state serves a failure that changes no distance: dead edges are passed by.
        """
        nodes = len(self.wiring.nodes)
        row, node, part = begin
        rows, edges, parts = [], [], []
        while len(row):
            which, place = _ranges(planes.starts, plane[row] * nodes + node)
            edge, of = planes.edges[place], row[which]
            alive = ~dead[state[of], edge]
            which, edge, of = which[alive], edge[alive], of[alive]
            each = (part / np.maximum(np.bincount(which, minlength=len(row)), 1))[which]
            rows.append(of)
            edges.append(edge)
            parts.append(each)
            row, node, part = _merged(of, self.wiring.head[edge], each, nodes)
            onward = planes.hops[plane[row], node] > 0
            row, node, part = row[onward], node[onward], part[onward]
        if not rows:
            return Fractions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        return Fractions(np.concatenate(rows), np.concatenate(edges), np.concatenate(parts))

    def siblings(self, leaves: Ints) -> list[Ints]:
        """For each edge the others that share some destination's next hops with it: where its load goes when it fails.

        `leaves`: the switches that anything leads to.
        """
        wiring = self.wiring
        hops = self._distances(leaves, np.zeros((1, wiring.edges), dtype=bool), np.zeros(len(leaves), np.int64))
        found: list[Ints] = [np.zeros(0, np.int64)] * wiring.edges
        for node in range(wiring.switches):
            out = self._out[self._out_starts[node] : self._out_starts[node + 1]]
            out = out[wiring.head[out] < wiring.switches]
            if len(out) < 2:
                continue
            near = hops[:, wiring.head[out]]
            nexts = (near == hops[:, [node]] - 1) & (near < FAR)
            together = (nexts.T.astype(np.float32) @ nexts.astype(np.float32)) > 0
            for place, edge in enumerate(out):
                others = together[place].copy()
                others[place] = False
                found[edge] = out[others]
        return found


def sorted_unique(keys: Ints) -> Ints:
    """Each key once, sorted."""
    keys = np.sort(keys)
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys


def _merged(row: Ints, node: Ints, part: Floats, nodes: int) -> tuple[Ints, Ints, Floats]:
    """What arrives at the same node of the same row, added up."""
    keys = row * nodes + node
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.nonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))[0] if len(keys) else np.zeros(0, np.int64)
    total = np.add.reduceat(part[order], first) if len(first) else np.zeros(0)
    return keys[first] // nodes, keys[first] % nodes, total


def _expand(starts: Ints, order: Ints, nodes: Ints) -> tuple[Ints, Ints]:
    """All edges of the nodes: which of `nodes` each belongs to, and the edge."""
    which, place = _ranges(starts, nodes)
    return which, order[place]


def _ranges(starts: Ints, keys: Ints) -> tuple[Ints, Ints]:
    """The places of all keys in a CSR: which key each belongs to, and the place."""
    counts = starts[keys + 1] - starts[keys]
    which = np.repeat(np.arange(len(keys)), counts)
    begins = np.repeat(starts[keys] - (np.cumsum(counts) - counts), counts)
    return which, begins + np.arange(len(which))
