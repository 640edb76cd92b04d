"""The target, opened: permitted, reached, trusted, its bucket there. What may be wrong is found before any load."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from maul.core.errors import CampaignError, MaulError
from maul.guard.permit import LOOPBACK_ONLY, Permission, ResolvedTarget, check_targets
from maul.s3.client import make_client
from maul.s3.credentials import Credentials
from maul.s3.endpoint import Endpoint, check_endpoint, resolve
from maul.s3.fetch import origin
from maul.s3.preflight import (
    NOTHING_SPECIAL,
    BucketFacts,
    BucketWishes,
    preflight_bucket,
    preflight_object,
    remove_bucket,
)
from maul.site import Site

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NOTHING_ASKED: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Account:
    """One tenant at the target: its bucket, what the bucket must be able to do, its keys, its credentials."""

    bucket: str
    prefix: str
    credentials: Credentials | None
    """None: anonymous."""
    name: str = ""
    wishes: BucketWishes = NOTHING_SPECIAL

    @property
    def where(self) -> str:
        """Bucket, and whose it is where there are several tenants."""
        return f"bucket {self.bucket}{f' of tenant {self.name}' if self.name else ''}"


@dataclass(frozen=True, slots=True)
class Door:
    """What is needed to open a target: endpoints (all that any phase uses), and an account for each tenant."""

    endpoints: Sequence[Endpoint]
    region: str
    accounts: Sequence[Account]
    permission: Permission = LOOPBACK_ONLY
    """What is asked before every connection of ours."""


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """A target that passed its preflight. `buckets` is empty where only existing objects are hit as they are.

    `addresses`: of each endpoint the address that was permitted and answered; nobody resolves its name again.
    """

    door: Door
    buckets: Mapping[str, BucketFacts]
    ca_pems: Mapping[str, str] = field(repr=False)
    addresses: Mapping[str, str]

    def client(self, endpoint: str, tenant: int = 0, timeout_s: float = 10.0) -> "S3Client":
        """A customer's client for one endpoint, by name."""
        chosen = next(one for one in self.door.endpoints if one.name == endpoint)
        credentials = self.door.accounts[tenant].credentials
        return make_client(chosen, credentials, self.door.region, timeout_s, self.addresses.get(endpoint))

    def made(self, bucket: str) -> bool:
        """Whether this run made the bucket."""
        return bucket in self.buckets and self.buckets[bucket].created


@dataclass(frozen=True, slots=True)
class Admitted:
    """Addresses that were checked: connect to these, and do not resolve again.

    `endpoints`: by the endpoint's name; `pages`: one for each server that is only asked, by `s3.fetch.origin`.
    """

    endpoints: Mapping[str, tuple[str, ...]]
    pages: Mapping[str, str]


def permit(
    endpoints: Sequence[Endpoint], asked: Mapping[str, str] = NOTHING_ASKED, permission: Permission = LOOPBACK_ONLY
) -> Admitted:
    """Resolve every URL and ask the guard. Nothing is sent to the target. PermitError (exit 4), TargetError.

    `asked`: what is not loaded but only asked, health pages and metrics, by name.
    """
    loaded = [resolved(endpoint.name, endpoint.url) for endpoint in endpoints]
    pages = {url: resolved(name, url, page=True) for name, url in asked.items()}
    check_targets([*loaded, *pages.values()], permission=permission)
    return Admitted(
        {target.name: target.addresses for target in loaded},
        {origin(url): target.addresses[0] for url, target in pages.items()},
    )


def asked_of(site: Site) -> dict[str, str]:
    """What is not loaded but only asked, by name: pages of a site's services, those that count for its network, and
    what its vantage points ask."""
    services = {
        f"{service.name}, {what}": url
        for service in site.services
        for what, url in (("health", service.health), ("metrics", service.metrics))
        if url is not None
    }
    return {**services, **_counters_of(site), **_vantages_of(site)}


def _vantages_of(site: Site) -> dict[str, str]:
    lookouts = {
        f"lookout {one.name}": one.prometheus or site.endpoint(one.endpoint).url for one in site.vantage.lookouts
    }
    feeds = {f"feed {one.name}": one.url for one in site.vantage.feeds if one.url is not None}
    return {**lookouts, **feeds}


def _counters_of(site: Site) -> dict[str, str]:
    network = site.network
    if network is None or network.counters is None or network.counters.url is None:
        return {}
    url = network.counters.url
    if "{node}" not in url:
        return {"counters of the network": url}
    nodes = dict.fromkeys(node for link in network.links for node in link.nodes)
    return {f"counters of {node}": url.replace("{node}", node) for node in nodes}


def open_endpoints(door: Door, on_step: Callable[[str], None]) -> OpenTarget:
    """Permit, connection, certificate; the bucket is not looked at."""
    permitted = permit(door.endpoints, permission=door.permission).endpoints
    for endpoint in door.endpoints:
        facts = check_endpoint(endpoint, permitted[endpoint.name])
        secured = f", {facts.tls_version} {facts.cipher}" if facts.tls_version else ""
        on_step(f"{endpoint.name} answers at {endpoint.url} in {facts.connect_ms + facts.tls_ms:.1f} ms{secured}")
    return OpenTarget(
        door,
        {},
        {one.name: _pem(one.ca) for one in door.endpoints if one.ca is not None},
        {name: addresses[0] for name, addresses in permitted.items()},
    )


def open_target(door: Door, on_step: Callable[[str], None]) -> OpenTarget:
    """As `open_endpoints`; then each tenant's credentials and bucket, and one object: written, read, deleted."""
    opened = open_endpoints(door, on_step)
    first = door.endpoints[0].name
    try:
        for tenant, account in enumerate(door.accounts):
            if account.bucket not in opened.buckets:
                facts = preflight_bucket(
                    opened.client(first, tenant), account.bucket, create=True, wishes=account.wishes
                )
                opened = replace(opened, buckets={**opened.buckets, account.bucket: facts})
            for endpoint in door.endpoints:  # a gateway may know of a new bucket later than another
                preflight_object(opened.client(endpoint.name, tenant), account.bucket, account.prefix)
            what = "made" if opened.made(account.bucket) else "is there"
            on_step(f"{account.where} {what}: an object was written, read and deleted")
    except BaseException:  # also Ctrl-C: nothing of ours stays
        take_back_buckets(opened)
        raise
    return opened


def take_back_buckets(target: OpenTarget) -> None:
    """The buckets that we made go again if they are empty; for a run that could not begin. Raises nothing of ours."""
    for tenant, account in enumerate(target.door.accounts):
        if target.made(account.bucket):
            with contextlib.suppress(MaulError):
                remove_bucket(target.client(target.door.endpoints[0].name, tenant), account.bucket)


def resolved(name: str, url: str, *, page: bool = False) -> ResolvedTarget:
    """A URL and where it leads now. Raises as `s3.endpoint.resolve`."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    addresses = resolve(f"{parts.scheme}://{parts.netloc}")
    return ResolvedTarget(name, parts.hostname or "", port, addresses, page)


def _pem(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")  # comments may hold anything
    except OSError as error:
        raise CampaignError(
            f"the certificate authority's file cannot be read: {error.strerror}",
            str(path),
            "name a PEM file in the site's endpoint",
        ) from error
