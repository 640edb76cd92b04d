"""Whether two plans send the same, and if not, what differs. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maul.plan.model import PhasePlan, Plan

_WHERE = frozenset(
    {"endpoints", "endpoint_offset", "s3", "pin", "shards", "run", "epoch", "expected", "service", "at_s"}
)
"""Parts of phases and faults that say where something is sent, or from what, and not what."""
_TOLD = ("target", "seed", "cores", "shards", "objectives", "consistency")
"""Differences worth telling that do not make runs incomparable."""
_SHOWN_MAX = 60
_NAMED_BY = ("name", "label", "op")


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that two plans do not share, by its path in words."""

    path: str
    a: str
    b: str

    def __str__(self) -> str:
        """In one line."""
        return f"{self.path}: {self.a} in A, {self.b} in B"


def sent_differently(a: Plan, b: Plan, kinds: Collection[str]) -> list[Difference]:
    """What was sent in phases of these kinds, when and how, and what was hurt. Empty: the two can be compared.

    What several phases have in common is told once, with their names.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    one, other = ({phase.name: phase for phase in plan.phases if phase.kind in kinds} for plan in (a, b))
    for name in dict.fromkeys((*one, *other)):
        pair = [_phase(each[name]) if name in each else None for each in (one, other)]
        for difference in _differences("", *pair):
            found.setdefault((difference.path or "phase", difference.a, difference.b), []).append(name)
    differences = [
        Difference(f"{path} of {', '.join(names)}", in_a, in_b) for (path, in_a, in_b), names in found.items()
    ]
    faults = ([_without_place(fault.model_dump(mode="json")) for fault in plan.faults] for plan in (a, b))
    return [*differences, *_differences("faults", *faults)]


def _phase(phase: PhasePlan) -> dict[str, Any]:
    """What a phase sends. Its ceilings and estimates follow from that."""
    passes = {
        each.label: _without_place(each.engine.model_dump(mode="json", exclude={"limits"})) for each in phase.passes
    }
    only = {"kind": phase.kind, "levels": [level.model_dump() for level in phase.levels]}
    return {**only, **(next(iter(passes.values())) if len(passes) == 1 else passes)}


def told_differently(a: Plan, b: Plan) -> list[Difference]:
    """What else differs: where it went, from how many cores, what was asked of it."""
    one, other = (plan.model_dump(mode="json", include=set(_TOLD)) for plan in (a, b))
    return list(_differences("", one, other))


def _without_place(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_place(item) for key, item in value.items() if key not in _WHERE and key != "seed"}
    return [_without_place(item) for item in value] if isinstance(value, list) else value


def _differences(path: str, a: Any, b: Any) -> Iterator[Difference]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in dict.fromkeys((*a, *b)):
            yield from _differences(f"{path}.{key}" if path else key, a.get(key), b.get(key))
    elif isinstance(a, list) and isinstance(b, list) and (named := _by_name(a, b)) is not None:
        yield from _differences(path, *named)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for number, (one, other) in enumerate(zip(a, b, strict=True), 1):
            yield from _differences(f"{path}[{number}]", one, other)
    elif a != b:
        yield Difference(path, _short(a), _short(b))


def _by_name(a: Sequence[Any], b: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Lists of named things as mappings, so that a phase is called by its name; None when they have no unique names."""
    for key in _NAMED_BY:
        found = [
            {str(item[key]): item for item in each if isinstance(item, Mapping) and key in item} for each in (a, b)
        ]
        if found[0] and found[1] and (len(found[0]), len(found[1])) == (len(a), len(b)):
            return found[0], found[1]
    return None


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = f"{len(value)} of them" if isinstance(value, list) else str(value)
    if isinstance(value, Mapping):
        text = ", ".join(f"{key} {item}" for key, item in value.items() if isinstance(item, str | int | float))
        return text if len(text) <= _SHOWN_MAX else "there"
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"
