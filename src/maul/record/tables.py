"""What a run is made of: five tables, the same columns in the live streams and in the closed files."""

from typing import Any

import numpy as np
import pyarrow as pa

from maul.core.operation import OPERATION_DTYPE

RECORD_VERSION = 2  # 2: tenants; more times and flags of each operation
VERSION_KEY, RUN_KEY = b"maul.record_version", b"maul.run_id"

EVENTS, SAMPLES, LATENCY, OPERATIONS, EXHIBITS = "events", "samples", "latency", "operations", "exhibits"


def _operation_fields() -> "list[pa.Field[Any]]":
    return [
        pa.field(name, pa.from_numpy_dtype(OPERATION_DTYPE[name]), nullable=False)
        for name in OPERATION_DTYPE.names or ()
    ]


def _required(**types: pa.DataType) -> "list[pa.Field[Any]]":
    return [pa.field(name, kind, nullable=False) for name, kind in types.items()]


SCHEMAS: dict[str, pa.Schema] = {
    EVENTS: pa.schema(
        _required(
            at_ns=pa.int64(),
            kind=pa.string(),
            edge=pa.string(),
            name=pa.string(),
            says=pa.string(),
            details=pa.string(),  # a JSON object
        )
    ),
    SAMPLES: pa.schema(
        _required(
            at_ns=pa.int64(),
            host=pa.string(),
            probe=pa.string(),
            metric=pa.string(),
            subject=pa.string(),
            value=pa.float64(),
        )
    ),
    LATENCY: pa.schema(
        _required(
            second=pa.int64(),
            phase=pa.string(),
            op=pa.uint8(),
            outcome=pa.uint8(),
            kind=pa.string(),
            count=pa.int64(),
            hdr=pa.binary(),
            tenant=pa.uint8(),
        )
    ),
    OPERATIONS: pa.schema([*_required(phase=pa.string()), *_operation_fields()]),
    EXHIBITS: pa.schema(
        [
            *_required(phase=pa.string(), reason=pa.string(), request_id=pa.string(), says=pa.string()),
            pa.field("offset", pa.int64()),  # null unless a body was wrong there
            *_required(expected=pa.string(), found=pa.string()),
            *_operation_fields(),
        ]
    ),
}


def stream_name(table: str) -> str:
    """File of a table while the run goes."""
    return f"{table}.arrows"


def parquet_name(table: str) -> str:
    """File of a table once the run is closed."""
    return f"{table}.parquet"


def marked(schema: pa.Schema, run_id: str) -> pa.Schema:
    """The schema with the record's version and the run's id: a file that is moved still knows its run."""
    return schema.with_metadata({VERSION_KEY: str(RECORD_VERSION).encode(), RUN_KEY: run_id.encode()})


OperationArray = np.ndarray[Any, np.dtype[np.void]]  # of OPERATION_DTYPE


def operations_batch(phase: str, operations: OperationArray, schema: pa.Schema) -> pa.RecordBatch:
    """A batch of operations (OPERATION_DTYPE, one dimension)."""
    columns: list[pa.Array[Any]] = [pa.array([phase] * len(operations), pa.string())]
    columns += [pa.array(np.ascontiguousarray(operations[name])) for name in OPERATION_DTYPE.names or ()]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
