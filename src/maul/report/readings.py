"""Samples of the probes, laid on the grid of the charts."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from maul.report.panels import Floats, Grid

HOLE_FACTOR = 1.9  # readings further apart than this many usual distances: one is missing between them


@dataclass(frozen=True)
class Curve:
    """One metric of one subject on the grid; NaN where it was not read."""

    subject: str
    values: Floats

    @property
    def mean(self) -> float:
        """Over what was read; 0 when nothing was."""
        seen = self.values[np.isfinite(self.values)]
        return float(seen.mean()) if seen.size else 0.0

    @property
    def peak(self) -> float:
        """The highest point; 0 when nothing was read."""
        seen = self.values[np.isfinite(self.values)]
        return float(seen.max()) if seen.size else 0.0


class Readings:
    """All samples of a run, by probe and metric."""

    def __init__(self, samples: pa.Table, grid: Grid) -> None:
        """From the samples table of a record."""
        self.grid = grid
        self._samples = samples

    def curves(self, probe: str, metric: str) -> list[Curve]:
        """One curve per host and subject, in the order of their names; the host is named where it tells two apart."""
        if not self._samples.num_rows:
            return []
        rows = self._samples.filter((pc.field("probe") == probe) & (pc.field("metric") == metric))
        at_s = rows["at_ns"].to_numpy() / 1e9
        values = rows["value"].to_numpy().astype(np.float64)
        places: dict[tuple[str, str], list[int]] = {}
        for row, owner in enumerate(zip(rows["host"].to_pylist(), rows["subject"].to_pylist(), strict=True)):
            places.setdefault((str(owner[0]), str(owner[1])), []).append(row)
        names = [subject for _, subject in places]
        return [
            Curve(
                f"{host} {subject}".strip() if names.count(subject) > 1 else subject,
                on_grid(self.grid, at_s[rows_of], values[rows_of]),
            )
            for (host, subject), rows_of in sorted(places.items(), key=lambda item: _natural(item[0]))
        ]


def _natural(names: Iterable[str]) -> list[tuple[str, int, str]]:
    """Sorts core10 after core9."""
    split = []
    for name in names:
        stem = name.rstrip("0123456789")
        split.append((stem, int(name[len(stem) :] or 0), name))
    return split


def on_grid(grid: Grid, at_s: Floats, values: Floats) -> Floats:
    """The mean of the readings in each point of the grid, NaN in a point without one.

    A sensor that reads every 1.02 s skips a point now and then without having missed a reading: such a hole
    takes the next reading. A hole that a reading is really missing from stays a hole.
    """
    laid = np.full(grid.points, np.nan)
    points = grid.points_of(at_s)
    keep = (points >= 0) & (points < grid.points) & np.isfinite(values)
    order = np.argsort(at_s[keep], kind="stable")
    at_s, values, points = at_s[keep][order], values[keep][order], points[keep][order]
    if not points.size:
        return laid
    total = np.bincount(points, weights=values, minlength=grid.points)
    number = np.bincount(points, minlength=grid.points)
    np.divide(total, number, out=laid, where=number > 0)
    apart = np.diff(at_s)
    usual = max(float(np.median(apart)), 1e-9) if apart.size else 0.0
    for i in np.flatnonzero((np.diff(points) > 1) & (apart < HOLE_FACTOR * usual)):
        laid[points[i] + 1 : points[i + 1]] = values[i + 1]
    return laid
