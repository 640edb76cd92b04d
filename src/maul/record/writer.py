"""RunWriter: the run directory while the run goes.

Adding is memory only, so a slow disk delays nobody but the caller of `flush()`: about once a second, please.
When the disk refuses, recording stops, the reserve is given back so that the last words still fit, and one
MachineError is raised, once, by `flush`, `write_text` or `close`.
"""

import contextlib
import fcntl
import json
import math
import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from maul.core.closing import Closes
from maul.core.errors import CampaignError, InternalError, MachineError
from maul.core.event import Event
from maul.core.exhibit import Exhibit
from maul.core.operation import OPERATION_DTYPE
from maul.core.sample import Sample
from maul.record import audit_chain
from maul.record.audit import AUDIT, AuditLog
from maul.record.audit_words import Words, audited
from maul.record.files import disk_error, point_link, write_whole
from maul.record.lines import LineFile
from maul.record.masking import Mask
from maul.record.stream import StreamFile, compact
from maul.record.tables import (
    EVENTS,
    EXHIBITS,
    LATENCY,
    OPERATIONS,
    SAMPLES,
    SCHEMAS,
    OperationArray,
    marked,
    operations_batch,
    parquet_name,
    stream_name,
)

if TYPE_CHECKING:  # the record is written and read without the compiled engine
    from maul.core.histogram import LatencyRow

RECORDING = ".recording"  # there while a writer has the run open, and locked by it; left behind by a kill
RESERVE = ".reserve"
LATEST = "latest"
RESERVE_BYTES = 1 << 20
PENDING_BYTES_MAX = 16 << 20  # then the adder itself writes: memory is bounded even when nobody flushes
OPERATIONS_PER_BATCH_MAX = 65_536
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_TABLE_FILES = frozenset(name(table) for table in SCHEMAS for name in (stream_name, parquet_name)) | {AUDIT}


class RunWriter(Closes):
    """Writes one run directory. Every method may be called from any thread."""

    def __init__(self, path: Path, mask: Mask, audit_index: Path | None) -> None:
        """Use `create`."""
        self._audit_index = audit_index
        self._log: AuditLog | None = None
        self.path, self.run_id = path, path.name
        self._mask = mask
        self._pending: dict[str, list[pa.RecordBatch]] = {table: [] for table in SCHEMAS}
        self._pending_bytes = 0
        self._rows_lost = 0
        self._failed: MachineError | None = None
        self._told = False
        self._closed = False
        self._pending_lock = threading.Lock()  # guards the fields above; held for moments
        self._io_lock = threading.RLock()  # guards the files; held while the disk works; taken before the other
        self._marker = os.open(path / RECORDING, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._streams: dict[str, StreamFile] = {}
        self._lines: dict[str, LineFile] = {}
        try:
            fcntl.flock(self._marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._open_files()
        except (OSError, CampaignError):
            self._close_files()
            raise

    def _open_files(self) -> None:
        fd = os.open(self.path / RESERVE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.posix_fallocate(fd, 0, RESERVE_BYTES)
        finally:
            os.close(fd)
        self._log = log = AuditLog.begin(self.path / AUDIT)
        audit_chain.begin(self._audit_index, self.run_id, log, time.time_ns())
        for table, schema in SCHEMAS.items():
            self._streams[table] = StreamFile(self.path / stream_name(table), marked(schema, self.run_id))

    @classmethod
    def create(
        cls, runs_root: Path, run_id: str, *, secrets: Iterable[str] = (), audit_index: Path | None = None
    ) -> Self:
        """Make `runs_root/run_id` and point `runs_root/latest` at it.

        Every text has each of `secrets` replaced by `****`. `audit_index`: the machine's list of runs that this one is
        chained to; None: its audit log stands alone. CampaignError: the name is taken or is no name.
        MachineError: the directory cannot be written; nothing is left behind.
        """
        if not _RUN_NAME.fullmatch(run_id) or run_id == LATEST:
            raise CampaignError(f"{run_id!r} cannot name a run", cure="Use letters, digits, dots and dashes.")
        mask = Mask(secrets)
        path = runs_root / run_id
        try:
            runs_root.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            what = "there is a run of this name" if path.is_dir() else "a file of this name is in the way"
            raise CampaignError(what, str(path), "Choose another name or another directory.") from None
        except OSError as error:
            raise disk_error(error, path) from error
        try:
            writer = cls(path, mask, audit_index)
            point_link(runs_root / LATEST, run_id)
        except (OSError, CampaignError) as error:
            shutil.rmtree(path, ignore_errors=True)  # ours: the mkdir above made it
            if isinstance(error, OSError):
                raise disk_error(error, path) from error
            raise
        return writer

    @property
    def failed(self) -> MachineError | None:
        """Why nothing more is recorded (disk full …); None while all is well."""
        return self._failed

    @property
    def rows_lost(self) -> int:
        """Rows that were given and, for the disk's refusal, are not recorded."""
        return self._rows_lost

    # ------------------------------------------------------------------ texts

    def write_text(self, name: str, text: str) -> bool:
        """Write a whole file: atomic, fsynced, masked.

        False when the disk refused and the MachineError was raised before; an old file is then as it was.
        """
        if not _FILE_NAME.fullmatch(name) or name in _TABLE_FILES:
            raise InternalError(f"{name!r} is not a name for a text of a run")
        with self._io_lock:
            try:
                write_whole(self.path / name, self._mask.text(text).encode())
            except OSError as error:
                self._fail(error, self.path / name)
                self._tell()
                return False
        return True

    def add_line(self, name: str, text: str) -> bool:
        """Add a line to a text that grows while the run goes; it is there even after a kill.

        False when it is full (`lines.BYTES_MAX`), the run is closed, or the disk refused: `flush` raises that.
        """
        if not _FILE_NAME.fullmatch(name) or name in _TABLE_FILES:
            raise InternalError(f"{name!r} is not a name for a text of a run")
        with self._io_lock:
            if self._failed or self._closed:
                return False
            try:
                if name not in self._lines:
                    self._lines[name] = LineFile(self.path / name)
                return self._lines[name].add(" ".join(self._mask.text(text).split("\n")))
            except OSError as error:
                self._fail(error, self.path / name)
                return False

    # ------------------------------------------------------------------ rows

    def events(self, events: Sequence[Event]) -> None:
        """Add events. Memory only; never raises for the disk (`flush`, `write_text` and `close` do)."""
        clean = [self._mask.value([e.name, e.says, _finite(e.details)]) for e in events]
        columns: list[list[Any]] = [
            [e.at_ns for e in events],
            [e.kind.value for e in events],
            [e.edge.value for e in events],
            [name for name, _, _ in clean],
            [says for _, says, _ in clean],
            [json.dumps(details, ensure_ascii=False, default=str) for _, _, details in clean],
        ]
        self._add(EVENTS, columns)
        for event, (name, says, details) in zip(events, clean, strict=True):
            words = audited(event.kind, event.edge, details)
            if words is not None:
                self._audit(event.at_ns, name, says, words)

    def audit(self, at_ns: int, what: str, name: str, says: str) -> None:
        """Add to the audit log alone what is no event, and wait until it is on the disk. Raises as `events` does."""
        name, says = self._mask.value([name, says])
        self._audit(at_ns, name, says, Words(what, {}, lasting=True))

    def _audit(self, at_ns: int, name: str, says: str, words: Words) -> None:
        with self._io_lock:
            if self._failed or self._closed or self._log is None:
                return
            try:
                self._log.add(at_ns, words.what, name, says, words.details)
                if words.lasting:
                    self._log.sync()
            except OSError as error:
                self._fail(error, self._log.path)

    def samples(self, samples: Sequence[Sample]) -> None:
        """Add samples, as `events` does."""
        columns: list[list[Any]] = [
            [s.at_ns for s in samples],
            [s.host for s in samples],
            [s.probe for s in samples],
            [s.metric for s in samples],
            [s.subject for s in samples],
            [s.value for s in samples],
        ]
        self._add(SAMPLES, columns)

    def latency(self, phase: str, rows: "Sequence[LatencyRow]") -> None:
        """Add histograms of a phase, as `events` does."""
        columns: list[list[Any]] = [
            [r.second for r in rows],
            [phase] * len(rows),
            [int(r.op) for r in rows],
            [int(r.outcome) for r in rows],
            [str(r.kind) for r in rows],
            [r.count for r in rows],
            [r.hdr for r in rows],
            [r.tenant for r in rows],
        ]
        self._add(LATENCY, columns)

    def operations(self, phase: str, operations: OperationArray) -> None:
        """Add operations (OPERATION_DTYPE, one dimension) of a phase, as `events` does; they are copied."""
        if operations.dtype != OPERATION_DTYPE or operations.ndim != 1:
            raise InternalError(f"operations of dtype {operations.dtype} and {operations.ndim} dimensions")
        schema = self._streams[OPERATIONS].schema
        for first in range(0, len(operations), OPERATIONS_PER_BATCH_MAX):
            part = operations[first : first + OPERATIONS_PER_BATCH_MAX]
            self._keep(OPERATIONS, operations_batch(phase, part, schema))

    def exhibits(self, phase: str, exhibits: Sequence[Exhibit]) -> None:
        """Add exhibits of a phase, as `events` does."""
        clean = [self._mask.value([e.says, e.expected, e.found]) for e in exhibits]
        columns: list[list[Any]] = [
            [phase] * len(exhibits),
            [str(e.reason) for e in exhibits],
            [e.request_id for e in exhibits],
            [says for says, _, _ in clean],
            [e.offset for e in exhibits],
            [expected for _, expected, _ in clean],
            [found for _, _, found in clean],
            *([e.operation[name].item() for e in exhibits] for name in OPERATION_DTYPE.names or ()),
        ]
        self._add(EXHIBITS, columns)

    def _add(self, table: str, columns: list[list[Any]]) -> None:
        if not columns[0]:
            return
        schema = self._streams[table].schema
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        self._keep(table, pa.RecordBatch.from_arrays(arrays, schema=schema))

    def _keep(self, table: str, batch: pa.RecordBatch) -> None:
        with self._pending_lock:
            if self._failed or self._closed:
                self._rows_lost += batch.num_rows
                return
            self._pending[table].append(batch)
            self._pending_bytes += batch.nbytes
            full = self._pending_bytes > PENDING_BYTES_MAX
        if full:
            self._write_pending()

    # ------------------------------------------------------------------ disk

    def flush(self) -> None:
        """Put what was added where a kill -9 cannot take it. MachineError, once, when the disk refuses."""
        self._write_pending()
        self._tell()

    def close(self) -> None:
        """Flush, turn the streams into Parquet files, mark the run as closed. MachineError as in `flush`.

        Idempotent; what is added later is counted as lost.
        """
        with self._io_lock:
            with self._pending_lock:
                already, self._closed = self._closed, True
            if already:
                return
            self._write_pending()
            self._close_log()
            for table, stream in self._streams.items():
                stream.close()
                if self._failed is None:  # else the streams stay: they are readable as they are
                    self._compact(table, stream)
            self._give_back_reserve()
            with contextlib.suppress(OSError):  # a read-only disk: readers will take the run for a killed one
                (self.path / RECORDING).unlink()
            self._close_files()
            self._tell()

    def _close_log(self) -> None:
        if self._log is None:
            return
        try:
            if self._audit_index is not None:
                audit_chain.end(self._audit_index, self.run_id, self._log)
        except OSError as error:
            self._fail(error, self._log.path)
        finally:
            self._log.close()

    def _write_pending(self) -> None:
        """Never raises for the disk; see `_failed`."""
        with self._io_lock:
            with self._pending_lock:
                taken, self._pending = self._pending, {table: [] for table in SCHEMAS}
                self._pending_bytes = 0
            for table, batches in taken.items():
                if batches:
                    self._write(table, _joined(batches))

    def _write(self, table: str, batch: pa.RecordBatch) -> None:
        if self._failed is None:
            try:
                self._streams[table].write([batch])
            except OSError as error:
                self._fail(error, self.path)
            else:
                return
        with self._pending_lock:
            self._rows_lost += batch.num_rows

    def _compact(self, table: str, stream: StreamFile) -> None:
        try:
            compact(stream, self.path / parquet_name(table))
        except OSError as error:
            self._fail(error, self.path)

    def _fail(self, error: OSError, where: Path) -> None:
        with self._pending_lock:
            if self._failed is None:
                self._failed = disk_error(error, where)
                self._failed.__cause__ = error
        self._give_back_reserve()

    def _tell(self) -> None:
        with self._pending_lock:
            silent, self._told = self._told or self._failed is None, True if self._failed else self._told
        if not silent and self._failed is not None:
            raise self._failed

    def _give_back_reserve(self) -> None:
        with contextlib.suppress(OSError):
            (self.path / RESERVE).unlink(missing_ok=True)

    def _close_files(self) -> None:
        for stream in self._streams.values():
            stream.close()
        for lines in self._lines.values():
            lines.close()
        if self._log is not None:
            self._log.close()
        if self._marker >= 0:
            os.close(self._marker)  # lets the lock go
            self._marker = -1


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """One batch of many: each costs some hundred bytes of frame in the stream."""
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def _finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity: null says that there is no number."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
