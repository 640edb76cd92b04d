"""The permit: who may hit what, how hard, from where, until when; and who agreed to it. One YAML or JSON file.

What is signed is the *canonical body*: the permit without its signatures, as JSON with sorted keys, no spaces, ASCII
only, quantities in base units, keys that hold their default left out. Two files that say the same have the same hash.
"""

import base64
import binascii
import hashlib
import ipaddress
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from maul.campaign.part import Part
from maul.campaign.quantities import Bitrate, BucketName, Flag, Name, Rate, Seconds, Whole

WINDOW_DAYS_MAX = 31
"""Longer is no window: people and networks change."""
SENDER_BITS_MIN = {4: 16, 6: 48}
"""A wider range of senders is no list of generators."""
KEY_PREFIX = "ed25519:"


def address(value: str) -> str:
    """One IP address in its usual spelling. ValueError for everything that could be read in two ways.

    >>> address("10.0.0.1")
    '10.0.0.1'
    """
    try:
        parsed = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("expected an IP address such as 10.0.0.1, not a name, a range or a short form") from None
    if getattr(parsed, "scope_id", None):
        raise ValueError("an address with a scope (%) means another machine on every machine")
    if getattr(parsed, "ipv4_mapped", None):
        raise ValueError("write a mapped address as the IPv4 address that it is")
    if parsed.is_unspecified or parsed.is_multicast or value == "255.255.255.255":
        raise ValueError("this is no address of one machine")
    if str(parsed) != value:
        raise ValueError(f"write the address as {parsed}")
    return value


def sender(value: str) -> str:
    """An IP address or a range (CIDR) of generators; ValueError when it is too broad."""
    if "/" not in value:
        return address(value)
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"expected a range such as 10.0.7.0/24 ({error})") from None
    if str(network) != value:
        raise ValueError(f"write the range as {network}")
    least = SENDER_BITS_MIN[network.version]
    if network.prefixlen < least:
        raise ValueError(f"/{network.prefixlen} is too broad for a list of generators; at least /{least}")
    return value


def _moment(value: str) -> str:
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a moment such as 2026-11-23T08:00:00Z") from None
    if parsed.tzinfo is None:
        raise ValueError("a moment needs its time zone, such as 2026-11-23T08:00:00Z")
    return parsed.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_ns(value: str) -> int:
    """Unix time of a moment as permits write it.

    >>> moment_ns("1970-01-01T00:00:01Z")
    1000000000
    """
    return int(datetime.fromisoformat(value).timestamp()) * 10**9


def moment_of(unix_ns: int) -> str:
    """A moment as permits write it; parts of a second are dropped."""
    return datetime.fromtimestamp(unix_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def raw(text: str, size: int, what: str) -> bytes:
    """The bytes of base64 text, strictly; ValueError that does not repeat it."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != size or base64.b64encode(found).decode() != text:
        raise ValueError(f"expected {what}")
    return found


def _public_key(value: str) -> str:
    what = f"a public key as `maul permit keygen` prints it: {KEY_PREFIX}… (44 characters of base64)"
    if not value.startswith(KEY_PREFIX):
        raise ValueError(f"expected {what}")
    raw(value.removeprefix(KEY_PREFIX), 32, what)
    return value


def _signature(value: str) -> str:
    raw(value, 64, "a signature as `maul permit sign` writes it (88 characters of base64)")
    return value


_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.:-]{0,251}[A-Za-z0-9])?|::1?")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("expected a host name or an IP address")
    return value.lower()


_TEXT = {"type": "string"}
Address = Annotated[str, AfterValidator(address), WithJsonSchema(_TEXT)]
Sender = Annotated[str, AfterValidator(sender), WithJsonSchema(_TEXT)]
Moment = Annotated[str, AfterValidator(_moment), WithJsonSchema(_TEXT)]
PublicKey = Annotated[str, AfterValidator(_public_key), WithJsonSchema(_TEXT)]
Signed = Annotated[str, AfterValidator(_signature), WithJsonSchema(_TEXT)]
HostText = Annotated[str, AfterValidator(_host), WithJsonSchema(_TEXT)]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Caps(Part):
    """The most that one target gets, at any moment, from all generators together."""

    requests_per_s: Rate = Field(alias="requests")
    """HTTP requests per second."""
    bits_per_s: Bitrate = Field(alias="bandwidth")
    """Bits per second on the wire, both directions together."""
    connections_per_s: Rate = Field(alias="new_connections")
    """New connections per second."""
    in_flight: Whole = Field(ge=1, le=10_000_000)
    """Requests that were sent and not yet answered."""


class Target(Part):
    """One endpoint that may be loaded, and the only addresses that its name may lead to."""

    name: Name
    """As the site calls it."""
    host: HostText
    port: Whole = Field(ge=1, le=65_535)
    addresses: tuple[Address, ...] = Field(min_length=1, max_length=16)
    caps: Caps


class Page(Part):
    """A server whose health pages and metrics may be read, or that a lookout asks: some small GETs per
    second, never load."""

    host: HostText
    port: Whole = Field(ge=1, le=65_535)
    addresses: tuple[Address, ...] = Field(min_length=1, max_length=16)


class Sending(Part):
    """Generators that may send. Where both a name and addresses stand, both must be true."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$")
    """Host name, or the name of the host in the site."""
    addresses: tuple[Sender, ...] = Field(default=(), max_length=64)
    """Source addresses, or ranges of them."""
    owner: Line
    """Who lends them."""

    @model_validator(mode="after")
    def _says_something(self) -> "Sending":
        if self.name is None and not self.addresses:
            raise ValueError("a generator needs a name or addresses")
        return self


class LinkCap(Part):
    """The most that the load may put on one direction of a link."""

    link: str = Field(min_length=3, max_length=255)
    """As the site names a direction: `tor-r1:up0>spine:dn-r1`."""
    bits_per_s: Bitrate = Field(alias="bandwidth")


class Bucket(Part):
    """Where objects may be written and deleted."""

    bucket: BucketName
    prefix: str = Field(default="maul/", max_length=512)
    """Of every key."""


class Window(Part):
    """When it holds."""

    not_before: Moment
    not_after: Moment

    @model_validator(mode="after")
    def _is_one(self) -> "Window":
        seconds = (self.not_after_ns - self.not_before_ns) / 1e9
        if seconds <= 0:
            raise ValueError("not_after must come after not_before")
        if seconds > WINDOW_DAYS_MAX * 86_400:
            raise ValueError(f"a permit holds for {WINDOW_DAYS_MAX} days at most; make a new one later")
        return self

    @property
    def not_before_ns(self) -> int:
        """Unix time in nanoseconds."""
        return moment_ns(self.not_before)

    @property
    def not_after_ns(self) -> int:
        """Unix time in nanoseconds."""
        return moment_ns(self.not_after)


class Approver(Part):
    """Who must have signed, and with which key."""

    name: Name
    key: PublicKey


class Contact(Part):
    """Whom to call."""

    name: Line
    reach: Line
    """Telephone, chat, mail."""


class Consent(Part):
    """How the target proves that it agrees, and how often it is asked while a run goes."""

    bucket: BucketName | None = None
    """Where the object with the permit's hash lies; the first bucket of the permit when absent."""
    every_s: Seconds = Field(default=10.0, alias="every", ge=1.0, le=60.0)
    """How often it is asked again."""
    grace_s: Seconds = Field(default=60.0, alias="grace", le=600.0)
    """For how long the target may be unable to answer, under the very load of the run, before the run stops."""


class Signature(Part):
    """One approver's signature."""

    by: Name
    signature: Signed


class Permit(Part):
    """A permit."""

    version: Literal[1]
    """The version of this format."""
    name: Name
    purpose: str = Field(default="", max_length=2000)
    """What for, in words."""
    targets: tuple[Target, ...] = Field(min_length=1, max_length=255)
    pages: tuple[Page, ...] = Field(default=(), max_length=1000)
    generators: tuple[Sending, ...] = Field(min_length=1, max_length=1000)
    links: tuple[LinkCap, ...] = Field(default=(), max_length=10_000)
    buckets: tuple[Bucket, ...] = Field(min_length=1, max_length=64)
    window: Window
    retrigger: Flag = False
    """A protection (DDoS mitigation) that has acted may be triggered again."""
    resume: Flag = False
    """Once a protection that has acted lets us pass again, half of that load or less may go on."""
    faults: Flag = False
    """Parts of the target may be hurt."""
    contacts: tuple[Contact, ...] = Field(min_length=1, max_length=50)
    approvers: tuple[Approver, ...] = Field(min_length=1, max_length=20)
    """Each of them must have signed."""
    consent: Consent = Consent()
    signatures: tuple[Signature, ...] = Field(default=(), max_length=20)

    @model_validator(mode="after")
    def _nothing_twice(self) -> "Permit":
        for what, found in (
            ("targets", [target.name for target in self.targets]),
            ("targets", [(target.host, target.port) for target in self.targets]),
            ("links", [link.link for link in self.links]),
            ("approvers", [approver.name for approver in self.approvers]),
            ("approvers", [approver.key for approver in self.approvers]),
            ("signatures", [signature.by for signature in self.signatures]),
        ):
            twice = next((one for place, one in enumerate(found) if one in found[:place]), None)
            if twice is not None:
                raise ValueError(f"{what}: {twice} stands there twice")
        return self

    @property
    def consent_bucket(self) -> str:
        """The bucket of the object that proves consent."""
        return self.consent.bucket or self.buckets[0].bucket


def canonical_body(permit: Permit) -> bytes:
    """What is signed; see the page above."""
    body = permit.model_dump(mode="json", by_alias=True, exclude={"signatures"}, exclude_defaults=True)
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def hash_of(permit: Permit) -> str:
    """SHA-256 of the canonical body, in hex: what the target proves."""
    return hashlib.sha256(canonical_body(permit)).hexdigest()


def as_data(permit: Permit) -> dict[str, Any]:
    """The permit as plain data, as it stands in a file."""
    return permit.model_dump(mode="json", by_alias=True, exclude_defaults=True)
