"""How a request is made, and how its connection is used."""

from typing import Literal

from pydantic import Field

from maul.campaign.part import Part
from maul.campaign.quantities import Bandwidth, Ratio, Whole

PayloadMode = Literal["unsigned", "signed", "chunked", "unsigned-trailer"]
ChecksumName = Literal["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]


class Checksum(Part):
    """A checksum that goes with every written body."""

    algorithm: ChecksumName
    """Which one the target shall check."""
    place: Literal["header", "trailer"] = Field(default="header", alias="in")
    """`header`: before the body. `trailer`: behind it, which needs a chunked payload."""


class Requests(Part):
    """How every request is made."""

    payload: PayloadMode = "unsigned"
    """What signatures cover of a body: nothing (TLS does), its SHA-256, chunk by chunk, or a trailing checksum."""
    addressing: Literal["path", "virtual"] = "path"
    """`path`: host/bucket/key. `virtual`: bucket.host/key, which needs a host name."""
    checksum: Checksum | None = None
    """None: bodies carry no checksum header."""
    encryption: Literal["sse-s3", "sse-c"] | None = None
    """Encryption at rest: with the target's keys, or with a key of ours (HTTPS only). None: not asked for."""


class Connections(Part):
    """How connections are used."""

    requests_each: Whole | None = Field(default=None, ge=1, le=10**9)
    """A connection is closed after so many requests; absent: kept as long as the target keeps it."""
    resumption: Ratio = 1.0
    """The part of new TLS connections that may resume an earlier session; 0: every handshake is a full one."""


class Slow(Part):
    """Clients that are slow on purpose."""

    readers: Ratio = 0.0
    """The part of the reads whose client takes its answer slowly …"""
    read_rate_bytes_per_s: Bandwidth = Field(default=10_000, alias="read_rate")
    """… and how slowly."""
    writers: Ratio = 0.0
    """The part of the writes whose client sends its body slowly …"""
    write_rate_bytes_per_s: Bandwidth = Field(default=10_000, alias="write_rate")
    """… and how slowly."""
