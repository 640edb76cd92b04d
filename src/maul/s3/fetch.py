"""One small HTTP GET, for health pages and metrics: bounded in size and in *total* time, whatever comes."""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from maul.core.errors import CampaignError, TargetError
from maul.s3.tls import context_for

SIZE_MAX = 4 * 2**20
_CHUNK_BYTES = 64 * 1024
_HEAD_BYTES_MAX = 64 * 1024
_LOOK = "Look at the service."
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is reached: trusted by `ca`, at `address` whatever its name may mean by now, verified as
    `server_name`. None: the system's authorities, what the name leads to, the URL's host."""

    ca: Path | None = None
    address: str | None = None
    server_name: str | None = None


PLAIN = Way()


def fetch(url: str, timeout_s: float, way: Way = PLAIN, size_max: int = SIZE_MAX) -> bytes:
    """The body of a GET answered with 200, whole within `timeout_s` and `size_max`. No proxy, no redirect.

    Raises TargetError for everything else, CampaignError for what is no http(s) URL.
    """
    answer = _Request("GET", url, timeout_s, size_max).send(way, _context(url, way))
    return _body(answer, url, size_max)


def fetcher(addresses: Mapping[str, str], ca: Path | None = None) -> Callable[[str, float], bytes]:
    """`fetch` as probes are given it: each server only at the address that was checked for it, by `origin` of its URL;
    the authority is read once.

    The function raises TargetError for a server that nobody checked.
    """
    contexts: list[ssl.SSLContext] = []

    def bound(url: str, timeout_s: float) -> bytes:
        address = addresses.get(origin(url))
        if address is None:
            raise TargetError("nobody checked whether it may be asked", url, "name it in the site")
        if url.startswith("https:") and not contexts:
            contexts.append(context_for(ca))
        answer = _Request("GET", url, timeout_s, SIZE_MAX).send(Way(ca, address), contexts[0] if contexts else None)
        return _body(answer, url, SIZE_MAX)

    return bound


def origin(url: str) -> str:
    """Scheme, host and port of a URL, as `fetcher` wants them.

    >>> origin("http://10.0.0.1:9100/metrics?x=1")
    'http://10.0.0.1:9100'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def head(url: str, timeout_s: float, way: Way = PLAIN) -> tuple[int, Mapping[str, str]]:
    """Status and headers (names in lower case) of a HEAD, whatever the status. Raises as `fetch` does."""
    answer = _Request("HEAD", url, timeout_s, 0).send(way, _context(url, way))
    parser = http.client.HTTPResponse(cast("socket.socket", _Answer(answer)), method="HEAD")
    try:
        parser.begin()
    except (http.client.HTTPException, ValueError) as error:
        raise TargetError(f"the answer is not HTTP ({type(error).__name__})", url) from None
    return parser.status, {name.lower(): value for name, value in parser.getheaders()}


def _context(url: str, way: Way) -> ssl.SSLContext | None:
    return context_for(way.ca) if url.startswith("https:") else None


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    timeout_s: float
    size_max: int

    def send(self, way: Way, context: ssl.SSLContext | None) -> bytes:
        """Everything that comes back."""
        parts = urlsplit(self.url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise CampaignError(f"{self.url!r} is not an http(s) URL")
        deadline = time.monotonic() + self.timeout_s
        address = (way.address or parts.hostname, parts.port or _PORTS[parts.scheme])
        # HTTP/1.0: the answer ends with the connection, and is never chunked
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        request = f"{self.method} {path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\nAccept: */*\r\n\r\n".encode("ascii")
        try:
            with socket.create_connection(address, timeout=self.timeout_s) as connection:
                if context is None or parts.scheme == "http":
                    return _exchange(connection, request, deadline, self.size_max)
                connection.settimeout(_left(deadline))
                name = way.server_name or parts.hostname
                with context.wrap_socket(connection, server_hostname=name) as secured:
                    return _exchange(secured, request, deadline, self.size_max)
        except TimeoutError:
            raise TargetError(f"no whole answer within {self.timeout_s:g} s", self.url, _LOOK) from None
        except OSError as error:
            raise TargetError(f"no answer ({error.strerror or error})", self.url, _LOOK) from None


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
