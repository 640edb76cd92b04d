"""Problem: one thing that is wrong with a file, where it stands, and what to do.

Turns pydantic's errors into a person's words.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from maul.campaign.part import did_you_mean
from maul.campaign.yaml_source import KeyPath, YamlSource, printable
from maul.core.errors import CampaignError

PROBLEMS_SHOWN_MAX = 50

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Problem:
    """`path` in YAML keys; `at_key` when the key itself is wrong rather than its value."""

    path: KeyPath
    says: str
    at_key: bool = False

    def line(self, source: YamlSource | None) -> str:
        """`file:line:column: path: message`."""
        says = printable(f"{show_path(self.path)}: {self.says}" if self.path else self.says)
        if source is None:
            return says
        where = source.where(self.path) if self.at_key else source.where_value(self.path)
        return f"{where}: {says}"


class CampaignProblemsError(CampaignError):
    """All problems of one file at once."""

    def __init__(self, problems: Iterable[Problem], source: YamlSource | None) -> None:
        """One line per problem, in the order of the file."""
        found = sorted(set(problems), key=lambda problem: (_order(problem, source), problem.says))
        self.problems = tuple(found)
        lines = [problem.line(source) for problem in found[:PROBLEMS_SHOWN_MAX]]
        if len(found) > PROBLEMS_SHOWN_MAX:
            lines.append(f"and {len(found) - PROBLEMS_SHOWN_MAX} more")
        super().__init__("\n".join(lines))


def _order(problem: Problem, source: YamlSource | None) -> tuple[int, int]:
    where = "" if source is None else problem.line(source)[len(source.name) + 1 :]
    line, column, *_ = [*where.split(":", 2), "0", "0"]
    return (int(line), int(column)) if line.isdigit() and column.isdigit() else (0, 0)


def show_path(path: KeyPath) -> str:
    """A path as people write it.

    >>> show_path(("phases", 1, "rate"))
    'phases[1].rate'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def validate(
    model: type[M], source: YamlSource, context: Mapping[str, Any] | None = None
) -> tuple[M | None, list[Problem]]:
    """The value, or None and everything that is wrong with it."""
    try:
        return model.model_validate(source.data, context=dict(context or {})), []
    except ValidationError as error:
        return None, from_pydantic(error, source.data)


def from_pydantic(error: ValidationError, data: Any) -> list[Problem]:
    """Pydantic's errors about `data`, in a person's words."""
    details = [detail for detail in error.errors(include_url=False) if not _is_echo(detail)]
    return [_from_detail(detail, data) for detail in details]


def sound_sections(
    model: type[BaseModel], source: YamlSource, context: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The top-level values that are right on their own, defaults included: so that one wrong section does not
    keep the cross-checks of the others from being told in the same breath."""
    sound: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in source.data:
            if not field.is_required():
                sound[name] = field.get_default(call_default_factory=True)
            continue
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(cast(Any, Annotated[field.annotation, field]))
            sound[name] = adapter.validate_python(source.data[key], context=dict(context or {}))
        except ValidationError:
            continue  # its problems are told by the validation of the whole
    return sound


def _is_echo(detail: Any) -> bool:
    """A list counted as too short only because its entries are wrong: their own problems say it better."""
    return bool(detail["type"] == "too_short") and len(detail["input"]) >= detail["ctx"]["min_length"]


def _from_detail(detail: Any, data: Any) -> Problem:
    path, missing = _yaml_path(detail["loc"], data)
    kind = detail["type"]
    if kind == "missing" and not missing:
        return Problem(path, "needs another entry", at_key=True)
    if kind == "missing":
        return Problem(path, f'the key "{missing}" is missing; add it', at_key=True)
    return Problem(path, _says(kind, detail), at_key=kind == "unknown_key")


def _yaml_path(loc: tuple[str | int, ...], data: Any) -> tuple[KeyPath, str]:
    """Pydantic's location without the tags of unions, which the file does not have; and the key that is missing."""
    path: KeyPath = ()
    for index, part in enumerate(loc):
        inside_mapping = isinstance(data, dict) and part in data
        inside_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if inside_mapping or inside_list:
            path, data = (*path, part), data[part]
        elif index == len(loc) - 1 and isinstance(part, str):
            return path, part
    return path, ""


def _says(kind: str, detail: Any) -> str:
    """What is wrong and what to write instead. Values are shown only where they cannot be secrets."""
    if kind in _SAID_BY_FUNCTION:
        return _SAID_BY_FUNCTION[kind](detail)
    for types, says in _EXPECTED:
        if kind in types:
            return says.format(**detail.get("ctx", {}))
    return str(detail["msg"])


def _words(listing: str) -> list[str]:
    """The words of pydantic's "'a', 'b' or 'c'"."""
    return [word.strip(" '") for word in listing.replace(" or ", ", ").split(", ")]


def _one_of(found: object, known: list[str]) -> str:
    """A word that is nearly right is repeated; any other might be a secret in the wrong place."""
    cure = did_you_mean(found, known) if isinstance(found, str) else ""
    if cure.startswith("did you mean"):
        return f'"{found}" is not understood ({cure})'
    return f"expected one of: {', '.join(known)}"


def _unknown_kind(detail: Any) -> str:
    return f"kind: {_one_of(detail['ctx']['tag'], _words(detail['ctx']['expected_tags']))}"


_SAID_BY_FUNCTION: dict[str, Callable[[Any], str]] = {
    "unknown_key": lambda detail: str(detail["msg"]),
    "which_one": lambda detail: str(detail["msg"]),
    "value_error": lambda detail: str(detail["ctx"]["error"]),
    "literal_error": lambda detail: _one_of(detail["input"], _words(detail["ctx"]["expected"])),
    "enum": lambda detail: _one_of(detail["input"], _words(detail["ctx"]["expected"])),
    "union_tag_invalid": _unknown_kind,
    "union_tag_not_found": lambda _: 'the key "kind" is missing; add it',
}
_EXPECTED: list[tuple[set[str], str]] = [
    ({"int_type", "int_parsing", "int_from_float"}, "expected a whole number"),
    ({"float_type", "float_parsing"}, "expected a number"),
    ({"finite_number"}, "expected a finite number"),
    ({"string_type"}, "expected text"),
    ({"bool_type", "bool_parsing"}, "expected true or false"),
    ({"model_type", "dict_type", "model_attributes_type"}, "expected keys and values"),
    ({"list_type", "tuple_type"}, "expected a list"),
    ({"greater_than"}, "must be more than {gt}"),
    ({"greater_than_equal"}, "must be at least {ge}"),
    ({"less_than"}, "must be less than {lt}"),
    ({"less_than_equal"}, "must be at most {le}"),
    ({"too_short"}, "needs at least {min_length} (has {actual_length})"),
    ({"too_long"}, "takes at most {max_length} (has {actual_length})"),
    ({"string_too_short"}, "must not be empty"),
    ({"string_too_long"}, "must have at most {max_length} characters"),
]
