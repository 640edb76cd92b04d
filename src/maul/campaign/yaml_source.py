"""YAML text to plain data that remembers where every value stands.

Bounded on purpose: bytes, nodes, depth, and what aliases unfold to. Tags and merge keys are refused: a campaign is
plain data. Every way in which a file can be no YAML at all is one `CampaignError` with a place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from maul.campaign.json_source import Later, plain_json
from maul.campaign.yaml_scalar import plain_scalar
from maul.core.errors import CampaignError

FILE_BYTES_MAX = 1 << 20
NODES_MAX = 20_000  # also counts every node that an alias repeats
DEPTH_MAX = 32


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a file may be."""

    file_bytes: int = FILE_BYTES_MAX
    nodes: int = NODES_MAX


OF_A_CAMPAIGN = Bounds()

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class YamlSource:
    """Plain data, and where its keys and values stand."""

    name: str
    text: str = field(repr=False)
    data: Any = field(repr=False)
    keys: Mapping[KeyPath, Place] = field(repr=False)
    values: Mapping[KeyPath, Place] = field(repr=False)
    folder: Path = Path()

    def where(self, path: KeyPath) -> str:
        """`name:line:column` of the key at `path`, or of the longest part of it that exists."""
        for length in range(len(path), 0, -1):
            place = self.keys.get(path[:length]) or self.values.get(path[:length])
            if place:
                return f"{self.name}:{place.line}:{place.column}"
        return f"{self.name}:1:1"

    def where_value(self, path: KeyPath) -> str:
        """`name:line:column` of the value at `path`, or of the longest part of it that exists."""
        for length in range(len(path), -1, -1):
            place = self.values.get(path[:length])
            if place:
                return f"{self.name}:{place.line}:{place.column}"
        return f"{self.name}:1:1"

    def beside(self, path: str) -> str:
        """A path that the file writes relative to itself, as seen from the working directory."""
        return str(self.folder / path)


def printable(text: str) -> str:
    """Text that stays on its line and cannot play tricks on a terminal.

    >>> printable("a\\x1b[2J\\nb")
    'a\\\\x1b[2J\\\\nb'
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def read_file(path: Path, noun: str = "campaign", bounds: Bounds = OF_A_CAMPAIGN) -> YamlSource:
    """The YAML file at `path`. `noun` says in messages what it should have been."""
    where = str(path)
    try:
        if path.is_dir():
            raise CampaignError("is a directory", where, f"name a {noun} file in it")
        if not path.exists():
            raise CampaignError("no such file", where, f"check the path; a {noun} is a YAML file")
        if not path.is_file():
            raise CampaignError("is no regular file", where, f"a {noun} is a YAML file")
        with path.open("rb") as stream:
            raw = stream.read(bounds.file_bytes + 1)
    except OSError as error:
        raise CampaignError(f"cannot be read: {error.strerror}", where, f"a {noun} is a YAML file") from error
    if len(raw) > bounds.file_bytes:
        raise CampaignError(f"is larger than {bounds.file_bytes >> 20} MiB", where, f"a {noun} is a short YAML file")
    return parse_text(_decode(raw, where, noun), where, path.parent, noun, bounds)


def _decode(raw: bytes, where: str, noun: str) -> str:
    if b"\0" in raw:
        raise CampaignError("is not text: it contains NUL bytes", where, f"a {noun} is a YAML file in UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CampaignError("is not UTF-8", f"{where}:{line}", f"save the {noun} as UTF-8") from error


def parse_text(
    text: str, name: str, folder: Path | None = None, noun: str = "campaign", bounds: Bounds = OF_A_CAMPAIGN
) -> YamlSource:
    """YAML text as data with places; `name` stands for the file in messages."""
    plain = plain_json(text, bounds.nodes)
    if plain is not None:
        built: Later[str, _Builder] = Later(lambda: {"": _built(text, name, noun, bounds)[1]})
        keys = Later(lambda: built[""].keys)
        return YamlSource(name, text, plain, keys, Later(lambda: built[""].values), folder or Path())
    data, builder = _built(text, name, noun, bounds)
    return YamlSource(name, text, data, builder.keys, builder.values, folder or Path())


def _built(text: str, name: str, noun: str, bounds: Bounds) -> "tuple[dict[str, Any], _Builder]":
    node = _compose(text, name, bounds.nodes)
    if node is None:
        raise CampaignError("is empty", name, f"a {noun} needs at least its required keys")
    builder = _Builder(name, bounds.nodes)
    data = builder.build(node, ())
    if not isinstance(data, dict):
        raise CampaignError(f"is no {noun}: expected keys and values at the top", f"{name}:1:1")
    return data, builder


class _TooMuchError(MarkedYAMLError):
    """A bound of ours is exceeded."""


class _BoundedComposer(Composer):
    """Makes the node graph, and stops where it gets too deep or too large: the plain one recurses without a limit."""

    def __init__(self, nodes_max: int, loader: Any = None) -> None:
        """For one text."""
        super().__init__(loader)
        self.warn_double_anchors = False  # YAML allows to use an anchor's name again
        self._level = 0
        self._count = 0
        self.nodes_max = nodes_max

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node with everything below it."""
        self._level, self._count = self._level + 1, self._count + 1
        if self._level > DEPTH_MAX or self._count > self.nodes_max:
            deep = self._level > DEPTH_MAX
            what = f"is nested deeper than {DEPTH_MAX}" if deep else f"has more than {self.nodes_max} values"
            raise _TooMuchError(problem=what, problem_mark=self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        return node


def _compose(text: str, name: str, nodes_max: int) -> Node | None:
    yaml = YAML(typ="rt", pure=True)
    yaml.Composer = partial(_BoundedComposer, nodes_max)  # type: ignore[assignment]  # called as the class would be
    try:
        return yaml.compose(text)  # type: ignore[no-any-return]
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise CampaignError(
            "contains a character that YAML does not allow", f"{name}:{line}", "remove control characters"
        ) from error
    except _TooMuchError as error:
        raise CampaignError(str(error.problem), _marked(error, name)) from error
    except MarkedYAMLError as error:
        context = f" ({error.context})" if error.context and error.problem else ""
        what = f"is not YAML: {error.problem or error.context}{context}"
        raise CampaignError(printable(what), _marked(error, name)) from error
    except YAMLError as error:
        raise CampaignError("is not YAML", name) from error


def _marked(error: MarkedYAMLError, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name


class _Builder:
    """Unfolds a node graph into plain data, noting places; refuses what plain data has no word for."""

    def __init__(self, name: str, nodes_max: int) -> None:
        self.name = name
        self.nodes_max = nodes_max
        self.keys: dict[KeyPath, Place] = {}
        self.values: dict[KeyPath, Place] = {}
        self._nodes = 0
        self._open: list[Node] = []

    def build(self, node: Node, path: KeyPath) -> Any:
        self._nodes += 1
        if self._nodes > self.nodes_max:
            raise self._refuse(node, f"has more than {self.nodes_max} values, aliases unfolded")
        if any(node is outer for outer in self._open):
            raise self._refuse(node, "an alias contains itself")
        nothing = isinstance(node, ScalarNode) and not node.value and path in self.keys
        self.values[path] = self.keys[path] if nothing else _place(node)
        self._open.append(node)
        try:
            return self._by_kind(node, path)
        finally:
            self._open.pop()

    def _by_kind(self, node: Node, path: KeyPath) -> Any:
        tag = str(node.tag)
        if isinstance(node, MappingNode) and tag.endswith(":map"):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and tag.endswith(":seq"):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            try:
                return plain_scalar(tag, node.value)
            except ValueError as error:
                raise self._refuse(node, str(error)) from None
        raise self._refuse(node, f"the tag {tag} is not understood", "write plain values without tags")

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self._refuse(key_node, "a key must be a single word")
            key = str(key_node.value)
            if str(key_node.tag).endswith(":merge"):
                raise self._refuse(key_node, 'merge keys ("<<") are not understood', "write the keys out")
            if key in data:
                first = self.keys[*path, key]
                raise self._refuse(
                    key_node, f'the key "{key}" stands here a second time', f"it is already on line {first.line}"
                )
            self.keys[*path, key] = _place(key_node)
            data[key] = self.build(value_node, (*path, key))
        return data

    def _refuse(self, node: Node, what: str, cure: str = "") -> CampaignError:
        place = _place(node)
        return CampaignError(printable(what), f"{self.name}:{place.line}:{place.column}", cure)


def _place(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)
