"""Documents of others: JSON and YAML as plain data, bounded, clear when broken; and timid looks into it."""

import json
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from maul.campaign.yaml_scalar import plain_scalar
from maul.campaign.yaml_source import printable
from maul.core.errors import CampaignError

NODES_MAX = 4_000_000
DEPTH_MAX = 64


def json_of(text: str, name: str, noun: str) -> Any:
    """The JSON of `text`; CampaignError with line and column when it is none."""
    try:
        return json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        place = f"{name}:{error.lineno}:{error.colno}"
        cure = "it ends too early; fetch it again" if error.pos >= len(text.rstrip()) else f"expected {noun}"
        raise CampaignError(f"is not JSON: {error.msg}", place, cure) from None
    except (RecursionError, ValueError):
        raise CampaignError("is not JSON that can be read: too deep, or a number too long", name) from None


def yaml_of(text: str, name: str) -> Any:
    """The YAML of `text` as plain data: unknown tags (`!vault`) become None, merge keys are followed."""
    yaml = YAML(typ="rt", pure=True)
    try:
        node = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise CampaignError(printable(f"is not YAML: {error.problem or error.context}"), place) from None
    except YAMLError:
        raise CampaignError("is not YAML: it contains a character that YAML does not allow", name) from None
    except RecursionError:
        raise CampaignError("is nested too deep", name) from None
    return None if node is None else _Unfolding(name).plain(node, 0)


class _Unfolding:
    """A node graph as plain data, within bounds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def plain(self, node: Node, depth: int) -> Any:
        self.count += 1
        if self.count > NODES_MAX or depth > DEPTH_MAX:
            what = f"has more than {NODES_MAX} values, aliases unfolded" if depth <= DEPTH_MAX else "is nested too deep"
            raise CampaignError(what, f"{self.name}:{node.start_mark.line + 1}")
        if isinstance(node, MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, SequenceNode):
            return [self.plain(item, depth + 1) for item in node.value]
        if isinstance(node, ScalarNode):
            try:
                return plain_scalar(str(node.tag), node.value)
            except ValueError:
                return None  # a tag of theirs, such as !vault: nothing that we should read
        return None

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            plain = self.plain(value, depth + 1)
            if not isinstance(key, ScalarNode):
                continue
            if str(key.tag).endswith(":merge"):
                for part in plain if isinstance(plain, list) else [plain]:
                    merged = {**as_dict(part), **merged}
            else:
                found[str(key.value)] = plain
        return {**merged, **found}


def as_dict(value: Any) -> dict[str, Any]:
    """The mapping, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The list, or an empty one."""
    return value if isinstance(value, list) else []


def text_at(value: Any, *path: str) -> str | None:
    """The text that stands at `path`; None where there is none. Numbers are text, too.

    >>> text_at({"rack": {"name": "r1"}}, "rack", "name"), text_at({"rack": None}, "rack", "name")
    ('r1', None)
    """
    for key in path:
        value = as_dict(value).get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def number_at(value: Any, *path: str) -> float | None:
    """The number above nothing that stands at `path`; None where there is none."""
    for key in path:
        value = as_dict(value).get(key)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e18:
        return None
    return float(value)
