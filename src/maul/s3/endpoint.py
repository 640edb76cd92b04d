"""One door of the target: where it is, and whether it can be reached and trusted."""

import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from maul.core.errors import CampaignError, TargetError
from maul.s3.certificate import Certificate
from maul.s3.tls import context_for, explain_tls_error

_ADDRESSES_MAX = 16
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL to talk to. `ca`: PEM file (None: the system's); `server_name`: verified instead of its host."""

    name: str
    url: str
    ca: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """What a preflight connection to the first address saw. TLS fields are empty for plain http."""

    endpoint: str
    addresses: tuple[str, ...]
    connect_ms: float
    tls_ms: float
    tls_version: str = ""
    cipher: str = ""
    issuer: str = ""
    expires_ns: int = 0


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of an endpoint's URL."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> "Url":
        """Raises CampaignError when it is not `http(s)://host[:port]`."""
        cure = "Write it as https://host or https://host:port."
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise CampaignError(f"{url!r} is not an endpoint's URL: {error}", cure=cure) from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise CampaignError(f"{url!r} is not an endpoint's URL", cure=cure)
        if parts.username is not None or parts.password is not None:
            # not quoted: it may be a secret
            raise CampaignError(
                "an endpoint's URL must not carry a user or password",
                parts.hostname,
                "Name a credentials file in the site.",
            )
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise CampaignError(f"{url!r} has more than a host and a port", cure=cure)
        return cls(parts.scheme, parts.hostname, port or _PORTS[parts.scheme])


def resolve(url: str) -> tuple[str, ...]:
    """The IP addresses that a URL leads to, in the resolver's order.

    Raises CampaignError for a bad URL, TargetError for a name that nobody knows.
    """
    target = Url.parse(url)
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise TargetError(
            f"the name {target.host} has no address ({why})",
            url,
            "Check the name, and this machine's resolver.",
        ) from None
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return tuple(addresses)[:_ADDRESSES_MAX]


def source_address(address: str, port: int) -> str | None:
    """The address that this machine would send from to there; None without a route. Sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, port))  # of a datagram socket: only the route is looked up
        except OSError:
            return None
        return str(probe.getsockname()[0])


def machine_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def check_endpoint(
    endpoint: Endpoint, addresses: tuple[str, ...] | None = None, timeout_s: float = 5.0
) -> EndpointFacts:
    """Connect once to every address and verify TLS. Sends no request.

    `addresses`: those that the caller has checked; None: all that the name leads to now.
    Raises TargetError, or CampaignError for a bad URL or CA file; each says what to do.
    """
    url = Url.parse(endpoint.url)
    context = context_for(endpoint.ca) if url.scheme == "https" else None
    addresses = addresses or resolve(endpoint.url)
    seen = [_Check(endpoint, url, address, context, timeout_s).run(addresses) for address in addresses]
    return seen[0]


@dataclass(frozen=True, slots=True)
class _Check:
    """One connection to one address."""

    endpoint: Endpoint
    url: Url
    address: str
    context: ssl.SSLContext | None
    timeout_s: float

    def run(self, addresses: tuple[str, ...]) -> EndpointFacts:
        began = time.monotonic()
        try:
            connection = socket.create_connection((self.address, self.url.port), timeout=self.timeout_s)
        except OSError as error:
            raise _unreachable(error, self._where(), self.url.port, self.timeout_s) from None
        connect_ms = (time.monotonic() - began) * 1000
        with connection:
            if self.context is None:
                return EndpointFacts(self.endpoint.name, addresses, connect_ms, 0.0)
            name = self.endpoint.server_name or self.url.host
            began = time.monotonic()
            try:
                with self.context.wrap_socket(connection, server_hostname=name) as secured:
                    tls_ms = (time.monotonic() - began) * 1000
                    return _facts(self.endpoint.name, addresses, (connect_ms, tls_ms), secured)
            except OSError as error:  # ssl.SSLError and TimeoutError are among them
                peer = (self.address, self.url.port)
                raise explain_tls_error(error, self._where(), peer, name, self.timeout_s) from None

    def _where(self) -> str:
        at = "" if self.address == self.url.host else f" at {self.address}"
        return f"{self.endpoint.name} ({self.endpoint.url}){at}"


def _facts(
    name: str, addresses: tuple[str, ...], took_ms: tuple[float, float], secured: ssl.SSLSocket
) -> EndpointFacts:
    certificate = Certificate.parse(secured.getpeercert(binary_form=True) or b"")
    cipher = secured.cipher()
    return EndpointFacts(
        endpoint=name,
        addresses=addresses,
        connect_ms=took_ms[0],
        tls_ms=took_ms[1],
        tls_version=secured.version() or "",
        cipher=cipher[0] if cipher else "",
        issuer=certificate.issuer,
        expires_ns=certificate.not_after_ns,
    )


def _unreachable(error: OSError, where: str, port: int, timeout_s: float) -> TargetError:
    if isinstance(error, ConnectionRefusedError):
        return TargetError(
            f"nothing listens on port {port}: the connection was refused",
            where,
            "Start the service, or correct host and port.",
        )
    if isinstance(error, TimeoutError):
        return TargetError(
            f"no answer to a connection attempt within {timeout_s:g} s",
            where,
            "The host is down, hangs, or a firewall drops the packets. Check from this machine.",
        )
    return TargetError(
        f"no connection ({error.strerror or error})",
        where,
        "Check the address and the route from this machine.",
    )
