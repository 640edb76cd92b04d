"""Plans for the agents of these tests, and somebody who counts what they send."""

import socket  # noqa: TID251 — counts what comes
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from maul.core.clock import SystemClock

CLOCK = SystemClock()


def wait_for(condition, limit_s: float = 15.0) -> bool:
    """Bounded; looks fifty times a second."""
    for _ in range(round(limit_s * 50)):
        if condition():
            return True
        CLOCK.wait(0.02)
    return False


@dataclass
class Counted:
    """Datagrams by sender, and when the last one came (monotonic nanoseconds of this process' clock)."""

    port: int
    by_agent: Counter[str] = field(default_factory=Counter)
    last_ns: dict[str, int] = field(default_factory=dict)


@contextmanager
def counting() -> Iterator[Counted]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
        inbox.bind(("127.0.0.1", 0))
        inbox.settimeout(0.05)
        counted, ended = Counted(inbox.getsockname()[1]), threading.Event()

        def count() -> None:
            while not ended.is_set():
                try:
                    name = inbox.recv(100).decode()
                except TimeoutError:
                    continue
                counted.by_agent[name] += 1
                counted.last_ns[name] = CLOCK.now_ns()

        thread = threading.Thread(target=count)
        thread.start()
        try:
            yield counted
        finally:
            ended.set()
            thread.join(5)


def steady(agent: str, port: int, **changes: Any) -> dict[str, Any]:
    """A plan of agent_process.py."""
    return {"mode": "steady", "agent": agent, "port": port, "rate": 50, "seconds": 2.0, "lease_ms": 3000, **changes}


def gets(url: str, rate: float, seconds: float, **changes: Any) -> dict[str, Any]:
    """An engine plan: an open loop of GETs of objects of a null server of run 1."""
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
            "objects": 100,
            "choice": {"kind": "uniform"},
            "region": "base",
            "start": 0,
            "ephemeral_start": 0,
            "ephemeral_lane": {"index": 0, "count": 1},
            "delete_from": "ephemeral",
            "fixed_key": None,
        },
        "sizes": {"kind": "fixed", "bytes": 4096},
        "mix": [{"op": "get", "weight": 1.0}],
        "multipart": None,
        "list": {"max_keys": 100, "delimiter": None, "pages": 1},
        "arrivals": {
            "mode": "open",
            "process": "even",
            "profile": [{"kind": "constant", "rate": rate, "seconds": seconds}],
            "share": {"first": 0, "width": 1, "wheel": 1},
        },
        "tenant": 0,
        "range_bytes": 1000,
        "multi_delete_keys": 10,
        "retention_s": 60,
        "slowest": 0,
        "connections": {"requests_each": None, "resumption": 1.0},
        "slow": None,
        "timeouts": {"connect_ms": 3000, "request_ms": 5000},
        "limits": {
            "rate_per_s": 10_000.0,
            "bytes_per_s": 1e9,
            "in_flight": 64,
            "requests": 1_000_000,
            "bytes": 1_000_000_000,
            "seconds": seconds + 10.0,
            "connections": 64,
        },
        "lease_ms": 3000,
        "verify": False,
        "record_operations": True,
        "late_ms": 5.0,
    }
    return plan | changes
