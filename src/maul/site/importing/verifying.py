"""Verify: what LLDP sees against what a site says. Only hosts that were asked can confirm or contradict."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maul.site.importing.fragment import FoundLink, Fragment, same_port
from maul.site.model import Site
from maul.site.model_network import Link, named_port, node_of


@dataclass(frozen=True, slots=True)
class Difference:
    """`contradicted`: LLDP sees otherwise than the site says. `unseen`: the site has a cable that nobody who was asked
    sees. `outside`: a neighbour that the site does not know."""

    kind: Literal["contradicted", "unseen", "outside"]
    where: str
    says: str

    def line(self) -> str:
        """In one line."""
        return f"{self.where}: {self.says}" if self.where else self.says


@dataclass(frozen=True, slots=True)
class Verified:
    """What came out."""

    differences: tuple[Difference, ...]
    confirmed: int
    """Links of the site that LLDP confirms."""
    asked: tuple[str, ...]
    """Hosts whose LLDP was given."""


def verify(site: Site, asked: Sequence[tuple[str, Fragment]]) -> Verified:
    """The site against fragments of LLDP, each with the name of the host that it is of."""
    network = site.network
    links = network.links if network is not None else ()
    names = {host.name for host in site.hosts} | {switch.name for switch in (network.switches if network else ())}
    called = {name: _called(name, names) for _, fragment in asked for node in fragment.nodes for name in [node.name]}
    views = {called.get(host, host) for host, _ in asked}
    heard = dict(_renamed(link, called) for _, fragment in asked for link in fragment.links)
    by_pair: dict[frozenset[str], list[int]] = defaultdict(list)
    for index, link in enumerate(links):
        by_pair[frozenset(link.nodes)].append(index)
    found: list[Difference] = []
    confirmed: set[int] = set()
    for ends, where in heard.items():
        pair = frozenset(node_of(port) for port in ends)
        strange = sorted(pair - names)
        if strange:
            says = f"{ends[0]} – {ends[1]} is seen, and the site knows no {' and no '.join(strange)}"
            found.append(Difference("outside", where, says))
            continue
        same = [index for index in by_pair[pair] if _same_link(links[index], ends)]
        confirmed.update(same[:1])
        if not same:
            found.append(_contradicted(site, ends, where, [links[index] for index in by_pair[pair]]))
    for index, link in enumerate(links):
        seen_from = sorted(set(link.nodes) & views)
        if index not in confirmed and seen_from:
            says = f"{link.between[0]} – {link.between[1]} is not seen from {' nor '.join(seen_from)}"
            found.append(Difference("unseen", site.where("network", "links", index), says))
    return Verified(tuple(found), len(confirmed), tuple(sorted(views)))


def _called(name: str, names: set[str]) -> str:
    """The site's name of a machine that LLDP knows with or without its domain."""
    if name in names:
        return name
    short = name.partition(".")[0]
    if short in names:
        return short
    longer = [one for one in names if one.partition(".")[0] == short]
    return longer[0] if len(longer) == 1 else name


def _renamed(link: FoundLink, called: dict[str, str]) -> tuple[tuple[str, str], str]:
    first, second = (f"{called.get(node_of(port), node_of(port))}{port[len(node_of(port)) :]}" for port in link.ends)
    return (first, second), link.where


def _same_link(link: Link, ends: tuple[str, str]) -> bool:
    return any(
        all(node_of(mine) == node_of(seen) and same_port(named_port(mine), named_port(seen)) for mine, seen in pairs)
        for pairs in (tuple(zip(link.between, ends, strict=True)), tuple(zip(link.between, ends[::-1], strict=True)))
    )


def _contradicted(site: Site, ends: tuple[str, str], where: str, between: list[Link]) -> Difference:
    seen = f"{ends[0]} – {ends[1]} is seen"
    if between:
        told = ", ".join(f"{link.between[0]} – {link.between[1]}" for link in between[:3])
        return Difference("contradicted", where, f"{seen}; the site has other ports: {told}")
    taken = [
        f"{link.between[0]} – {link.between[1]}"
        for link in (site.network.links if site.network else ())
        for mine in link.between
        for port in ends
        if named_port(port)
        and node_of(mine) == node_of(port)
        and named_port(mine)
        and same_port(named_port(mine), named_port(port))
    ]
    told = f"; the site has {', '.join(taken[:2])}" if taken else "; the site has no such link"
    return Difference("contradicted", where, seen + told)
