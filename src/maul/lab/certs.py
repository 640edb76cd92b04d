"""The lab's own certificate authority and the balancer's certificate."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import trustme


@dataclass(frozen=True)
class Certificates:
    """PEM texts. `server` is key and chain in one, as HAProxy wants it."""

    ca: bytes
    ca_key: bytes
    server: bytes


def make_certificates(*addresses: str, now: datetime | None = None) -> Certificates:
    """A new authority and a certificate for IP addresses, good for a year."""
    authority = trustme.CA(organization_name="maul lab")
    now = now or datetime.now(UTC)
    return Certificates(
        ca=authority.cert_pem.bytes(),
        ca_key=authority.private_key_pem.bytes(),
        server=issue(
            authority.cert_pem.bytes(), authority.private_key_pem.bytes(), addresses, now + timedelta(days=365)
        ),
    )


def issue(ca: bytes, ca_key: bytes, addresses: Sequence[str], not_after: datetime) -> bytes:
    """Another certificate of the same authority: key and chain.

    With `not_after` in the past it is an expired one.
    """
    authority = trustme.CA.from_pem(ca, ca_key)
    # A certificate that ended before it began would fail for the wrong reason.
    not_before = min(datetime.now(UTC), not_after) - timedelta(days=1)
    leaf = authority.issue_cert(*addresses, organization_name="maul lab", not_before=not_before, not_after=not_after)
    return leaf.private_key_and_cert_chain_pem.bytes()
