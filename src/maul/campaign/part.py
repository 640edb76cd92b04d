"""Part: what every piece of a campaign or site is. A frozen value whose unknown keys are named, with a suggestion."""

import difflib
from collections.abc import Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

_KNOWN_SHOWN_MAX = 20


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The cure for an unknown word: the likeliest known one, else all of them.

    >>> did_you_mean("objcts", ["objects", "size"])
    'did you mean "objects"?'
    >>> did_you_mean("zzz", ["objects", "size"])
    'known: objects, size'
    """
    names = sorted(set(known))
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    more = f" and {len(names) - _KNOWN_SHOWN_MAX} more" if len(names) > _KNOWN_SHOWN_MAX else ""
    return f"known: {', '.join(names[:_KNOWN_SHOWN_MAX]) or 'none'}{more}"


class Part(BaseModel):
    """A frozen value. Its fields carry units in their names, its YAML keys (the aliases) do not."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _name_unknown_keys(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Turn "extra inputs" into an error that carries its own suggestion: only this class knows its keys."""
        try:
            return handler(value)
        except ValidationError as error:
            known = [field.alias or name for name, field in cls.model_fields.items()]
            raise ValidationError.from_exception_data(
                cls.__name__, [_taught(detail, known) for detail in error.errors(include_url=False)]
            ) from None


def _taught(detail: Any, known: list[str]) -> InitErrorDetails:
    """One error of pydantic, with the cure where it is about an unknown key of this very model."""
    kind: str | PydanticCustomError = detail["type"]
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        kind = PydanticCustomError(
            "unknown_key", "unknown key ({cure})", {"cure": did_you_mean(str(detail["loc"][0]), known)}
        )
    elif detail["type"] in {"unknown_key", "which_one"}:
        kind = PydanticCustomError(detail["type"], "{message}", {"message": detail["msg"]})
    return InitErrorDetails(type=kind, loc=tuple(detail["loc"]), input=detail["input"], ctx=detail.get("ctx", {}))
