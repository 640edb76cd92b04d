"""Ansible: an inventory (INI, YAML, or what `ansible-inventory --list` prints) as a fragment.

Read: groups and their children, host ranges (`srv[01:10]`), `ansible_host`, `ansible_user`, `ansible_port`, `rack`.
Passwords and keys are not even looked at. Groups become marks: the rules say which are racks and which are roles.
"""

import re
import shlex
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from maul.core.errors import CampaignError
from maul.site.importing.documents import as_dict, text_at, yaml_of
from maul.site.importing.fragment import FoundNode, Fragment, Names, Note, counted, site_name

HOSTS_MAX = 100_000
_RANGE = re.compile(r"\[(\w+):(\w+)(?::(\d+))?\]")
_SECTION = re.compile(r"\[([^\[\]:\s]+)(?::(\w+))?\]\s*(?:[#;].*)?$")
_READ = (
    "ansible_host",
    "ansible_ssh_host",
    "ansible_user",
    "ansible_ssh_user",
    "ansible_port",
    "ansible_ssh_port",
    "rack",
)
_NO_MARKS = {"all", "ungrouped"}


@dataclass
class _Inventory:
    """Groups as they were written."""

    where: str
    hosts: dict[str, dict[str, str]] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def group(self, name: str) -> None:
        self.members.setdefault(name, [])
        self.children.setdefault(name, [])

    def host(self, pattern: str, group: str, variables: dict[str, str], place: str) -> None:
        self.group(group)
        for name in expand(pattern, place):
            self.hosts.setdefault(name, {}).update(variables)
            self.members[group].append(name)
            if len(self.hosts) > HOSTS_MAX:
                raise CampaignError(f"has more than {HOSTS_MAX} hosts", place)


def read(text: str, name: str) -> Fragment:
    """The fragment of one inventory; CampaignError when it is none."""
    inventory = _Inventory(name)
    if _is_ini(text):
        _read_ini(text, inventory)
    else:
        data = yaml_of(text, name)
        if not isinstance(data, dict):
            raise CampaignError("is no inventory", name, "expected groups with hosts, as INI or YAML")
        _read_tree(data, inventory)
    if not inventory.hosts:
        raise CampaignError("is an inventory without hosts", name, "is it the right file?")
    return _fragment(inventory)


def expand(pattern: str, place: str) -> list[str]:
    """Hosts of a pattern.

    >>> expand("srv[08:10].r1", "f"), expand("db-[a:c]", "f"), expand("n[1:9:4]", "f")
    (['srv08.r1', 'srv09.r1', 'srv10.r1'], ['db-a', 'db-b', 'db-c'], ['n1', 'n5', 'n9'])
    """
    found = [pattern]
    while (match := _RANGE.search(found[0])) is not None:
        if len(found) > HOSTS_MAX:
            raise CampaignError(f"a range of more than {HOSTS_MAX} hosts", place)
        middle = _range(match, place)
        found = [
            f"{one[: part.start()]}{word}{one[part.end() :]}"
            for one in found
            for part in [_RANGE.search(one)]
            if part is not None
            for word in middle
        ]
    if any(sign in found[0] for sign in "[]"):
        raise CampaignError(f"{pattern!r} is no host and no range of hosts", place, "write one such as srv[01:10]")
    return found


def _range(match: re.Match[str], place: str) -> list[str]:
    first, last, step = match.group(1), match.group(2), int(match.group(3) or 1)
    if first.isdecimal() and last.isdecimal() and int(first) <= int(last) and step > 0 and len(last) < 8:
        if (int(last) - int(first)) // step >= HOSTS_MAX:
            raise CampaignError(f"a range of more than {HOSTS_MAX} hosts", place)
        width = len(first) if first.startswith("0") else 0
        return [f"{number:0{width}d}" for number in range(int(first), int(last) + 1, step)]
    letters = string.ascii_letters
    if len(first) == len(last) == 1 and first in letters and last in letters and first <= last and step > 0:
        return list(letters[letters.index(first) : letters.index(last) + 1 : step])
    raise CampaignError(f"{match.group(0)} is no range", place, "write one such as [01:10] or [a:f]")


def _is_ini(text: str) -> bool:
    """The first line that says something decides: YAML has a key or `---` there, INI a section or a host."""
    for line in text.lstrip("\ufeff").splitlines():
        bare = line.strip()
        if bare and bare[0] not in "#;":
            return not (bare == "---" or bare.startswith(("{", "%YAML")) or re.match(r"[^\s\[=]+:(\s|$)", bare))
    return True


def _read_ini(text: str, inventory: _Inventory) -> None:
    group, kind = "ungrouped", "hosts"
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        bare, place = line.strip(), f"{inventory.where}:{number}"
        if not bare or bare[0] in "#;":
            continue
        if bare[0] == "[" and (section := _SECTION.match(bare)) is not None:
            group, kind = section.group(1), section.group(2) or "hosts"
            if kind not in {"hosts", "children", "vars"}:
                raise CampaignError(f"[{group}:{kind}] is not understood", place, "expected :children or :vars")
            inventory.group(group)
        elif kind == "hosts":
            _ini_host(bare, group, inventory, place)
        elif kind == "children":
            inventory.group(bare.split()[0])
            inventory.children[group].append(bare.split()[0])
        else:
            key, _, value = bare.partition("=")
            if key.strip() in _READ:
                inventory.variables.setdefault(group, {})[key.strip()] = value.strip().strip("\"'")


def _ini_host(line: str, group: str, inventory: _Inventory, place: str) -> None:
    """The message does not repeat the line: it may hold a password."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        raise CampaignError("a quotation mark is not closed", place) from None
    pairs = [word.partition("=") for word in words[1:]]
    inventory.host(words[0], group, {key: value for key, _, value in pairs if key in _READ}, place)


def _read_tree(data: dict[str, Any], inventory: _Inventory) -> None:
    hostvars = as_dict(as_dict(data.get("_meta")).get("hostvars"))
    for group, body in data.items():
        if group != "_meta":
            _tree_group(str(group), body, inventory, 0)
    for name, variables in hostvars.items():
        if name in inventory.hosts:
            inventory.hosts[name].update(_variables(variables))


def _tree_group(group: str, body: Any, inventory: _Inventory, depth: int) -> None:
    if depth > 32:
        raise CampaignError("groups are nested too deep", inventory.where)
    inventory.group(group)
    body = as_dict(body)
    hosts = body.get("hosts")
    for host in hosts if isinstance(hosts, dict | list) else [hosts] if isinstance(hosts, str) else []:
        variables = _variables(hosts.get(host)) if isinstance(hosts, dict) else {}
        inventory.host(str(host), group, variables, inventory.where)
    children = body.get("children")
    for child in children if isinstance(children, dict | list) else []:
        inventory.children[group].append(str(child))
        if isinstance(children, dict):
            _tree_group(str(child), children[child], inventory, depth + 1)
    inventory.variables.setdefault(group, {}).update(_variables(body.get("vars")))


def _variables(body: Any) -> dict[str, str]:
    return {key: value for key in _READ if (value := text_at(body, key)) is not None}


def _fragment(inventory: _Inventory) -> Fragment:
    groups, depth = _groups_of(inventory)
    names = Names(inventory.where)
    nodes = []
    templated = 0
    for host, own in inventory.hosts.items():
        mine = sorted(groups.get(host, set()), key=lambda group: (depth.get(group, 0), group))
        found = dict(inventory.variables.get("all", {}))
        for group in mine:
            found |= inventory.variables.get(group, {})
        found |= own
        plain = {key: value for key, value in found.items() if "{{" not in value}
        templated += len(plain) < len(found)
        nodes.append(_node(names.fresh(host), host, plain, mine, inventory))
    notes = list(inventory.notes)
    if templated:
        notes.append(
            Note(inventory.where, f"{counted(templated, 'host')} with a templated variable; it is not known here")
        )
    notes.append(Note(inventory.where, "an inventory knows neither cards nor links"))
    return Fragment(tuple(nodes), notes=(*notes, *names.all_notes()))


def _node(name: str, raw: str, found: dict[str, str], groups: list[str], inventory: _Inventory) -> FoundNode:
    port = found.get("ansible_port") or found.get("ansible_ssh_port") or ""
    if port and not (port.isdecimal() and len(port) < 6 and 1 <= int(port) <= 65_535):
        inventory.notes.append(Note(inventory.where, f'the port of "{name}" is no port; left out'))
        port = ""
    rack = found.get("rack")
    return FoundNode(
        name,
        f"{inventory.where} host {name}",
        address=found.get("ansible_host") or found.get("ansible_ssh_host") or raw,
        rack=site_name(rack) if rack else None,
        marks=frozenset(group for group in groups if group not in _NO_MARKS),
        ssh_user=found.get("ansible_user") or found.get("ansible_ssh_user"),
        ssh_port=int(port) if port else None,
    )


def _groups_of(inventory: _Inventory) -> tuple[dict[str, set[str]], dict[str, int]]:
    """Groups of every host, those above its own included; and how deep a group lies. Circles end by themselves."""
    above: dict[str, set[str]] = {}
    for group, children in inventory.children.items():
        for child in children:
            above.setdefault(child, set()).add(group)
    groups: dict[str, set[str]] = {}
    depth: dict[str, int] = {}
    for group, members in inventory.members.items():
        climbed = list(_climb(group, above))
        depth[group] = len(climbed)
        for host in members:
            groups.setdefault(host, set()).update(climbed)
    return groups, depth


def _climb(group: str, above: dict[str, set[str]]) -> Iterator[str]:
    seen: set[str] = set()
    todo = [group]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            yield one
            todo += above.get(one, ())
