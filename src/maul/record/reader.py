"""RunReader: a run directory as tables, whether it was closed, killed, or is still being written."""

import fcntl
import json
import os
from enum import Enum
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pydantic import ValidationError

from maul.core.errors import CampaignError
from maul.core.summary import SCHEMA_VERSION, Summary
from maul.record.locate import RUNS_ROOT, locate_run
from maul.record.stream import read_batches, read_schema
from maul.record.tables import (
    EVENTS,
    EXHIBITS,
    LATENCY,
    OPERATIONS,
    RECORD_VERSION,
    RUN_KEY,
    SAMPLES,
    SCHEMAS,
    VERSION_KEY,
    parquet_name,
    stream_name,
)
from maul.record.writer import RECORDING

SUMMARY = "summary.json"
_COPY_AGAIN = "Copy the whole run directory again, or use another run."
_UPGRADE = "Read it with that version or a newer one."
_PROBLEMS_SHOWN_MAX = 5


class _State(Enum):
    CLOSED = "closed"
    KILLED = "killed"
    RUNNING = "running"


class RunReader:
    """Reads one run. Keeps no file open."""

    def __init__(self, path: Path, run_id: str, state: _State) -> None:
        """Use `open`."""
        self.path, self.run_id, self._state = path, run_id, state

    @classmethod
    def open(cls, run: str | Path, runs_root: Path = RUNS_ROOT) -> Self:
        """Open a run given as `latest`, run id or path.

        CampaignError: there is none, it is no run, a table is missing or damaged, a newer maul made it.
        """
        path = locate_run(run, runs_root)
        state = _state(path)
        schemas = {table: _schema(path, table) for table in SCHEMAS}
        return cls(path, (schemas[EVENTS].metadata or {})[RUN_KEY].decode(), state)

    @property
    def running(self) -> bool:
        """A writer held the run when it was opened here."""
        return self._state is _State.RUNNING

    @property
    def killed(self) -> bool:
        """The writer died without closing the run: the record ends at its last flush."""
        return self._state is _State.KILLED

    def events(self) -> pa.Table:
        """at_ns, kind, edge, name, says, details (JSON text); in order of time."""
        table = self._table(EVENTS)
        # Stable: events of one instant stay in the order they were written.
        return table.take(np.argsort(table["at_ns"].to_numpy(), kind="stable"))

    def samples(self) -> pa.Table:
        """at_ns, host, probe, metric, subject, value."""
        return self._table(SAMPLES)

    def latency(self) -> pa.Table:
        """second, phase, op, outcome, kind, count, hdr, tenant."""
        return self._table(LATENCY)

    def operations(self) -> pa.Table:
        """phase, then the fields of OPERATION_DTYPE."""
        return self._table(OPERATIONS)

    def exhibits(self) -> pa.Table:
        """phase, reason, request_id, says, offset, expected, found, then the fields of OPERATION_DTYPE."""
        return self._table(EXHIBITS)

    def has(self, name: str) -> bool:
        """Whether the run holds a file of that name."""
        return (self.path / name).is_file()

    def text(self, name: str) -> str:
        """A text of the run. CampaignError when there is none of that name."""
        path = self.path / name
        if Path(name).name != name or not path.is_file():
            raise CampaignError(f"the run has no {name}", str(self.path), self._why_missing())
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CampaignError(f"cannot be read: {error}", str(path), _COPY_AGAIN) from error

    def summary(self) -> Summary:
        """`summary.json`, checked. CampaignError when missing, damaged or made by a newer maul."""
        text, where = self.text(SUMMARY), str(self.path / SUMMARY)
        try:
            value = json.loads(text)
            version = value["schema_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise CampaignError("is not the summary of a run", where, self._judge_again()) from error
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            what = f"was made by a newer maul (schema {version}; this one knows {SCHEMA_VERSION})"
            raise CampaignError(what, where, _UPGRADE)
        try:
            return Summary.model_validate_json(text)
        except ValidationError as error:
            raise CampaignError(f"is damaged: {_problems(error)}", where, self._judge_again()) from error

    def sql(self, query: str) -> pa.Table:
        """Ask DuckDB over the tables events, samples, latency, operations, exhibits.

        It reaches no other file and no network. CampaignError when DuckDB refuses the query.
        """
        config: dict[str, Any] = {"enable_external_access": False, "threads": 2, "memory_limit": "2GB"}
        with duckdb.connect(":memory:", config=config) as connection:
            for table in SCHEMAS:
                connection.register(table, self._source(table))
            try:
                relation = connection.sql(query)
                answer: pa.Table = pa.table({}) if relation is None else relation.to_arrow_table()
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                cure = f"Tables: {', '.join(SCHEMAS)}."
                raise CampaignError(f"DuckDB refuses the query: {error}", str(self.path), cure) from error
        return answer

    def _table(self, table: str) -> pa.Table:
        file = _table_file(self.path, table)
        try:
            if file.name == parquet_name(table):
                return pq.read_table(file, schema=SCHEMAS[table], page_checksum_verification=True)
            return pa.Table.from_batches(read_batches(file), read_schema(file)).replace_schema_metadata()
        except FileNotFoundError:
            return self._table(table)  # its writer has just closed the run; the Parquet file is there now
        except (pa.ArrowException, OSError) as error:
            raise CampaignError(f"is damaged: {_first_line(error)}", str(file), _COPY_AGAIN) from error

    def _source(self, table: str) -> "pa.Table | ds.Dataset":
        """Parquet files are left on disk, for DuckDB to read what it needs."""
        file = _table_file(self.path, table)
        if file.suffix != ".parquet":
            return self._table(table)
        checked = ds.ParquetFileFormat(
            default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        )
        return ds.dataset(file, schema=SCHEMAS[table], format=checked)

    def _why_missing(self) -> str:
        if self.running:
            return "The run is still going."
        how = "was killed" if self.killed else "ended"
        return f"The run {how} before it was written."

    def _judge_again(self) -> str:
        return "The tables of the run may still be whole: judge it again with `maul report`."


def _schema(path: Path, table: str) -> pa.Schema:
    """The schema of a table on disk, once it is known to be ours."""
    file = _table_file(path, table)
    try:
        schema = pq.read_schema(file) if file.suffix == ".parquet" else read_schema(file)
    except FileNotFoundError:
        return _schema(path, table)  # as in RunReader._table
    except (pa.ArrowException, OSError) as error:
        what = f"is damaged or cut short: {_first_line(error)}" if file.stat().st_size else "is empty"
        raise CampaignError(what, str(file), _COPY_AGAIN) from error
    metadata = schema.metadata or {}
    version = metadata.get(VERSION_KEY, b"").decode(errors="replace")
    if not version.isdecimal() or RUN_KEY not in metadata:
        raise CampaignError("was not written by maul", str(file), "Name a run directory that maul made.")
    if int(version) > RECORD_VERSION:
        what = f"was made by a newer maul (record {version}; this one knows {RECORD_VERSION})"
        raise CampaignError(what, str(file), _UPGRADE)
    if int(version) < RECORD_VERSION:
        what = f"was made by an older maul (record {version}; this one reads {RECORD_VERSION})"
        raise CampaignError(what, str(file), "Read it with that version.")
    if not schema.equals(SCHEMAS[table], check_metadata=False):
        raise CampaignError(f"does not have the columns of {table}", str(file), _COPY_AGAIN)
    return schema


def _table_file(path: Path, table: str) -> Path:
    """The closed file of a table, or its stream. Where a kill left both, the closed one is whole."""
    for file in (path / parquet_name(table), path / stream_name(table), path / parquet_name(table)):
        if file.is_file():
            return file
    raise CampaignError(f"{parquet_name(table)} is missing", str(path), _COPY_AGAIN)


def _state(path: Path) -> _State:
    """A marker that nobody locks is one that a dead writer left."""
    try:
        fd = os.open(path / RECORDING, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return _State.CLOSED
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise CampaignError(what, str(path), "Read it as its owner.") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _State.RUNNING
    except OSError:
        return _State.KILLED  # a file system without locks: at least nothing is promised
    finally:
        os.close(fd)
    return _State.KILLED


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _problems(error: ValidationError) -> str:
    shown = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:_PROBLEMS_SHOWN_MAX]]
    return "; ".join(shown)
