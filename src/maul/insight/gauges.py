"""Samples, ready to be asked: the mean of a gauge over a stretch of time, or nothing when nobody looked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

SAMPLES_MIN = 2
"""Fewer readings than this in a stretch say nothing about it."""

MAUL = "maul"
"""The subject of the `process` probe that is the load generator itself."""


@dataclass(frozen=True, slots=True, order=True)
class Gauge:
    """What was read: the words of `Sample` without the time and the value."""

    host: str
    probe: str
    metric: str
    subject: str


class Gauges:
    """All samples of a run by gauge. NaN and infinite readings are gaps, not values."""

    def __init__(self, samples: pa.Table) -> None:
        """From the samples table of a record."""
        names = ["host", "probe", "metric", "subject"]
        grouped = samples.group_by(names).aggregate([("at_ns", "list"), ("value", "list")]).to_pylist()
        self._readings = {Gauge(*(row[n] for n in names)): _readings(row) for row in grouped}

    def find(self, probe: str, metric: str, subject: str | None = None) -> list[Gauge]:
        """The gauges of a probe's metric, on every host, in order of host and subject."""
        return sorted(
            g for g in self._readings if g.probe == probe and g.metric == metric and subject in (None, g.subject)
        )

    def mean(self, gauge: Gauge, began_ns: int, ended_ns: int) -> float | None:
        """The mean of the readings in [began, ended); None when there are fewer than two."""
        at_ns, values = self._readings.get(gauge, _NOTHING)
        inside = values[(at_ns >= began_ns) & (at_ns < ended_ns)]
        return float(inside.mean()) if inside.size >= SAMPLES_MIN else None

    def typical(self, gauge: Gauge) -> float | None:
        """The median of all readings of a gauge; None without any."""
        _, values = self._readings.get(gauge, _NOTHING)
        return float(np.median(values)) if values.size else None

    def total(self, gauges: Iterable[Gauge], began_ns: int, ended_ns: int) -> float | None:
        """The sum of the means of those gauges that were read; None when none was."""
        means = [m for m in (self.mean(g, began_ns, ended_ns) for g in gauges) if m is not None]
        return sum(means) if means else None


_Readings = tuple["np.ndarray[Any, np.dtype[np.int64]]", "np.ndarray[Any, np.dtype[np.float64]]"]
_NOTHING: _Readings = (np.empty(0, np.int64), np.empty(0, np.float64))


def _readings(row: dict[str, Any]) -> _Readings:
    at_ns, values = np.array(row["at_ns_list"], np.int64), np.array(row["value_list"], np.float64)
    finite = np.isfinite(values)
    return at_ns[finite], values[finite]
