"""Numbers with units as campaign and site write them: sizes, durations, rates, ratios, names.

Each type takes what `core.units` understands and holds a plain number in base units (bytes, seconds, per second).
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema

from maul.core import units

SIZE_MAX_BYTES = 5 * 2**30  # what one S3 PUT may carry
DURATION_MAX_S = 7 * 86_400.0
RATE_MAX_PER_S = 1e7
OBJECTS_MAX = 10**12  # the key space of one region has 56 bits; a run that needs more is a mistake

_NUMBER_OR_TEXT = {"type": ["string", "number"]}


def _quantity(parse: Callable[[Any], Any], example: str) -> BeforeValidator:
    """Refuse what is no scalar before `parse` turns it into text."""

    def validate(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"expected a single value such as {example}")
        return parse(value)

    return BeforeValidator(validate)


def _within(least: float, most: float, noun: str, show: Callable[[float], str]) -> AfterValidator:
    """Both ends are allowed; a number that is none (nan) is outside."""

    def validate(value: Any) -> Any:
        if not least <= value <= most:
            raise ValueError(f"{noun} must be from {show(least)} to {show(most)}, and is {show(value)}")
        return value

    return AfterValidator(validate)


def _schema(text: str, pattern: str) -> WithJsonSchema:
    return WithJsonSchema({**_NUMBER_OR_TEXT, "description": text, "pattern": pattern})


_SIZE_PATTERN = r"^\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtT]([iI]?[bB])|[bB])?\s*$"

Size = Annotated[
    int,
    _quantity(units.parse_size, "4KiB"),
    _within(0, 2**60, "a size", units.show_size),
    _schema("bytes, or with a unit: 512, 4KiB, 1.5MB", _SIZE_PATTERN),
]
"""Bytes, from nothing upward."""

ObjectSize = Annotated[
    int,
    _quantity(units.parse_size, "4KiB"),
    _within(0, SIZE_MAX_BYTES, "the size of one object", units.show_size),
    _schema("bytes of one object, at most 5 GiB: 512, 4KiB, 1.5MB", _SIZE_PATTERN),
]
"""Bytes of one object: what a single S3 PUT may carry."""

Seconds = Annotated[
    float,
    _quantity(units.parse_duration, "30s"),
    _within(0.001, DURATION_MAX_S, "a duration", units.show_duration),
    _schema("seconds, or with a unit: 500ms, 30s, 5m", r"^\s*[0-9]+(\.[0-9]+)?\s*(ms|s|m|min|h|d)?\s*$"),
]
"""A length of time, at least a millisecond."""

SecondsOrZero = Annotated[
    float,
    _quantity(units.parse_duration, "30s"),
    _within(0.0, DURATION_MAX_S, "a duration", units.show_duration),
    _schema("seconds, or with a unit: 0, 500ms, 30s", r"^\s*[0-9]+(\.[0-9]+)?\s*(ms|s|m|min|h|d)?\s*$"),
]
"""A length of time that may be none at all."""

Rate = Annotated[
    float,
    _quantity(units.parse_rate, "100/s"),
    _within(0.001, RATE_MAX_PER_S, "a rate", lambda rate: f"{rate:g}/s"),
    _schema("events per second: 100, 100/s, 30/m", r"^\s*[0-9.eE+]+\s*(/\s*(s|m|min|h))?\s*$"),
]
"""Arrivals per second."""

Bandwidth = Annotated[
    int,
    _quantity(units.parse_bandwidth, "200MB/s"),
    _within(1, 10**13, "a bandwidth", lambda size: f"{units.show_size(size)}/s"),
    _schema("bytes per second: 200MB/s, 1.5MiB/s", r"^\s*[0-9]+(\.[0-9]+)?\s*[A-Za-z]*\s*(/\s*(s|m|min|h))?\s*$"),
]
"""Bytes per second."""

Bitrate = Annotated[
    float,
    _quantity(units.parse_bitrate, "10Gbit/s"),
    _within(0, 1e15, "a bit rate", units.show_bitrate),
    _schema("bits per second: 100Gbit/s, 250Mbit/s", r"^\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtT]?bit)?\s*(/\s*s)?\s*$"),
]
"""Bits per second, as links are named."""

Ratio = Annotated[
    float,
    _quantity(units.parse_ratio, "0.1%"),
    _schema("a part of the whole: 0.5, 50%, 0.1%", r"^\s*[0-9.eE+-]+\s*%?\s*$"),
]
"""From 0 to 1."""


def _matching(pattern: str, says: str) -> AfterValidator:
    """The message does not repeat the text: somebody may have pasted a secret there."""
    compiled = re.compile(pattern)

    def validate(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(says)
        return value

    return AfterValidator(validate)


NAME_PATTERN = r"[a-z0-9][a-z0-9_.-]{0,62}"
Name = Annotated[
    str,
    _matching(NAME_PATTERN, "a name has 1 to 63 of a-z 0-9 . _ - and begins with a letter or digit"),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$"}),
]
"""A name that files, plots and shells can carry as it is."""

_BUCKET_PATTERN = r"(?!.*\.\.)(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
BucketName = Annotated[
    str,
    _matching(
        _BUCKET_PATTERN,
        "a bucket name has 3 to 63 of a-z 0-9 . - and begins and ends with a letter or digit (S3's own rule)",
    ),
    WithJsonSchema({"type": "string", "minLength": 3, "maxLength": 63}),
]
"""A bucket name that S3 accepts."""

EnvironmentName = Annotated[
    str,
    _matching(
        r"[A-Za-z_][A-Za-z0-9_]{0,127}",
        "expected the name of an environment variable, such as AWS_ACCESS_KEY_ID, never the key itself",
    ),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,127}$"}),
]
"""The name of an environment variable; the secret itself stays out of every file."""

Seed = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1)]
"""A whole number that all randomness of a run comes from."""

Whole = Annotated[int, Strict()]
"""A whole number: no text, no `true`."""

Real = Annotated[float, Strict()]
"""A number without a unit: no text, no `true`."""

Flag = Annotated[bool, Strict()]
"""`true` or `false`, and nothing else."""
