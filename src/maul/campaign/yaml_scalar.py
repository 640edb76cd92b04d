"""One YAML scalar as a plain Python value, by the tag that YAML 1.2 resolves it to."""

_DIGITS_MAX = 40
_BASES = {"0x": 16, "0o": 8, "0b": 2}


def plain_scalar(tag: str, text: str) -> str | int | float | bool | None:
    """The value; ValueError when the tag is none of YAML's core ones or the number is absurdly long.

    >>> plain_scalar("tag:yaml.org,2002:int", "1_000"), plain_scalar("tag:yaml.org,2002:bool", "True")
    (1000, True)
    >>> plain_scalar("tag:yaml.org,2002:timestamp", "2026-11-22")
    '2026-11-22'
    """
    kind = tag.removeprefix("tag:yaml.org,2002:")
    if kind in {"str", "timestamp"}:
        return text
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind in {"int", "float"}:
        if len(text) > _DIGITS_MAX:
            raise ValueError(f"a number of {len(text)} characters is not understood")
        return _integer(text) if kind == "int" else _real(text)
    raise ValueError(f"the tag {tag} is not understood")


def _integer(text: str) -> int:
    bare = text.replace("_", "").lower()
    sign, bare = (-1, bare[1:]) if bare.startswith("-") else (1, bare.removeprefix("+"))
    base = _BASES.get(bare[:2], 10)
    return sign * int(bare[2:] if base != 10 else bare, base)


def _real(text: str) -> float:
    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
