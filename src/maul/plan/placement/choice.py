"""Choice: how many servers of each class send, and how much. Mixed-integer, one goal after the other:

as few and cheap servers as possible; then the coolest shared links; then the flattest racks. Each goal keeps what the
ones before it reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, eye_array, hstack, vstack

from maul.plan.placement.program import Program, wider
from maul.plan.placement.wiring import Floats, Ints

NODES_MAX = 2000  # of the search tree, not seconds: the same plan on a fast machine and on a slow one
GAP = 1e-3  # how near to the best that is possible is near enough, for the second and third goal
COUNT_COST = 1e-4  # of a server, beside what its owner says: of equal costs the fewer servers
HOT_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """`x`: each class's part of the load, `n`: how many of its servers send it. `proven`: none is better."""

    x: Floats
    n: Ints
    proven: bool


@dataclass(frozen=True, slots=True)
class _Level:
    """Rows that a level covers: matrix · x + floor ≤ level."""

    matrix: csr_array
    floor: Floats


class Chooser:
    """The mixed-integer program of one Program."""

    def __init__(self, program: Program, least: float) -> None:
        """`least`: the smallest part of the load worth a server."""
        self.program, self.least = program, least
        self.classes = len(program.classes)
        self.racks = len(program.racks) if program.wishes.racks_at_least > 1 else 0
        self.columns = 2 * self.classes + self.racks + 1  # x, n, rack in use, level
        self.kept: list[LinearConstraint] = []
        self.proven = True

    def choose(self, shared: Ints, capacity: Floats) -> Answer | None:
        """`shared`: rows of shared ways in normal state, with the capacity of each. None: not with whole servers."""
        costs = np.zeros(self.columns)
        costs[self.classes : 2 * self.classes] = [one.cost + COUNT_COST for one in self.program.classes]
        best = self._solve(costs, [], gap=1e-9)
        if best is None:
            return None
        self.kept.append(LinearConstraint(costs[None, :], -np.inf, float(costs @ best) + COUNT_COST / 10))
        best = self._coolest(shared, capacity, best)
        flat = _Level(self.program.by_rack(), np.zeros(len(self.program.racks)))
        better = self._lowest(flat)
        best = best if better is None else better
        whole = np.round(best[self.classes : 2 * self.classes]).astype(np.int64)
        x = np.where(whole > 0, np.maximum(best[: self.classes], 0.0), 0.0)
        return Answer(x / x.sum(), whole, self.proven)

    def _coolest(self, shared: Ints, capacity: Floats, best: Floats) -> Floats:
        """The lowest worst utilisation; links that others heat above it stay as they are while the rest is cooled."""
        rows = self.program.rows
        usable = rows.usable_bps[shared]
        uneven = np.divide(rows.room_bps[shared], usable, out=np.ones(len(shared)), where=usable > 0)
        matrix = self.program.matrix(shared, uneven / capacity)
        floor = rows.others_bps[shared] / capacity
        left = np.nonzero(np.diff(matrix.indptr) > 0)[0]
        for _ in range(HOT_ROUNDS):
            if not len(left):
                break
            level = _Level(matrix[left], floor[left])
            better = self._lowest(level)
            if better is None:
                break
            best = better
            worst = float(best[-1]) * (1 + GAP) + 1e-9
            self._keep(level, worst)
            left = left[floor[left] < worst - 2 * GAP]
            if len(left) == len(level.floor):
                break
        return best

    def _lowest(self, level: _Level) -> Floats | None:
        cost = np.zeros(self.columns)
        cost[-1] = 1.0
        return self._solve(cost, [self._under(level)], gap=GAP)

    def _under(self, level: _Level) -> LinearConstraint:
        wide = wider(level.matrix, self.columns - 1)
        below = csr_array(np.full((len(level.floor), 1), -1.0))
        return LinearConstraint(csr_array(hstack([wide, below])), -np.inf, -level.floor)

    def _keep(self, level: _Level, worst: float) -> None:
        limit = np.maximum(worst - level.floor, 0.0)
        self.kept.append(LinearConstraint(wider(level.matrix, self.columns), -np.inf, limit))

    def _solve(self, cost: Floats, more: Sequence[LinearConstraint], gap: float) -> Floats | None:
        program = self.program
        integrality = np.zeros(self.columns)
        integrality[self.classes : 2 * self.classes + self.racks] = 1
        upper = np.concatenate(
            [
                np.minimum(program.ceilings * program.counts, 1.0),
                program.counts,
                np.ones(self.racks),
                [np.inf],
            ]
        )
        last = None

        def solve() -> Floats | None:
            nonlocal last
            last = milp(
                cost,
                integrality=integrality,
                bounds=Bounds(np.zeros(self.columns), upper),
                constraints=[*self._always(), *self.kept, *more],
                options={"mip_rel_gap": gap, "node_limit": NODES_MAX},
            )
            return None if last.x is None else np.asarray(last.x)

        found = program.until_kept(solve)
        if last is not None and last.status == 1:
            self.proven = False
        return found

    def _always(self) -> list[LinearConstraint]:
        """Whole load, rows of the pool, ceilings, the least of a server, racks."""
        program, count, wide = self.program, self.classes, self.columns
        matrix, bounds = program.pool_rows()
        one = eye_array(count)
        at_most = hstack([one, -one.multiply(program.ceilings[:, None])])
        least = hstack([-one, self.least * one])
        found = [
            LinearConstraint(wider(csr_array(np.ones((1, count))), wide), 1.0, 1.0),
            LinearConstraint(wider(matrix, wide), -np.inf, bounds),
            LinearConstraint(wider(csr_array(vstack([at_most, least])), wide), -np.inf, 0.0),
        ]
        by_rack = program.by_rack()
        if program.wishes.rack_share < 1:
            found.append(LinearConstraint(wider(by_rack, wide), -np.inf, program.wishes.rack_share))
        if self.racks:
            none = csr_array((self.racks, count))
            in_use = hstack([none, -by_rack, eye_array(self.racks)])
            found.append(LinearConstraint(wider(csr_array(in_use), wide), -np.inf, 0.0))
            some = np.zeros((1, wide))
            some[0, 2 * count : 2 * count + self.racks] = 1.0
            found.append(LinearConstraint(csr_array(some), program.wishes.racks_at_least, np.inf))
        return found
