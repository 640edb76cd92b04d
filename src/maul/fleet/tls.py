"""TLS on both sides of every connection of the fleet, and who may talk to whom.

dask checks that a certificate is of our authority, not whose it is. Here the handshake itself fails when the other
side is nobody who has business with us: no byte of a message is read before that is known.
"""

import ssl
from collections.abc import Callable
from typing import Any

from distributed.security import Security

from maul.fleet.certificates import CONDUCTOR, SCHEDULER, Folder, Identity

_AGENT = "maul://agent/"


def peer_uri(certificate: Any) -> str:
    """The one URI of a peer's certificate (as `ssl.getpeercert` gives it); empty when there is none."""
    found = [value for kind, value in (certificate or {}).get("subjectAltName", ()) if kind == "URI"]
    return str(found[0]) if len(found) == 1 else ""


def peer_agent(certificate: Any) -> str | None:
    """The agent's name in a peer's certificate; None when it is no agent."""
    uri = peer_uri(certificate)
    return uri.removeprefix(_AGENT) if uri.startswith(_AGENT) else None


def _is_agent(uri: str) -> bool:
    return uri.startswith(_AGENT)


def _may_answer(us: Identity) -> Callable[[str], bool]:
    """Whom we may find at the other end of a connection that we open."""
    if us.role == "agent":
        return lambda uri: uri == SCHEDULER.uri
    if us.role == "scheduler":
        return lambda uri: _is_agent(uri) or uri == SCHEDULER.uri
    return lambda uri: _is_agent(uri) or uri == SCHEDULER.uri


def _may_call(us: Identity) -> Callable[[str], bool]:
    """Who may open a connection to us."""
    if us.role == "agent":
        return lambda uri: uri in (CONDUCTOR.uri, SCHEDULER.uri)
    return lambda uri: _is_agent(uri) or uri in (CONDUCTOR.uri, SCHEDULER.uri)


def _socket_class(allowed: Callable[[str], bool]) -> type[ssl.SSLSocket]:
    class NamedSocket(ssl.SSLSocket):
        """A socket whose handshake fails when the other side is not allowed here."""

        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            uri = peer_uri(self.getpeercert())
            if not allowed(uri):
                raise ssl.SSLError(ssl.SSL_ERROR_SSL, f"{uri or 'a certificate without a name'} has no business here")

    return NamedSocket


class FleetSecurity(Security):  # type: ignore[misc]  # dask has no types
    """The certificates of one member of the fleet, as dask wants them."""

    def __init__(self, folder: Folder, us: Identity) -> None:
        """MachineError when the files are not in order."""
        folder.check(us)
        pair = {
            f"tls_{role}_{part}": str(path)
            for role in ("client", "scheduler", "worker")
            for part, path in (("cert", folder.certificate(us)), ("key", folder.key(us)))
        }
        super().__init__(
            require_encryption=True, tls_ca_file=str(folder.ca), tls_min_version=ssl.TLSVersion.TLSv1_3, **pair
        )
        self.us = us

    def get_connection_args(self, role: str) -> dict[str, Any]:
        """For connections that we open."""
        args: dict[str, Any] = super().get_connection_args(role)
        args["ssl_context"].sslsocket_class = _socket_class(_may_answer(self.us))
        return args

    def get_listen_args(self, role: str) -> dict[str, Any]:
        """For connections that come in."""
        args: dict[str, Any] = super().get_listen_args(role)
        args["ssl_context"].sslsocket_class = _socket_class(_may_call(self.us))
        return args
