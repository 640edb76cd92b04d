"""The Prometheus text format, read quickly: only the families that are wanted."""

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_LINE = re.compile(
    r"(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{(?P<labels>(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?\s*"
)
_LABEL = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*\"((?:[^\"\\]|\\.)*)\"\s*,?")
_ESCAPE = re.compile(r"\\(.)")
_NAME_END = re.compile(r"[{\s]")


@dataclass(frozen=True, slots=True)
class Series:
    """One line: a family's name, its labels, a finite value."""

    name: str
    labels: dict[str, str]
    value: float


def parse(text: str, wanted: Collection[str]) -> Iterator[Series]:
    """The series of the wanted families. NaN and infinite values are no values: left out.

    Raises ValueError at a wanted line that is not in the format.

    >>> [s.value for s in parse('up{job="a"} 1\\nother 2', {"up"})]
    [1.0]
    """
    for line in text.splitlines():
        if not line or line[0] == "#":
            continue
        end = _NAME_END.search(line)
        if end is None or line[: end.start()] not in wanted:
            continue  # most lines end here: this is what makes a scrape cheap
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"not a line of the Prometheus text format: {line[:200]!r}")
        value = float(match["value"])
        if math.isfinite(value):
            yield Series(match["name"], _labels(match["labels"] or ""), value)


def _labels(text: str) -> dict[str, str]:
    return {name: _ESCAPE.sub(_unescape, value) for name, value in _LABEL.findall(text)}


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
