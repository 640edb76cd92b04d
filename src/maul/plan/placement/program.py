"""Program: which classes of servers may send which part of the load, as a linear program (HiGHS), and the most of it.

There are far more rows (direction × failure) than ever bind, so they are added as they
are broken: solve, look at all of them, add the worst, solve again (cutting planes). The answer is the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, csr_array, hstack, vstack

from maul.plan.placement.rows import Rows
from maul.plan.placement.servers import WITHOUT_END, Ceiling, ServerClass
from maul.plan.placement.wiring import Floats, Ints

EXACT = 1e-6  # of a link's room: what counts as kept
ROUNDS_MAX = 60
ADDED_MAX = 60  # rows in a round


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the racks may be used."""

    rack_share: float
    racks_at_least: int


@dataclass(frozen=True, slots=True)
class Price:
    """A bound that holds the load down: a row, a class's ceiling, or the whole load's (`index` in its list).

    `gain`: by how much the scale of the load grows with one more unit of the bound; `weight`: what part of the most
    that is possible it explains.
    """

    kind: str
    index: int
    gain: float
    weight: float


@dataclass(frozen=True, slots=True)
class Most:
    """The largest scale of the load that is possible, and what holds it there."""

    scale: float
    x: Floats
    prices: tuple[Price, ...]


@dataclass
class Program:
    """All of it, with the rows that turned out to matter."""

    rows: Rows
    classes: Sequence[ServerClass]
    groups: int
    wishes: Wishes
    overall: Sequence[Ceiling]
    """What holds the whole load back."""
    margin: float = 0.0
    """Part of every row that stays free, so that shares can be rounded."""
    pool: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Class-level arrays."""
        self.counts = np.array([len(one.hosts) for one in self.classes], dtype=float)
        self.ceilings = np.array([min(one.ceiling.share, WITHOUT_END) for one in self.classes])
        self.group_of = np.array([one.group for one in self.classes], dtype=np.int64)
        names = list(dict.fromkeys(one.rack for one in self.classes))
        self.rack_of = np.array([names.index(one.rack) for one in self.classes], dtype=np.int64)
        self.racks = names
        ones = np.ones(len(self.classes))
        self._to_group = csr_array(
            coo_array((ones, (self.group_of, np.arange(len(self.classes)))), shape=(self.groups, len(self.classes)))
        )
        self._scale = np.maximum(self.rows.usable_bps, np.maximum(1e-3 * self.rows.capacity_bps, 1.0))
        # what the load does in normal state and most of what binds is there from the beginning
        normal = np.nonzero(self.rows.failure < 0)[0]
        self.pool = self._distinct(normal)

    # ------------------------------------------------------------ rows

    def by_group(self, x: Floats) -> Floats:
        """Classes' parts added up by group."""
        return np.asarray(self._to_group @ x)

    def matrix(self, rows: Ints, factor: Floats) -> csr_array:
        """rows × classes: our bits/s for the whole load, each row times its factor."""
        full = csr_array(self.rows.base[self.rows.edge[rows]] + self.rows.delta[rows])
        return csr_array(csr_array(full.multiply(factor[:, None])) @ self._to_group)

    def _distinct(self, rows: Ints) -> list[int]:
        """One of each set of rows that say the same."""
        matrix = self.matrix(rows, 1 / self._scale[rows])
        seen: dict[tuple[bytes, bytes, float], int] = {}
        for place, row in enumerate(rows.tolist()):
            begin, end = matrix.indptr[place], matrix.indptr[place + 1]
            key = (
                matrix.indices[begin:end].tobytes(),
                np.round(matrix.data[begin:end], 9).tobytes(),
                round(float(self.rows.usable_bps[row] / self._scale[row]), 9),
            )
            seen.setdefault(key, row)
        return list(seen.values())

    def _add_broken(self, x: Floats) -> bool:
        """Adds the rows that `x` breaks most; False when it breaks none."""
        over = (self.rows.ours_bps(self.by_group(x)) - self.rows.usable_bps * (1 - self.margin)) / self._scale
        broken = np.nonzero(over > EXACT / 2)[0]
        known = set(self.pool)
        worst = [row for row in broken[np.argsort(-over[broken], kind="stable")][: 4 * ADDED_MAX].tolist()
                 if row not in known]  # fmt: skip
        if not worst:
            return False
        self.pool += self._distinct(np.array(worst[: 2 * ADDED_MAX], dtype=np.int64))[:ADDED_MAX]
        return True

    def until_kept(self, solve: Callable[[], Floats | None]) -> Floats | None:
        """Solves until no row is broken; None when there is no solution."""
        for _ in range(ROUNDS_MAX):
            x = solve()
            if x is None or not self._add_broken(x[: len(self.classes)]):
                return x
        return x

    # ------------------------------------------------------------ the most

    def most(self) -> Most:
        """The largest multiple of the asked load, however many servers it takes."""
        count = len(self.classes)
        result = None

        def solve() -> Floats | None:
            nonlocal result
            matrix, bounds = self.pool_rows()
            racks = self._rack_rows()
            cost = np.zeros(count + 1)
            cost[-1] = -1.0
            whole = np.concatenate([np.ones(count), [-1.0]])[None, :]
            top = min([one.share for one in self.overall], default=WITHOUT_END)
            result = linprog(
                cost,
                A_ub=csr_array(vstack([wider(matrix, count + 1), racks])),
                b_ub=np.concatenate([bounds, np.zeros(racks.shape[0])]),
                A_eq=csr_array(whole),
                b_eq=[0.0],
                bounds=np.column_stack(
                    [np.zeros(count + 1), np.concatenate([self.ceilings * self.counts, [min(top, WITHOUT_END)]])]
                ),
                method="highs",
            )
            return np.asarray(result.x) if result.status == 0 else None

        x = self.until_kept(solve)
        if x is None or result is None:
            return Most(0.0, np.zeros(count), ())
        return Most(float(x[-1]), x[:-1], tuple(self._prices(result)))

    def _prices(self, result: "object") -> list[Price]:
        """Duals of the last solution."""
        rows = -np.asarray(result.ineqlin.marginals)  # type: ignore[attr-defined]
        upper = -np.asarray(result.upper.marginals)  # type: ignore[attr-defined]
        found: list[Price] = []
        for place, row in enumerate(self.pool):
            if rows[place] > 1e-9:
                usable = float(self.rows.usable_bps[row])
                gain = float(rows[place] / self._scale[row]) * self._per_room(row)
                found.append(Price("row", row, gain, float(rows[place] * usable / self._scale[row])))
        for place in range(len(self.classes)):
            if upper[place] > 1e-9:
                bound = float(self.ceilings[place] * self.counts[place])
                gain = float(upper[place] * self.counts[place] * self.classes[place].ceiling.per_unit)
                found.append(Price("class", place, gain, float(upper[place]) * bound))
        if upper[-1] > 1e-9 and self.overall:
            place = int(np.argmin([one.share for one in self.overall]))
            ceiling = self.overall[place]
            found.append(Price("overall", place, float(upper[-1]) * ceiling.per_unit, float(upper[-1]) * ceiling.share))
        racks = rows[len(self.pool) :]
        found += [Price("rack", place, 0.0, float(price)) for place, price in enumerate(racks) if price > 1e-9]
        return sorted(found, key=lambda one: -one.weight)

    def _per_room(self, row: int) -> float:
        """By how much the usable part grows with the room: less than one where connections fall unevenly."""
        usable, uneven = float(self.rows.usable_bps[row]), float(self.rows.unevenness_bps[row])
        return 1.0 if not usable else 1 / (1 + 0.5 * float(np.sqrt(uneven / usable)))

    def pool_rows(self) -> tuple[csr_array, Floats]:
        """The rows of the pool and their bounds."""
        which = np.array(self.pool, dtype=np.int64)
        matrix = self.matrix(which, 1 / self._scale[which])
        bounds = self.rows.usable_bps[which] / self._scale[which] * (1 - self.margin)
        return matrix, np.asarray(bounds)

    def _rack_rows(self) -> csr_array:
        """No rack more than its part of the scale, the last variable; no row when any part is right."""
        if self.wishes.rack_share >= 1:
            return csr_array((0, len(self.classes) + 1))
        scale = csr_array(np.full((len(self.racks), 1), -self.wishes.rack_share))
        return csr_array(hstack([self.by_rack(), scale]))

    def by_rack(self) -> csr_array:
        """racks × classes."""
        count = len(self.classes)
        shape = (len(self.racks), count)
        return csr_array(coo_array((np.ones(count), (self.rack_of, np.arange(count))), shape=shape))


def wider(matrix: csr_array, columns: int) -> csr_array:
    """The matrix with empty columns up to so many."""
    return csr_array(hstack([matrix, csr_array((matrix.shape[0], columns - matrix.shape[1]))]))
