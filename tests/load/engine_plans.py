"""Engine plans and a loopback server for the tests of load."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BODY = b"x" * 100


@dataclass
class Target:
    """A server that answers every GET with BODY, as soon as its gate is open."""

    url: str
    gate: threading.Event = field(default_factory=threading.Event)
    requests: list[str] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Target]:
    target: Target

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def do_GET(self) -> None:
            target.requests.append(self.path)
            target.gate.wait(20)
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # an aborted engine closes its connections
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    target = Target(f"http://127.0.0.1:{server.server_address[1]}")
    target.gate.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield target
    finally:
        target.gate.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def engine_plan(url: str, **changes: Any) -> dict[str, Any]:
    """A closed loop of GETs of one object."""
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
    return plan | changes
