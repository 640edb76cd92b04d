"""How findings name versions and moments."""

from datetime import UTC, datetime


def show_version(version: int) -> str:
    """The parts of a version number: engine epoch, shard, counter.

    >>> show_version((1 << 48) | (2 << 40) | 57)
    '1.2.57'
    """
    return f"{version >> 48}.{version >> 40 & 0xFF}.{version & (1 << 40) - 1}"


def show_moment(at_ns: int) -> str:
    """A Unix time as a time of the day, UTC, with milliseconds.

    >>> show_moment(1_700_000_000_123_000_000)
    '22:13:20.123 UTC'
    """
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%H:%M:%S}.{at_ns // 1_000_000 % 1000:03d} UTC"
