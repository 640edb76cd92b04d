"""Servers on loopback, in threads: TLS of every sad kind, and an S3 that answers what a test tells it to."""

import contextlib
import datetime
import socket  # noqa: TID251 (servers on loopback)
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

LONG_AGO = datetime.datetime(2020, 1, 2, 3, 4, tzinfo=datetime.UTC)


@contextlib.contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that hands every connection to `serve`; its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                serve(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        with contextlib.suppress(OSError):  # wakes accept
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


@contextlib.contextmanager
def tls(certificate: trustme.LeafCert) -> Iterator[int]:
    """A TLS server that completes the handshake and waits for the client to leave; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    with listening(serve) as port:
        yield port


class S3Server:
    """Answers each request with what `answer(method, path)` gives: status, headers, body. Remembers all."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.answer: Callable[[str, str], tuple[int, dict[str, str], bytes]] = lambda method, path: (
            200,
            {},
            b"",
        )
        self.url = ""

    def fail(self, status: int, code: str, *, extra: str = "", headers: dict[str, str] | None = None) -> None:
        body = f"<Error><Code>{code}</Code><Message>no</Message>{extra}</Error>".encode()
        self.answer = lambda method, path: (status, headers or {}, body)


@contextlib.contextmanager
def s3(certificate: trustme.LeafCert | None = None) -> Iterator[S3Server]:
    fake = S3Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def _all(self) -> None:
            fake.requests.append((self.command, self.path))
            fake.headers.append(dict(self.headers))
            fake.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            status, headers, body = fake.answer(self.command, self.path)
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = _all  # noqa: N815 (the names that the base class calls)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    fake.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def pem(ca: trustme.CA, path: Path) -> Path:
    ca.cert_pem.write_to_path(str(path))
    return path
