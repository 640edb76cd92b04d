"""Rules: what a device is, by its marks: the roles, groups, tags and labels that a source gives it.

Patterns are those of a shell (`storage*`), whatever the case; they are held against every mark and the name.
"""

import fnmatch
import re
from dataclasses import dataclass
from typing import Literal

from maul.site.importing.fragment import FoundNode
from maul.site.model import Role

Tier = Literal["leaf", "spine", "core", "edge"]

_TIER_WORDS: dict[Tier, frozenset[str]] = {
    "leaf": frozenset({"leaf", "leafs", "leaves", "tor", "tors", "access", "switch", "switches"}),
    "spine": frozenset({"spine", "spines", "aggregation", "aggr", "distribution", "dist"}),
    "core": frozenset({"core", "cores", "superspine"}),
    "edge": frozenset({"edge", "edges", "border", "router", "routers", "firewall", "firewalls", "gw", "wan"}),
}
_TIERS_BY_STRENGTH: tuple[Tier, ...] = ("spine", "core", "edge", "leaf")  # "core-switch" is a core
_PASSIVE_WORDS = frozenset({"pdu", "pdus", "ups", "patch", "panel", "console", "kvm", "blank", "shelf", "cabling"})
_WHOLE_MARKS: dict[str, Tier] = {"top-of-rack": "leaf", "end-of-row": "spine", "super-spine": "core"}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the marks mean. Empty: only what is commonly understood (`spine`, `tor`, `leaf-switch` …)."""

    roles: tuple[tuple[Role, str], ...] = ()
    """Services of the target: (`volume`, `storage*`)."""
    tiers: tuple[tuple[Tier, str], ...] = ()
    """Switches: (`leaf`, `access-*`). They go before what is commonly understood."""
    racks: tuple[str, ...] = ("rack*",)
    """Marks that are racks, where the source has no word for a rack."""
    hosts: tuple[str, ...] = ()
    """Hosts although their marks or LLDP make them look like switches: Linux machines that bridge or route."""
    borrow: tuple[str, ...] = ()
    """Hosts that may be borrowed."""
    leave_out: tuple[str, ...] = ()
    """Devices that are none of our business."""
    capacity_bps: float | None = None
    """Of links whose capacity no source knows."""
    endpoint: str | None = None
    """The URL that customers use."""

    def roles_of(self, node: FoundNode) -> tuple[Role, ...]:
        """Roles of the services that run there."""
        return tuple(dict.fromkeys(role for role, pattern in self.roles if matches(node, pattern)))

    def may_be_borrowed(self, node: FoundNode) -> bool:
        """Somebody said so."""
        return any(matches(node, pattern) for pattern in self.borrow)

    def is_host(self, node: FoundNode) -> bool:
        """Somebody said so."""
        return any(matches(node, pattern) for pattern in self.hosts)

    def is_left_out(self, node: FoundNode) -> bool:
        """Somebody said so, or it carries no traffic: a patch panel, a power strip."""
        if any(matches(node, pattern) for pattern in self.leave_out):
            return True
        return not node.nics and any(_words(mark) & _PASSIVE_WORDS for mark in node.marks)

    def tier_of(self, node: FoundNode) -> Tier | None:
        """Where it stands as a switch; None when its marks do not make it one."""
        for tier, pattern in self.tiers:
            if matches(node, pattern):
                return tier
        if node.is_switch is False or self.is_host(node):
            return None
        marks = [mark.lower() for mark in node.marks]
        for mark in sorted(marks):
            if mark in _WHOLE_MARKS:
                return _WHOLE_MARKS[mark]
        words = frozenset().union(*(_words(mark) for mark in marks))
        if node.is_switch:
            words |= _words(node.name)
        return next((tier for tier in _TIERS_BY_STRENGTH if words & _TIER_WORDS[tier]), None)

    def rack_of(self, node: FoundNode) -> str | None:
        """The mark that is its rack; None when there is none or more than one."""
        found = {mark for mark in node.marks for pattern in self.racks if _like(mark, pattern)}
        return found.pop() if len(found) == 1 else None


def matches(node: FoundNode, pattern: str) -> bool:
    """The pattern fits the name or a mark."""
    return _like(node.name, pattern) or any(_like(mark, pattern) for mark in node.marks)


def _like(word: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(word.lower(), pattern.lower())


def _words(mark: str) -> frozenset[str]:
    """`storage` is no `tor`: only whole words count; digits at the end do not.

    >>> sorted(_words("leaf-switch_01")), sorted(_words("spine2"))
    (['leaf', 'switch'], ['spine'])
    """
    return frozenset(word for word in re.split(r"[^a-z]+", mark.lower()) if word)
