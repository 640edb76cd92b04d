"""How it is sent and what it may never exceed."""

from typing import Literal

from pydantic import Field

from maul.campaign.part import Part
from maul.campaign.quantities import Bandwidth, Rate, Ratio, Seconds, Size, Whole

SHARDS_MAX = 255  # the shard has one byte in every record


class Load(Part):
    """How the generator behaves."""

    request_timeout_s: Seconds = Field(default=5.0, alias="request_timeout", le=3600)
    """From the due time to the end of the answer; after that the operation is given up and counted."""
    connect_timeout_s: Seconds = Field(default=3.0, alias="connect_timeout", le=3600)
    """For a new connection, TLS included."""
    connections: Whole = Field(default=128, ge=1, le=65_535)
    """Connections at most, over all endpoints."""
    in_flight: Whole = Field(default=128, ge=1, le=65_535)
    """Requests in flight at most; further arrivals wait, and their latency counts from the due time."""
    shards: Literal["auto"] | Whole = "auto"
    """Generator threads. `auto`: one for a modest rate, one per core for a high one."""


class Limits(Part):
    """Hard ceilings. The plan is refused when it exceeds one; the engine and the guard hold them again at run time."""

    rate_per_s: Rate = Field(default=2000.0, alias="rate")
    """Operations per second."""
    bandwidth_bytes_per_s: Bandwidth = Field(default=200_000_000, alias="bandwidth")
    """Bytes of bodies per second, both directions together."""
    in_flight: Whole = Field(default=256, ge=1, le=65_535)
    """Requests in flight."""
    requests: Whole = Field(default=500_000, ge=1, le=10**12)
    """HTTP requests of the whole run."""
    total_bytes: Size = Field(default=20_000_000_000, alias="bytes")
    """Bytes of bodies of the whole run, both directions together."""
    duration_s: Seconds = Field(default=600.0, alias="duration")
    """Length of the whole run."""
    error_ratio: Ratio = 0.6
    """The run stops when more than this part of the operations of a window is not answered well."""
    error_window_s: Seconds = Field(default=10.0, alias="error_window")
    """That window."""
    disk_free_bytes: Size = Field(default=256 * 2**20, alias="disk_free")
    """The run stops when the disk that holds its record has less room than this."""
