"""PortCounters: what one port of a switch or host counted, whoever read it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortCounters:
    """Totals since the port came up, true at `at_ns` (Unix); None: this source does not tell.

    `discards` counts frames that were to be sent and were thrown away instead: a full queue. What was thrown away on
    arrival is not in it: Linux counts there, too, every frame of a protocol that nobody speaks. `octet_bits` and
    `discard_bits` say at which width the counters wrap.
    """

    at_ns: int
    sent_bytes: float | None = None
    received_bytes: float | None = None
    discards: float | None = None
    up: bool | None = None
    octet_bits: int = 64
    discard_bits: int = 64


PortReader = Callable[[], Mapping[str, PortCounters]]
"""Reads all ports at once, by their names in the site (`tor-r1:up0`). Raises MaulError or OSError."""
