"""Rows for a run whose writer was killed: they came later, from agents that outlived it."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from maul.core.errors import CampaignError
from maul.core.operation import OPERATION_DTYPE
from maul.record.files import disk_error, fsync_directory
from maul.record.reader import RunReader
from maul.record.stream import StreamFile, read_batches, read_schema
from maul.record.tables import LATENCY, OPERATIONS, OperationArray, operations_batch, stream_name
from maul.record.writer import RECORDING

_IDENTITY = ("due_ns", "start_ns", "end_ns", "key", "op", "shard")


class KilledRun:
    """A run that was killed, held so that nobody else completes it meanwhile. Use `opened`."""

    def __init__(self, path: Path, run_id: str) -> None:
        """Use `opened`."""
        self.path, self.run_id = path, run_id
        self._fresh: dict[str, list[pa.RecordBatch]] = {LATENCY: [], OPERATIONS: []}

    def known(self, phase: str) -> set[tuple[int, ...]]:
        """Who the operations of a phase are that it has already; see `identities`."""
        found: set[tuple[int, ...]] = set()
        for batch in read_batches(self.path / stream_name(OPERATIONS)):
            phases = batch.column("phase").to_pylist()
            rows = zip(phases, *(batch.column(name).to_pylist() for name in _IDENTITY), strict=True)
            found |= {tuple(identity) for of, *identity in rows if of == phase}
        return found

    def add(self, phase: str, latency: Sequence[Any], operations: OperationArray) -> None:
        """Rows of a phase: histograms (`LatencyRow`) and operations; on disk after `write`."""
        schema = self._schema(LATENCY)
        if latency:
            columns: list[list[Any]] = [
                [row.second for row in latency],
                [phase] * len(latency),
                [int(row.op) for row in latency],
                [int(row.outcome) for row in latency],
                [str(row.kind) for row in latency],
                [row.count for row in latency],
                [row.hdr for row in latency],
                [row.tenant for row in latency],
            ]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            self._fresh[LATENCY].append(pa.RecordBatch.from_arrays(arrays, schema=schema))
        if len(operations):
            self._fresh[OPERATIONS].append(operations_batch(phase, operations, self._schema(OPERATIONS)))

    def write(self) -> int:
        """Put all of it into the record, each table in one step; how many rows. MachineError when the disk refuses."""
        rows = 0
        for table, batches in self._fresh.items():
            if batches:
                self._append(table, batches)
                rows += sum(batch.num_rows for batch in batches)
        return rows

    def _schema(self, table: str) -> pa.Schema:
        return read_schema(self.path / stream_name(table))

    def _append(self, table: str, batches: Iterable[pa.RecordBatch]) -> None:
        """What is whole of the old stream, then the new rows: a torn end must not hide them."""
        path = self.path / stream_name(table)
        temporary = path.with_name(f".{path.name}.part")
        try:
            temporary.unlink(missing_ok=True)
            stream = StreamFile(temporary, self._schema(table))
            try:
                stream.write(read_batches(path))
                stream.write(batches)
                stream.sync()
            finally:
                stream.close()
            temporary.replace(path)
            fsync_directory(self.path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise disk_error(error, path) from error


@contextmanager
def opened(run: str | Path, runs_root: Path) -> Iterator[KilledRun]:
    """The run of that name, if its writer was killed. CampaignError when it was not."""
    reader = RunReader.open(run, runs_root)
    if not reader.killed:
        what = "this run is still being recorded" if reader.running else "this run was closed: its record is complete"
        raise CampaignError(what, str(reader.path), "there is nothing to add to it")
    descriptor = os.open(reader.path / RECORDING, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CampaignError("another maul is working on this run", str(reader.path), "wait for it") from None
        yield KilledRun(reader.path, reader.run_id)
    finally:
        os.close(descriptor)


def identities(operations: OperationArray) -> list[tuple[int, ...]]:
    """Who they are: no two operations of a run are alike in all of these."""
    if operations.dtype != OPERATION_DTYPE:
        raise CampaignError(f"operations of dtype {operations.dtype}")
    return list(zip(*(np.asarray(operations[name]).tolist() for name in _IDENTITY), strict=True))
