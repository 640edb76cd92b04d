"""The vantage points of a run, opened: sentinels where the load is made, the site's lookouts, its balancers' counters,
what the network announces. From them the vigil is made that a stage keeps.

    with keeping_vigil(stage, site_path, watched):      # stage.vigil is there while the block runs
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from maul.conduct.lookouts import Watched, gates_of, site_lookouts
from maul.conduct.mitigation_words import VantageWords
from maul.conduct.permission import this_sender
from maul.conduct.seconds import LOCAL
from maul.conduct.stage import Stage
from maul.conduct.target import resolved
from maul.conduct.vigil import Vigil
from maul.conduct.vip_senses import vip_senses
from maul.conduct.wits import Wits
from maul.core.event import Edge, Event, EventKind
from maul.core.vantage import Lookout, Vantage
from maul.guard.mitigation.respond_terms import Asker, Terms
from maul.guard.mitigation.terms import ClassifyTerms, same_prefix
from maul.guard.permit import may_be_hit
from maul.hosts.machine_counters import MachineCounters, machine_counters
from maul.probes.contract import Probe
from maul.probes.feeds import Feeds
from maul.probes.sampler import Reading, Sampler, SamplerThread
from maul.s3.pulse import Sentinel
from maul.s3.tcp_line import Gate
from maul.site.model import Endpoint

OTHER_PORTS = (80, 443)
"""Of the loaded address: a protection that drops one port lets the other one pass, or be refused."""
STANDS_S = 2.0
"""How long the sentinels' connections may take to stand, before anything is sent."""


@contextlib.contextmanager
def keeping_vigil(stage: Stage, site_path: Path, watched: Watched) -> Iterator[None]:
    """Look out while the block runs. MachineError for a host that cannot be had, CampaignError for a bad CA."""
    with contextlib.ExitStack() as closing:
        gates = gates_of(stage.site, watched.admitted, watched.permission)
        lookouts = dict(closing.enter_context(site_lookouts(stage.site, site_path, watched, stage.clock)))
        if stage.site.vantage.feeds:
            lookouts["feeds"] = closing.enter_context(Feeds(stage.site.vantage.feeds, watched.fetch, stage.clock))
        sentinels = _sentinels(stage, gates)
        for one in sentinels:
            closing.callback(one.close)
        place = place_of(stage, gates, sentinels=bool(sentinels))
        terms = terms_of(stage, gates, place, sentinels=bool(sentinels))
        words = words_of(stage, place, terms)
        permit = stage.target.door.permission.permit
        wits = Wits(place, terms, lambda: permit is None or permit.permit.resume)
        stage.vigil = vigil = Vigil(
            stage, [*lookouts.values(), *sentinels], wits, words, machines=lambda: _machines(stage)
        )
        probes = closing.enter_context(
            vip_senses(stage.site, site_path, watched.fetch, stage.clock, place.loaded[0] if place.loaded else None)
        )
        closing.enter_context(_counting(stage, vigil, probes))
        try:
            yield
        finally:
            stage.vigil = None


def _sentinels(stage: Stage, gates: Mapping[str, Gate]) -> list[Lookout]:
    """One where the load is made: in this process, or in each agent."""
    loaded = [name for name in loaded_of(stage) if name in gates]
    if not stage.plan.mitigation.sentinels or not loaded:
        return []
    if stage.crew is not None:
        return [stage.crew.line.lookout(loaded[0], gates)]
    sentinel = Sentinel(LOCAL, loaded[0], gates, stage.clock)
    sentinel.stands(STANDS_S)
    return [sentinel]


def _machines(stage: Stage) -> Mapping[str, MachineCounters]:
    """What the generators' machines count, where a machine is one generator's and its target is another's."""
    if stage.crew is not None and stage.plan.fleet is not None:
        own = {one.name for one in stage.plan.fleet.generators if one.host is not None}
        return {name: one for name, one in stage.crew.line.machines().items() if name in own}
    if all(may_be_hit(address) for address in stage.target.addresses.values()):
        return {}
    return {LOCAL: machine_counters()}


@contextlib.contextmanager
def _counting(stage: Stage, vigil: Vigil, probes: Sequence[Probe]) -> Iterator[None]:
    """Balancers are read once a second, on a thread of their own."""
    if not probes:
        yield
        return

    def sink(reading: Reading) -> None:
        vigil.heard(reading)
        stage.writer.samples(reading.samples)
        stage.writer.events(reading.events)

    thread = SamplerThread(Sampler(probes), stage.clock, sink, "vip")
    thread.start()
    try:
        yield
    finally:
        thread.stop()
        if thread.failure is not None:
            says = f"balancers are not read any more: {thread.failure}"
            stage.writer.events([Event(stage.clock.now_ns(), EventKind.GAP, Edge.BEGAN, "vip", says)])


# -- what the place is ---------------------------------------------------------------------------------------------


def loaded_of(stage: Stage) -> tuple[str, ...]:
    """Endpoints under load, those of the first phase that loads them first."""
    timed = [phase for phase in stage.plan.phases if phase.timed] or list(stage.plan.phases)
    return tuple(dict.fromkeys(name for phase in timed for name in phase.endpoints))


def generators_of(stage: Stage) -> dict[str, str]:
    """Generators and their racks."""
    fleet = stage.plan.fleet
    return {one.name: one.rack or "" for one in fleet.generators} if fleet is not None else {LOCAL: ""}


def place_of(stage: Stage, gates: Mapping[str, Gate], *, sentinels: bool) -> ClassifyTerms:
    """What the classifier knows of the place: doors by what they are for, who looks on, whose addresses."""
    site, loaded = stage.site, loaded_of(stage)
    addresses = {name: gate.address for name, gate in gates.items()}
    doors = {one.name: one for one in site.endpoints}
    first = next((doors[name] for name in loaded if name in doors), None)
    others = [one for one in site.endpoints if one.name not in loaded]
    return ClassifyTerms(
        generators=generators_of(stage),
        loaded=loaded,
        control=tuple(one.name for one in others if one.kind == "control"),
        neighbours=_neighbours(others, loaded, addresses),
        private=tuple(one.name for one in others if one.kind == "private"),
        lookouts={one.name: Vantage(one.role) for one in site.vantage.lookouts},
        balancers=tuple(one.service for one in site.vantage.balancers),
        feeds=tuple(one.name for one in site.vantage.feeds),
        addresses=addresses,
        sources=_sources(stage) if sentinels else {},
        port=first.port if first is not None else 443,
        other_port=_other_port(loaded, gates),
    )


def _neighbours(others: Sequence[Endpoint], loaded: Sequence[str], addresses: Mapping[str, str]) -> tuple[str, ...]:
    own = [addresses[name] for name in loaded if name in addresses]
    return tuple(
        one.name
        for one in others
        if one.name in addresses
        and one.kind not in {"private", "gateway"}
        and any(same_prefix(addresses[one.name], address) and addresses[one.name] != address for address in own)
    )


def _sources(stage: Stage) -> dict[str, str]:
    """Addresses of the generators and of the lookouts, as far as they are known: who has the same shares its fate."""
    fleet = stage.plan.fleet
    hosts = {host.name: host.address for host in stage.site.hosts}
    here = this_sender([resolved(one.name, one.url) for one in stage.target.door.endpoints]).addresses[:1]
    found = {one.name: hosts[one.host] for one in fleet.generators if one.host in hosts} if fleet is not None else {}
    if fleet is None and here:
        found[LOCAL] = here[0]
    for one in stage.site.vantage.lookouts:
        if one.source in hosts:
            found[one.name] = hosts[one.source]
        elif one.source is None and one.prometheus is None and here:
            found[one.name] = here[0]
    return found


def _other_port(loaded: Sequence[str], gates: Mapping[str, Gate]) -> int:
    """A port of the loaded address, beside the loaded one, that may be tried; 0: none may."""
    gate = next((gates[name] for name in loaded if name in gates), None)
    if gate is None:
        return 0
    return next((port for port in OTHER_PORTS if port != gate.port and (gate.ports is None or port in gate.ports)), 0)


# -- what may be asked, and what is allowed ------------------------------------------------------------------------


def terms_of(stage: Stage, gates: Mapping[str, Gate], place: ClassifyTerms, *, sentinels: bool) -> Terms:
    """What the answer is held to, as far as it does not change during a run."""
    wished, permit = stage.plan.mitigation, stage.target.door.permission.permit
    loaded = place.loaded[0] if place.loaded else ""
    idle = [Asker(Vantage.IDLE, name, loaded, rack) for name, rack in place.generators.items()] if sentinels else []
    seen = [Asker(Vantage(one.role), one.name, one.endpoint) for one in stage.site.vantage.lookouts]
    return Terms(
        loaded=place.loaded,
        askers=(*idle, *seen),
        endpoints=frozenset(place.addresses),
        other_port=_other_port(place.loaded, gates),
        act=wished.act,
        probe_s=wished.probe_s,
        recovered_after_s=wished.recovered_after_s,
        hold_max_s=wished.hold_max_s,
        resume=wished.resume,
        retrigger=permit is not None and permit.permit.retrigger,
    )


def words_of(stage: Stage, place: ClassifyTerms, terms: Terms) -> VantageWords:
    """What the record is told of all that."""
    points: dict[str, tuple[str, ...]] = {}
    for asker in terms.askers:
        kind = Vantage.SENTINEL if asker.vantage is Vantage.IDLE else asker.vantage
        points[kind] = (*points.get(kind, ()), asker.who)
    points |= {Vantage.BALANCER: tuple(place.balancers)} if place.balancers else {}
    points |= {Vantage.FEED: tuple(place.feeds)} if place.feeds else {}
    permit = stage.target.door.permission.permit
    doors = {one.name: one for one in stage.site.endpoints}
    return VantageWords(
        points={str(kind): names for kind, names in points.items()},
        act=terms.act,
        terms=place,
        tls=any(doors[name].url.startswith("https:") for name in place.loaded if name in doors),
        targets=tuple(
            f"{name} {place.addresses.get(name, doors[name].host)}:{doors[name].port}"
            for name in place.loaded
            if name in doors
        ),
        sources=tuple(dict.fromkeys(place.sources[name] for name in place.generators if name in place.sources)),
        window=f"{permit.permit.window.not_before} until {permit.permit.window.not_after}" if permit else "",
        contacts=tuple(f"{one.name}: {one.reach}" for one in permit.permit.contacts) if permit else (),
    )
