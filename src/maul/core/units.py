"""Sizes, durations and rates as people write them, and back."""

import re
from collections.abc import Sequence

_SIZE_UNITS = {
    "": 1, "b": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_TIME_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER_AND_UNIT = re.compile(r"\s*([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*([A-Za-z]*)\s*")
_SECONDS_PER = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_size(text: str | int) -> int:
    """Bytes. Raises ValueError with what would be understood.

    >>> parse_size("4KiB"), parse_size("1.5 MB"), parse_size(512)
    (4096, 1500000, 512)
    """
    match = _NUMBER_AND_UNIT.fullmatch(str(text))
    unit = match.group(2).lower() if match else None
    if match is None or unit not in _SIZE_UNITS:
        raise ValueError(f"{text!r} is not a size; write bytes or a unit, such as 512, 4KiB, 1.5MB")
    return round(float(match.group(1)) * _SIZE_UNITS[unit])


def parse_duration(text: str | float) -> float:
    """Seconds. Raises ValueError with what would be understood.

    >>> parse_duration("500ms"), parse_duration("1.5m"), parse_duration(3)
    (0.5, 90.0, 3.0)
    """
    match = _NUMBER_AND_UNIT.fullmatch(str(text))
    unit = match.group(2).lower() if match else None
    if match is None or unit not in (_TIME_UNITS | {"": 1.0}):
        raise ValueError(f"{text!r} is not a duration; write seconds or a unit, such as 30, 500ms, 30s, 5m, 2h")
    return float(match.group(1)) * (_TIME_UNITS | {"": 1.0})[unit]


def parse_rate(text: str | float) -> float:
    """Events per second. Raises ValueError with what would be understood.

    >>> parse_rate("100/s"), parse_rate("30/m"), parse_rate(5)
    (100.0, 0.5, 5.0)
    """
    number, slash, per = str(text).partition("/")
    try:
        value = float(number)
        seconds = _SECONDS_PER[per.strip() if slash else "s"]
    except (ValueError, KeyError):
        raise ValueError(f"{text!r} is not a rate; write events per second, such as 100, 100/s, 30/m") from None
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text!r} is not a rate; it must be finite and not negative")
    return value / seconds


def parse_bandwidth(text: str | int) -> int:
    """Bytes per second. Raises ValueError with what would be understood.

    >>> parse_bandwidth("200MB/s"), parse_bandwidth("1.5 MiB/s"), parse_bandwidth(1000)
    (200000000, 1572864, 1000)
    """
    size, slash, per = str(text).partition("/")
    try:
        value, seconds = parse_size(size), _SECONDS_PER[per.strip() if slash else "s"]
    except (ValueError, KeyError):
        raise ValueError(f"{text!r} is not a bandwidth; write bytes per second, such as 200MB/s, 1.5MiB/s") from None
    return round(value / seconds)


_BITRATE_UNITS = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "tbit": 1e12}


def parse_bitrate(text: str | float) -> float:
    """Bits per second, as links are named. Raises ValueError with what would be understood.

    >>> parse_bitrate("100Gbit/s"), parse_bitrate("2.5 Mbit/s"), parse_bitrate(1000)
    (100000000000.0, 2500000.0, 1000.0)
    """
    number, slash, per = str(text).partition("/")
    match = _NUMBER_AND_UNIT.fullmatch(number)
    unit = (match.group(2).lower() or "bit") if match else ""
    if match is None or unit not in _BITRATE_UNITS or (slash and per.strip() != "s"):
        raise ValueError(f"{text!r} is not a bit rate; write bits per second, such as 100Gbit/s, 250Mbit/s")
    return float(match.group(1)) * _BITRATE_UNITS[unit]


def parse_ratio(text: str | float) -> float:
    """A part of the whole, from 0 to 1. Raises ValueError with what would be understood.

    >>> parse_ratio("0.1%"), parse_ratio("60 %"), parse_ratio(0.5)
    (0.001, 0.6, 0.5)
    """
    number, percent, rest = str(text).strip().partition("%")
    try:
        value = float(number) / 100 if percent else float(number)
    except ValueError:
        value = -1.0
    if rest or not 0 <= value <= 1:
        raise ValueError(f"{text!r} is not a ratio from 0 to 1; write one such as 0.5, 50%, 0.1%")
    return value


def show_size(size: float) -> str:
    """Bytes for people, binary units.

    >>> show_size(4096), show_size(1536), show_size(100)
    ('4 KiB', '1.5 KiB', '100 B')
    """
    return _scaled(size, 1024, ("B", "KiB", "MiB", "GiB", "TiB"), 4)


def show_bitrate(bits_per_s: float) -> str:
    """Bits per second for people, decimal units.

    >>> show_bitrate(1e9), show_bitrate(2.54e6), show_bitrate(10)
    ('1 Gbit/s', '2.54 Mbit/s', '10 bit/s')
    """
    return _scaled(bits_per_s, 1000, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"), 3)


def _scaled(value: float, step: int, units: Sequence[str], digits: int) -> str:
    """In the first unit, each `step` times the one before, that leaves it below `step`; else in the last."""
    power = next((place for place in range(len(units)) if abs(value) < step ** (place + 1)), len(units) - 1)
    return f"{value / step**power:.{digits}g} {units[power]}"


def show_duration(seconds: float) -> str:
    """Seconds for people.

    >>> show_duration(0.0042), show_duration(3.25), show_duration(135)
    ('4.2 ms', '3.2 s', '2 min 15 s')
    """
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
