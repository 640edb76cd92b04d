"""One small HTTP GET, for health pages and metrics: bounded in size and in *total* time, whatever comes."""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from maul.core.errors import CampaignError, TargetError
from maul.s3.tls import context_for

SIZE_MAX = 4 * 2**20
_CHUNK_BYTES = 64 * 1024
_HEAD_BYTES_MAX = 64 * 1024
_PORTS = {"http": 80, "https": 443}


def fetch(url: str, timeout_s: float, ca: Path | None = None, size_max: int = SIZE_MAX) -> bytes:
    """The body of a GET answered with 200, whole within `timeout_s` and `size_max`. No proxy, no redirect.

    Raises TargetError for everything else, CampaignError for what is no http(s) URL.
    """
    return _fetch(url, timeout_s, context_for(ca) if url.startswith("https:") else None, size_max)


def fetcher(ca: Path | None = None, size_max: int = SIZE_MAX) -> Callable[[str, float], bytes]:
    """`fetch` with its certificate authority bound and read once: what probes are given."""
    contexts: list[ssl.SSLContext] = []

    def bound(url: str, timeout_s: float) -> bytes:
        if url.startswith("https:") and not contexts:
            contexts.append(context_for(ca))
        return _fetch(url, timeout_s, contexts[0] if contexts else None, size_max)

    return bound


def _fetch(url: str, timeout_s: float, context: ssl.SSLContext | None, size_max: int) -> bytes:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise CampaignError(f"{url!r} is not an http(s) URL")
    deadline = time.monotonic() + timeout_s
    address = (parts.hostname, parts.port or _PORTS[parts.scheme])
    # HTTP/1.0: the answer ends with the connection, and is never chunked
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    request = f"GET {path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\nAccept: */*\r\n\r\n"
    try:
        with socket.create_connection(address, timeout=timeout_s) as connection:
            if context is None or parts.scheme == "http":
                answer = _exchange(connection, request.encode("ascii"), deadline, size_max)
            else:
                connection.settimeout(_left(deadline))
                with context.wrap_socket(connection, server_hostname=parts.hostname) as secured:
                    answer = _exchange(secured, request.encode("ascii"), deadline, size_max)
    except TimeoutError:
        raise TargetError(f"no whole answer within {timeout_s:g} s", url, "Look at the service.") from None
    except OSError as error:
        raise TargetError(f"no answer ({error.strerror or error})", url, "Look at the service.") from None
    return _body(answer, url, size_max)


def _exchange(connection: socket.socket, request: bytes, deadline: float, size_max: int) -> bytes:
    connection.settimeout(_left(deadline))
    connection.sendall(request)
    answer = bytearray()
    while len(answer) <= size_max + _HEAD_BYTES_MAX:
        connection.settimeout(_left(deadline))
        chunk = connection.recv(_CHUNK_BYTES)
        if not chunk:
            break
        answer += chunk
    return bytes(answer)


def _left(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


class _Answer:
    """An answer that has come already, in the clothes of the socket that the HTTP parser wants."""

    def __init__(self, answer: bytes) -> None:
        self._file = io.BytesIO(answer)

    def makefile(self, _mode: str) -> io.BytesIO:
        return self._file


def _body(answer: bytes, url: str, size_max: int) -> bytes:
    parser = http.client.HTTPResponse(cast("socket.socket", _Answer(answer)))
    try:
        parser.begin()
        body = parser.read(size_max + 1)
        # a body shorter than its announced length: the peer died in the middle
        whole = not parser.length
    except (http.client.HTTPException, ValueError) as error:
        raise TargetError(f"the answer is not HTTP ({type(error).__name__})", url) from None
    if parser.status != http.client.OK:
        raise TargetError(f"it answers with status {parser.status}", url, "Look at the service.")
    if len(body) > size_max:
        raise TargetError(f"the answer is larger than {size_max} bytes", url)
    if not whole:
        raise TargetError("the answer broke off in the middle", url)
    return body
