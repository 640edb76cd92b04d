"""TLS towards the target: whom to trust, and in words what went wrong."""

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

from maul.core.errors import CampaignError, TargetError
from maul.s3.certificate import Certificate

# X509_V_ERR_…, openssl x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUER = {2, 18, 19, 20, 21}
_WRONG_NAME = {62, 63, 64}
# the peer answered the handshake with something that is no TLS record
_NO_TLS = {
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
}


def context_for(ca: Path | None, pem: str | None = None) -> ssl.SSLContext:
    """A context that verifies chain, name and dates: against a CA file, its text, or the system's. TLS 1.2 or newer.

    Raises CampaignError when the CA is not usable.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca is None or pem else str(ca), cadata=pem)
    except (OSError, ssl.SSLError) as error:
        why = "it holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise CampaignError(
            f"the CA file cannot be used: {why}", str(ca or ""), "Name the PEM file of the target's CA in the site."
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def explain_tls_error(error: OSError, where: str, address: tuple[str, int], name: str, timeout_s: float) -> TargetError:
    """What a failed handshake means. Connects once more, unverified, to read the certificate."""
    if isinstance(error, ssl.SSLCertVerificationError):
        certificate = _served(address, name, timeout_s)
        what, cure = _explain_certificate(error, certificate, name)
        return TargetError(what, where, cure)
    if isinstance(error, TimeoutError):
        return TargetError(
            f"it accepts connections, but the TLS handshake got no answer within {timeout_s:g} s",
            where,
            "The service hangs, or the port is not TLS. Look at the service.",
        )
    if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
        return TargetError("it does not speak TLS", where, "Write http:// if that is meant, or correct the port.")
    if isinstance(error, (ssl.SSLEOFError, ConnectionError)):
        return TargetError(
            "it closed the connection during the TLS handshake",
            where,
            "It may have no certificate for this name, or speak no TLS at all. Look at the service's log.",
        )
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return TargetError(f"the TLS handshake failed ({reason})", where, "Look at the service's TLS settings.")


def _explain_certificate(
    error: ssl.SSLCertVerificationError, certificate: Certificate | None, name: str
) -> tuple[str, str]:
    code = error.verify_code
    if code == _EXPIRED:
        when = f" on {_day(certificate.not_after_ns)}" if certificate else ""
        return f"its certificate expired{when}", "Renew it. (Or is this machine's clock ahead?)"
    if code == _NOT_YET_VALID:
        when = f" before {_day(certificate.not_before_ns)}" if certificate else ""
        return f"its certificate is not valid{when}", "Wait, renew it, or correct this machine's clock."
    if code in _UNKNOWN_ISSUER:
        who = "is self-signed" if certificate and certificate.self_signed else "is of a CA that is not trusted here"
        issuer = f" (issuer {certificate.issuer})" if certificate else ""
        return (
            f"its certificate {who}{issuer}",
            "Name the PEM file of its CA as `ca` of the endpoint in the site.",
        )
    if code in _WRONG_NAME:
        names = f": it is for {certificate.names_text()}" if certificate else ""
        return (
            f"its certificate is not for {name}{names}",
            "Use a URL with a name that it carries, or set `server_name` of the endpoint in the site.",
        )
    return (
        f"its certificate cannot be trusted ({error.verify_message})",
        "Look at the certificate and its chain.",
    )


def _served(address: tuple[str, int], name: str, timeout_s: float) -> Certificate | None:
    """The certificate that is served, whoever signed it; None when it cannot be had."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only to be able to say what is wrong with it
    try:
        with (
            socket.create_connection(address, timeout=timeout_s) as connection,
            context.wrap_socket(connection, server_hostname=name) as secured,
        ):
            return Certificate.parse(secured.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError):
        return None


def _day(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%Y-%m-%d %H:%M} UTC"
