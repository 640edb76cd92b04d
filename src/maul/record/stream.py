"""One table while the run goes: an Arrow IPC stream. Cut anywhere, it is readable to its last whole batch."""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from maul.record.files import fsync_directory, write_all

_ROW_GROUP_ROWS = 65_536
_ROW_GROUP_BYTES = 32 << 20


class StreamFile:
    """Appends batches to a new stream. Not for two threads at once. OSError when the disk refuses."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Create the file; its schema is on it at once."""
        self.path, self.schema, self.rows = path, schema, 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            write_all(self._fd, schema.serialize().to_pybytes())
        except OSError:
            self.close()
            raise

    def write(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Append; after the return a kill -9 cannot take it back (a power cut can)."""
        for batch in batches:
            write_all(self._fd, memoryview(batch.serialize()))
            self.rows += batch.num_rows

    def sync(self) -> None:
        """Wait until the disk has it. OSError when it refuses."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_schema(path: Path) -> pa.Schema:
    """The schema of a stream. pa.ArrowException or OSError when not even that is whole."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
        return reader.schema


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The whole batches of a stream; a torn tail is where it ends."""
    # Mapped, not read: a torn tail may claim any length, and a mapping cannot be made to allocate it.
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
        while True:
            try:
                batch = reader.read_next_batch()
                batch.validate()
            except (StopIteration, pa.ArrowException, OSError):
                return
            yield batch


def compact(stream: StreamFile, parquet: Path) -> None:
    """Turn a stream into a Parquet file, in bounded memory, and remove it. OSError leaves the stream."""
    temporary = parquet.with_name(f".{parquet.name}.part")
    try:
        with (
            temporary.open("wb") as sink,
            pq.ParquetWriter(sink, stream.schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            rows = 0
            for table in _row_groups(read_batches(stream.path), stream.schema):
                writer.write_table(table)
                rows += table.num_rows
            if rows != stream.rows:  # the only copy is not given away for less than all of it
                raise OSError(errno.EIO, f"reads back {rows} of {stream.rows} rows", str(stream.path))
            writer.close()
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(parquet)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(parquet.parent)
    stream.path.unlink()


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Second-long batches put together to row groups worth reading."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _ROW_GROUP_ROWS or size >= _ROW_GROUP_BYTES:
            yield pa.Table.from_batches(held, schema)
            held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held, schema)
