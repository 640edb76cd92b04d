"""JSON as the YAML that it is, read a hundred times faster; where its values stand is looked up when somebody asks."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

V = TypeVar("V")
K = TypeVar("K")


class _NotPlainError(ValueError):
    """Something that JSON allows and YAML reads otherwise, or not at all."""


def plain_json(text: str, nodes_max: int) -> dict[str, Any] | None:
    """The mapping in `text`; None where it is no JSON, or not surely what YAML would make of it: doubled keys, numbers
    that are none, more than `nodes_max` values. Then YAML's own reader says what is wrong."""
    if not text.lstrip().startswith("{") or "\\ud" in text.lower():  # half a character, by its number
        return None
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return data if _count(data) <= nodes_max else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NotPlainError
    return found


def _refuse(word: str) -> Any:
    raise _NotPlainError(word)


def _count(data: Any) -> int:
    number, todo = 0, [data]
    while todo:
        value = todo.pop()
        number += 1
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    return number


class Later(Mapping[K, V]):
    """A mapping that is made when it is first looked into."""

    def __init__(self, make: Callable[[], Mapping[K, V]]) -> None:
        """`make` is called once at most."""
        self._make = make
        self._made: Mapping[K, V] | None = None

    def _mapping(self) -> Mapping[K, V]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, key: K) -> V:
        """The value; KeyError."""
        return self._mapping()[key]

    def __iter__(self) -> Iterator[K]:
        """The keys."""
        return iter(self._mapping())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._mapping())
