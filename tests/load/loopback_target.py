"""A loopback server for the tests of load."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
