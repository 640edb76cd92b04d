"""Cross-checks of a site's network: ends are known, cards are fast enough, borrowed hosts have a way to the target.

Each check takes the sections that it names in `NETWORK_CHECKS` and yields a Problem for each thing that is wrong.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from maul.campaign.part import did_you_mean
from maul.campaign.problems import Problem
from maul.core.units import show_bitrate
from maul.site.model import Endpoint, Host, Service
from maul.site.model_network import (
    Canary,
    CounterSource,
    FailureGroup,
    Link,
    Network,
    Switch,
    Vip,
    named_port,
    node_of,
)
from maul.site.topology import islands, link_words

_NAMES_SHOWN_MAX = 3
_SUGGESTED_AMONG_MAX = 2_000  # a likely spelling is looked for among so many names; more would take minutes


def unknown(path: tuple[str | int, ...], noun: str, name: str, known: Iterable[str]) -> Problem:
    """The problem that `name` is no known `noun`, with the likeliest spelling."""
    names = sorted(set(known))
    if len(names) > _SUGGESTED_AMONG_MAX:
        near = [one for one in names if one[:2] == name[:2]][:_SUGGESTED_AMONG_MAX]
        names = near or names[:_SUGGESTED_AMONG_MAX]
    return Problem(path, f'no {noun} is named "{name}" ({did_you_mean(name, names)})')


def repeated(names: Sequence[str]) -> Iterator[tuple[int, str, int]]:
    """Where a name stands again, the name, and where it stood first."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if first.setdefault(name, index) != index:
            yield index, name, first[name]


def _hosts_and_switches_have_their_own_names(switches: Sequence[Switch], hosts: Sequence[Host]) -> Iterator[Problem]:
    names = {host.name for host in hosts}
    for index, switch in enumerate(switches):
        if switch.name in names:
            says = f'"{switch.name}" is already the name of a host; links could not tell them apart; rename one'
            yield Problem(("network", "switches", index, "name"), says)


def _switches_stand_in_racks(switches: Sequence[Switch], racks: Sequence[str]) -> Iterator[Problem]:
    known = set(racks)
    for index, switch in enumerate(switches):
        if switch.rack is not None and switch.rack not in known:
            yield unknown(("network", "switches", index, "rack"), "rack", switch.rack, known)


def _cards_have_their_own_names(hosts: Sequence[Host]) -> Iterator[Problem]:
    for index, host in enumerate(hosts):
        for card, name, first in repeated([nic.name for nic in host.nics]):
            says = f'"{name}" is already the name of nics[{first}]; rename one'
            yield Problem(("hosts", index, "nics", card, "name"), says)


def _ends_are_known(links: Sequence[Link], switches: Sequence[Switch], hosts: Sequence[Host]) -> Iterator[Problem]:
    known = {host.name for host in hosts} | {switch.name for switch in switches}
    for index, link in enumerate(links):
        for end, node in enumerate(link.nodes):
            if node not in known:
                yield unknown(("network", "links", index, "between", end), "host or switch", node, known)


def _links_are_told_apart(links: Sequence[Link]) -> Iterator[Problem]:
    first: dict[frozenset[str], int] = {}
    ports: dict[str, int] = {}
    for index, link in enumerate(links):
        path = ("network", "links", index, "between")
        if link.nodes[0] == link.nodes[1]:
            yield Problem(path, f'both ends are at "{link.nodes[0]}"; a link leads from one host or switch to another')
            continue
        before = first.setdefault(frozenset(link.between), index)
        if before != index:
            yield Problem(path, f"is the same as links[{before}]; drop one, or name the ports of both (tor-r1:eth49)")
            continue
        for end, port in enumerate(link.between):
            if named_port(port) and ports.setdefault(port, index) != index:
                says = (
                    f"the port {port} is already an end of links[{ports[port]}]; a bond over two switches is two links"
                )
                yield Problem((*path, end), f"{says}, each at a card of its own")


def _cards_can_carry_their_links(links: Sequence[Link], hosts: Sequence[Host]) -> Iterator[Problem]:
    speeds = {host.name: {nic.name: nic.speed for nic in host.nics} for host in hosts}
    for index, link in enumerate(links):
        for end, port in enumerate(link.between):
            node, name = node_of(port), named_port(port)
            cards = speeds.get(node)
            if not cards:
                continue  # a switch, an unknown end, or a host whose cards the site does not name
            if name is not None and name not in cards:
                path = ("network", "links", index, "between", end)
                yield Problem(path, f'the host {node} has no card "{name}" ({did_you_mean(name, cards)})')
                continue
            speed = cards[name] if name is not None else sum(cards.values())
            if link.capacity > speed:
                what = f"the card {port}" if name is not None else f"all cards of {node} together"
                says = (
                    f"{show_bitrate(link.capacity)} is more than {what} can carry ({show_bitrate(speed)}); correct one"
                )
                yield Problem(("network", "links", index, "capacity"), says)


def _background_fits(links: Sequence[Link]) -> Iterator[Problem]:
    for index, link in enumerate(links):
        for key, rate in (("out", link.background.out_bps), ("back", link.background.back_bps)):
            if rate > link.capacity:
                says = f"{show_bitrate(rate)} is more than the link carries ({show_bitrate(link.capacity)})"
                yield Problem(("network", "links", index, "background", key), f"{says}; correct one")


def _vips_lead_to_the_target(vips: Sequence[Vip], hosts: Sequence[Host]) -> Iterator[Problem]:
    names = {host.name for host in hosts}
    for index, vip in enumerate(vips):
        for place, name in enumerate(vip.hosts):
            if name not in names:
                yield unknown(("network", "vips", index, "hosts", place), "host", name, names)
        for place, name, first in repeated(vip.hosts):
            says = f'"{name}" already stands at hosts[{first}]; drop one'
            yield Problem(("network", "vips", index, "hosts", place), says)


def _vips_open_endpoints(vips: Sequence[Vip], endpoints: Sequence[Endpoint]) -> Iterator[Problem]:
    names = {endpoint.name for endpoint in endpoints}
    for index, vip in enumerate(vips):
        if vip.endpoint not in names:
            yield unknown(("network", "vips", index, "endpoint"), "endpoint", vip.endpoint, names)


def _groups_name_what_is_there(
    groups: Sequence[FailureGroup], switches: Sequence[Switch], links: Sequence[Link]
) -> Iterator[Problem]:
    names = {switch.name for switch in switches}
    ends = {frozenset(link.between): link.between for link in links}
    for index, group in enumerate(groups):
        if not group.switches and not group.links:
            yield Problem(("network", "groups", index), "names nothing that fails; add switches or links, or drop it")
        for place, name in enumerate(group.switches):
            if name not in names:
                yield unknown(("network", "groups", index, "switches", place), "switch", name, names)
        for place, pair in enumerate(group.links):
            if frozenset(pair) not in ends:
                yield Problem(("network", "groups", index, "links", place), _no_such_link(pair, ends.values()))


def _no_such_link(pair: tuple[str, str], known: Iterable[tuple[str, str]]) -> str:
    near = [ends for ends in known if {node_of(end) for end in ends} == {node_of(end) for end in pair}]
    shown = ", ".join(link_words(ends) for ends in near[:_NAMES_SHOWN_MAX])
    cure = f"did you mean {shown}?" if near else "none leads from the one to the other"
    return f"there is no {link_words(pair)} ({cure})"


def _canaries_are_customers(canaries: Sequence[Canary], hosts: Sequence[Host]) -> Iterator[Problem]:
    known = {host.name: host for host in hosts}
    for index, canary in enumerate(canaries):
        for key, name in (("from", canary.source), ("to", canary.target)):
            path = ("network", "canaries", index, key)
            if name not in known:
                yield unknown(path, "host", name, known)
            elif known[name].borrow is not None:
                says = f'"{name}" may be borrowed, so what it feels is what we do to it; name a host of a customer'
                yield Problem(path, f"{says}, or take its borrow away")
        if canary.source == canary.target:
            says = f'"{canary.source}" would only feel itself; name two hosts'
            yield Problem(("network", "canaries", index, "to"), says)


def _borrowed_hosts_reach_the_target(
    hosts: Sequence[Host], switches: Sequence[Switch], links: Sequence[Link], vips: Sequence[Vip]
) -> Iterator[Problem]:
    whole = Network(switches=tuple(switches), links=tuple(links))
    homes: dict[str, set[int]] = {}
    for number, island in enumerate(islands(whole)):
        for name in island:
            homes.setdefault(name, set()).add(number)
    borrowed = [(index, host.name) for index, host in enumerate(hosts) if host.borrow is not None]
    for index, name in borrowed:
        if name not in homes:
            says = f'"{name}" may be borrowed and is at no end of any link; add its link, or take its borrow away'
            yield Problem(("hosts", index, "borrow"), says, at_key=True)
    names = {host.name for host in hosts}
    for number, vip in enumerate(vips):
        for place, server in enumerate(vip.hosts):
            if server not in names:
                continue
            path = ("network", "vips", number, "hosts", place)
            if server not in homes:
                yield Problem(path, f'"{server}" is at no end of any link, so no load reaches it; add its link')
                continue
            cut = [name for _, name in borrowed if name in homes and not homes[name] & homes[server]]
            if cut:
                yield Problem(
                    path, f'no way leads to "{server}" from {_some(cut)}, which may be borrowed; add the link'
                )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:_NAMES_SHOWN_MAX])
    return shown if len(names) <= _NAMES_SHOWN_MAX else f"{shown} and {len(names) - _NAMES_SHOWN_MAX} more"


def _counters_can_be_asked(counters: CounterSource | None, kind: str) -> Iterator[Problem]:
    if counters is None:
        return
    path = ("network", "counters")
    if counters.kind == "lab":
        if kind != "lab":
            yield Problem(
                (*path, "kind"), "only maul's own lab has counters of its own; use node-exporter or prometheus"
            )
    elif counters.url is None:
        yield Problem(path, 'the key "url" is missing; add it', at_key=True)
    elif counters.kind == "node-exporter" and "{node}" not in counters.url:
        says = "each host and switch answers for itself; write {node} in the host's place: http://{node}:9100/metrics"
        yield Problem((*path, "url"), says)
    elif counters.kind == "prometheus" and "{node}" in counters.url:
        yield Problem((*path, "url"), "one server knows all; write its own address instead of {node}")


def _lent_hosts_are_not_the_target(hosts: Sequence[Host], services: Sequence[Service]) -> Iterator[Problem]:
    busy = Counter(service.host for service in services)
    for index, host in enumerate(hosts):
        if host.borrow is not None and busy[host.name]:
            says = f'"{host.name}" runs {busy[host.name]} service(s) of the target; load from it would measure itself'
            yield Problem(("hosts", index, "borrow"), f"{says}; take its borrow away", at_key=True)


NETWORK_CHECKS: tuple[tuple[Callable[..., Iterator[Problem]], tuple[str, ...]], ...] = (
    (_cards_have_their_own_names, ("hosts",)),
    (_lent_hosts_are_not_the_target, ("hosts", "services")),
    (_hosts_and_switches_have_their_own_names, ("network.switches", "hosts")),
    (_switches_stand_in_racks, ("network.switches", "racks")),
    (_ends_are_known, ("network.links", "network.switches", "hosts")),
    (_links_are_told_apart, ("network.links",)),
    (_cards_can_carry_their_links, ("network.links", "hosts")),
    (_background_fits, ("network.links",)),
    (_vips_lead_to_the_target, ("network.vips", "hosts")),
    (_vips_open_endpoints, ("network.vips", "endpoints")),
    (_groups_name_what_is_there, ("network.groups", "network.switches", "network.links")),
    (_canaries_are_customers, ("network.canaries", "hosts")),
    (_borrowed_hosts_reach_the_target, ("hosts", "network.switches", "network.links", "network.vips")),
    (_counters_can_be_asked, ("network.counters", "kind")),
)
