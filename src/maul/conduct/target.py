"""The target, opened: permitted, reached, trusted, its bucket there. What may be wrong is found before any load."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from maul.core.errors import CampaignError, MaulError
from maul.guard.permit import ResolvedTarget, check_targets
from maul.s3.client import make_client
from maul.s3.credentials import Credentials
from maul.s3.endpoint import Endpoint, check_endpoint, resolve
from maul.s3.preflight import BucketFacts, preflight_bucket, preflight_object, remove_bucket
from maul.site import Site

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NOTHING_ASKED: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Door:
    """What is needed to open a target: endpoints (all that any phase uses), bucket, credentials (None: anonymous)."""

    endpoints: Sequence[Endpoint]
    bucket: str
    region: str
    credentials: Credentials | None


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """A target that passed its preflight. `bucket` is None where only existing objects are hit as they are."""

    door: Door
    bucket: BucketFacts | None
    ca_pems: Mapping[str, str] = field(repr=False)

    def client(self, endpoint: str, timeout_s: float = 10.0) -> "S3Client":
        """A customer's client for one endpoint, by name."""
        chosen = next(one for one in self.door.endpoints if one.name == endpoint)
        return make_client(chosen, self.door.credentials, self.door.region, timeout_s)


def permit(endpoints: Sequence[Endpoint], asked: Mapping[str, str] = NOTHING_ASKED) -> None:
    """Resolve every URL and ask the guard. Nothing is sent to the target. PermitError (exit 4), TargetError.

    `asked`: what is not loaded but only asked, health pages and metrics, by name.
    """
    urls = [(endpoint.name, endpoint.url) for endpoint in endpoints]
    check_targets([_resolved(name, url) for name, url in [*urls, *asked.items()]])


def asked_of(site: Site) -> dict[str, str]:
    """The pages of a site's services that probes and faults look at, by name."""
    return {
        f"{service.name}, {what}": url
        for service in site.services
        for what, url in (("health", service.health), ("metrics", service.metrics))
        if url is not None
    }


def open_endpoints(door: Door, on_step: Callable[[str], None]) -> OpenTarget:
    """Permit, connection, certificate; the bucket is not looked at."""
    permit(door.endpoints)
    for endpoint in door.endpoints:
        facts = check_endpoint(endpoint)
        secured = f", {facts.tls_version} {facts.cipher}" if facts.tls_version else ""
        on_step(f"{endpoint.name} answers at {endpoint.url} in {facts.connect_ms + facts.tls_ms:.1f} ms{secured}")
    return OpenTarget(door, None, {one.name: _pem(one.ca) for one in door.endpoints if one.ca is not None})


def open_target(door: Door, prefix: str, on_step: Callable[[str], None]) -> OpenTarget:
    """As `open_endpoints`; then credentials, bucket, and one object under our prefix: written, read, deleted."""
    opened = open_endpoints(door, on_step)
    client = opened.client(door.endpoints[0].name)
    bucket = preflight_bucket(client, door.bucket, create=True)
    opened = replace(opened, bucket=bucket)
    try:
        for endpoint in door.endpoints:  # a gateway may know of a new bucket later than another
            preflight_object(opened.client(endpoint.name), door.bucket, prefix)
    except BaseException:  # also Ctrl-C: nothing of ours stays
        take_back_bucket(opened)
        raise
    on_step(f"bucket {door.bucket} {'made' if bucket.created else 'is there'}: an object was written, read and deleted")
    return opened


def take_back_bucket(target: OpenTarget) -> None:
    """The bucket goes again if we made it and it is empty; for a run that could not begin. Raises nothing of ours."""
    if target.bucket is not None and target.bucket.created:
        with contextlib.suppress(MaulError):
            remove_bucket(target.client(target.door.endpoints[0].name), target.door.bucket)


def _resolved(name: str, url: str) -> ResolvedTarget:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return ResolvedTarget(name, parts.hostname or "", port, resolve(f"{parts.scheme}://{parts.netloc}"))


def _pem(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")  # comments may hold anything
    except OSError as error:
        raise CampaignError(
            f"the certificate authority's file cannot be read: {error.strerror}",
            str(path),
            "name a PEM file in the site's endpoint",
        ) from error
