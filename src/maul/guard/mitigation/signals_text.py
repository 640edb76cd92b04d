"""Seconds as text, one line of JSON each, and back: so that a verdict can be judged again offline. Pure.

What holds its default is left out; a quiet second of one generator is about 300 bytes.
"""

from collections.abc import Iterable, Iterator

from pydantic import TypeAdapter, ValidationError

from maul.guard.mitigation.signals import Second

_SECOND: TypeAdapter[Second] = TypeAdapter(Second)


def to_line(second: Second) -> str:
    """One second, without a line feed.

    >>> to_line(Second(5, silent=True))
    '{"at_ns":5,"silent":true}'
    """
    return _SECOND.dump_json(second, exclude_defaults=True).decode()


def from_lines(lines: Iterable[str]) -> Iterator[Second]:
    """Every whole line as a second; the last one of a killed run may be torn, and what cannot be read is left out.

    >>> list(from_lines(['{"at_ns":5,"silent":true}', '{"at_n'])) == [Second(5, silent=True)]
    True
    """
    for line in lines:
        try:
            yield _SECOND.validate_json(line)
        except ValidationError:
            continue
