"""Fragment: what one source knows of a place, in no hurry to be a site. Its names are names that a site can have."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

NAME_LENGTH_MAX = 63
_PORT = re.compile(r"([A-Za-z_ -]*)(.*)")


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know: what was left out, inferred or not known. `where` is the file or its part."""

    where: str
    says: str

    def line(self) -> str:
        """In one line."""
        return f"{self.where}: {self.says}"


@dataclass(frozen=True, slots=True)
class FoundNic:
    """A card; `speed_bps` in bits per second, None when the source does not say."""

    name: str
    speed_bps: float | None = None
    bond: str | None = None
    """The bond that it is a part of; the bond itself is listed, too."""


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A device: what it is, the rules decide by its `marks` (roles, groups, tags, `label=value`)."""

    name: str
    where: str
    address: str | None = None
    rack: str | None = None
    marks: frozenset[str] = frozenset()
    nics: tuple[FoundNic, ...] = ()
    owner: str | None = None
    ssh_user: str | None = None
    ssh_port: int | None = None
    ssh_address: str | None = None
    is_switch: bool | None = None
    """None: the source does not say."""


@dataclass(frozen=True, slots=True)
class FoundLink:
    """A cable or bundle. Ends are `node:port`, or `node` where the port is not known; `capacity_bps` of all members."""

    ends: tuple[str, str]
    where: str
    capacity_bps: float | None = None
    members: int = 1


@dataclass(frozen=True, slots=True)
class Fragment:
    """What one source, or many together, know."""

    nodes: tuple[FoundNode, ...] = ()
    links: tuple[FoundLink, ...] = ()
    racks: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def site_name(raw: str) -> str:
    """A name that a site can have, as near to `raw` as possible.

    >>> site_name("SRV-01 (Büro)"), site_name("Rack A/3"), site_name("服务器")
    ('srv-01-buro', 'rack-a-3', 'x-670d-52a1-5668')
    """
    plain = unicodedata.normalize("NFKD", raw).encode("ascii", "ignore").decode("ascii").lower()
    name = re.sub(r"[^a-z0-9_.-]+", "-", plain).strip("-_.")
    if not name:
        name = "-".join(["x", *(f"{ord(sign):x}" for sign in raw.strip()[:8])])
    return name[:NAME_LENGTH_MAX].rstrip("-_.") or "x"


def port_name(raw: str) -> str:
    """A port as links can name it: no spaces, no `>`.

    >>> port_name("Port-Channel 1"), port_name(" Eth1/49 ")
    ('Port-Channel_1', 'Eth1/49')
    """
    return re.sub(r"[\s>]+", "_", raw.strip())[:NAME_LENGTH_MAX]


def end(node: str, port: str | None) -> str:
    """An end of a link.

    >>> end("tor-1", "eth49"), end("tor-1", None)
    ('tor-1:eth49', 'tor-1')
    """
    named = port_name(port) if port else ""
    return f"{node}:{named}" if named else node


def same_port(one: str | None, other: str | None) -> bool:
    """Two spellings of one port; a port that nobody named may be any.

    >>> same_port("Eth1/49", "Ethernet1/49"), same_port("Gi0/1", "gigabitethernet0/1"), same_port("eth1", "eth2")
    (True, True, False)
    """
    if one is None or other is None or one == other:
        return True
    first, second = _PORT.fullmatch(one), _PORT.fullmatch(other)
    if first is None or second is None or first.group(2) != second.group(2) or not first.group(2):
        return False
    letters = [re.sub(r"[^a-z]", "", match.group(1).lower()) for match in (first, second)]
    return bool(all(letters)) and (letters[0].startswith(letters[1]) or letters[1].startswith(letters[0]))


@dataclass
class Names:
    """Gives every thing a name of its own, and notes which had to be changed."""

    where: str
    taken: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    _changed: int = 0

    def fresh(self, raw: str) -> str:
        """A name for a new thing that is called `raw` elsewhere."""
        name = first = site_name(raw)
        number = 1
        while name in self.taken:
            number += 1
            name = f"{first[: NAME_LENGTH_MAX - 8]}-{number}"
        if number > 1:
            also = self.taken[first]
            says = f'"{raw}" is called {name} here, for "{also}" already has the name {first}'
            self.notes.append(Note(self.where, says))
        elif name != raw:
            self._changed += 1
        self.taken[name] = raw
        return name

    def all_notes(self) -> tuple[Note, ...]:
        """One line per clash, and how many names were spelt otherwise."""
        if not self._changed:
            return tuple(self.notes)
        says = f"{counted(self._changed, 'name')} had signs that a site's names cannot have: spelt otherwise here"
        return (*self.notes, Note(self.where, says))


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "link"), counted(3, "link"), counted(2, "switch")
    ('1 link', '3 links', '2 switches')
    """
    plural = noun + ("es" if noun.endswith(("ch", "s")) else "s")
    return f"{number} {noun if number == 1 else plural}"


def some(names: Iterable[str], most: int = 5) -> str:
    """The first few of many.

    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return f"{', '.join(listed[:most])}{more}"
