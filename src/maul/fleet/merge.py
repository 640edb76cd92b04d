"""Many agents' results as one: histograms added slot by slot, exactly; percentiles are never averaged."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from maul.core.exhibit import Exhibit
from maul.core.generator import Drained
from maul.core.histogram import Histogram, LatencyRow
from maul.core.operation import OPERATION_DTYPE
from maul.fleet.batch import KINDS, Batch, shifted

_Key = tuple[int, int, int, int, int]


def merge(batches: Sequence[tuple[Batch, int]]) -> Drained:
    """One row for each (second, operation, outcome, kind, tenant); beside each batch, by how much its clock is ahead.

    Times of operations become ours to the nanosecond. A histogram belongs to a whole second of its agent's clock, so it
    is moved by whole seconds only.
    """
    parts: defaultdict[_Key, list[bytes]] = defaultdict(list)
    exhibits: list[Exhibit] = []
    operations: list[np.ndarray] = []
    for batch, ahead_ns in batches:
        _gather(batch, round(ahead_ns / 1e9), parts)
        exhibits += batch.exhibits
        if len(batch.operations):
            operations.append(shifted(batch.operations, -ahead_ns))
    latency = [_row(key, parts[key]) for key in sorted(parts)]
    return Drained(latency, np.concatenate(operations) if operations else np.empty(0, OPERATION_DTYPE), exhibits)


def _gather(batch: Batch, ahead_s: int, parts: defaultdict[_Key, list[bytes]]) -> None:
    rows, end = batch.rows, 0
    columns = [rows[name].tolist() for name in ("second", "op", "outcome", "kind", "tenant")]
    for (second, *rest), size in zip(zip(*columns, strict=True), rows["size"].tolist(), strict=True):
        op, outcome, kind, tenant = rest
        parts[second - ahead_s, op, outcome, kind, tenant].append(batch.histograms[end : end + size])
        end += size


def _row(key: _Key, parts: Sequence[bytes]) -> LatencyRow:
    second, op, outcome, kind, tenant = key
    whole = Histogram()
    whole.add_all_v2(parts)
    return LatencyRow(second, op, outcome, KINDS[kind], whole.count, whole.to_v2(), tenant)
