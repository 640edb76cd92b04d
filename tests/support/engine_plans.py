"""Engine plans: one, and what tests change of it."""

from typing import Any

_PARTLY = {"s3", "keyspace", "timeouts", "limits"}


def engine_plan(url: str, **changes: Any) -> dict[str, Any]:
    """A closed loop of GETs of one object, changed as it is said; of `_PARTLY`, only the keys that are given."""
    plan: dict[str, Any] = {
        "version": 3,
        "run": 1,
        "seed": 1,
        "epoch": 1,
        "shards": 1,
        "pin": None,
        "endpoints": [{"name": "one", "url": url, "ca_pem": None, "server_name": None, "address": None}],
        "s3": {
            "bucket": "bucket",
            "prefix": "maul/run/",
            "region": "us-east-1",
            "access_key": None,
            "secret_key": None,
            "session_token": None,
            "payload": "unsigned",
            "addressing": "path",
            "checksum": None,
            "encryption": None,
        },
        "keyspace": {
            "objects": 1,
            "choice": {"kind": "uniform"},
            "region": "base",
            "start": 0,
            "ephemeral_start": 0,
            "ephemeral_lane": {"index": 0, "count": 1},
            "delete_from": "ephemeral",
            "fixed_key": "thing",
        },
        "sizes": {"kind": "fixed", "bytes": 100},
        "mix": [{"op": "get", "weight": 1.0}],
        "multipart": None,
        "list": {"max_keys": 100, "delimiter": None, "pages": 1},
        "arrivals": {"mode": "closed", "concurrency": 2, "seconds": 20.0, "requests": 50, "think": None},
        "tenant": 0,
        "range_bytes": 1000,
        "multi_delete_keys": 10,
        "retention_s": 60,
        "slowest": 0,
        "connections": {"requests_each": None, "resumption": 1.0},
        "slow": None,
        "timeouts": {"connect_ms": 3000, "request_ms": 10_000},
        "limits": {
            "rate_per_s": 100_000.0,
            "bytes_per_s": 1e9,
            "in_flight": 64,
            "requests": 1_000_000,
            "bytes": 1_000_000_000,
            "seconds": 30.0,
            "connections": 64,
        },
        "lease_ms": None,
        "verify": False,
        "record_operations": True,
        "late_ms": 5.0,
    }
    for name in _PARTLY & changes.keys():
        changes[name] = plan[name] | changes[name]
    return plan | changes


def gets(url: str, rate: float, seconds: float, **changes: Any) -> dict[str, Any]:
    """An open loop of GETs of a hundred objects of a null server of run 1, under a lease."""
    profile = [{"kind": "constant", "rate": rate, "seconds": seconds}]
    usual: dict[str, Any] = {
        "keyspace": {"objects": 100, "fixed_key": None},
        "sizes": {"kind": "fixed", "bytes": 4096},
        "arrivals": {
            "mode": "open",
            "process": "even",
            "profile": profile,
            "share": {"first": 0, "width": 1, "wheel": 1},
        },
        "timeouts": {"request_ms": 5000},
        "limits": {"rate_per_s": 10_000.0, "seconds": seconds + 10.0},
        "lease_ms": 3000,
    }
    return engine_plan(url, **usual | changes)
