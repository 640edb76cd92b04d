"""The senses of a network: its links and its canaries, pointed where the site says that they are told of."""

from collections.abc import Sequence
from dataclasses import dataclass

from maul.core.clock import Clock
from maul.core.ports import PortCounters, PortReader
from maul.probes.canary import CanaryFile, CanaryFiles, CanaryProbe, CanaryQuery, CanaryReader
from maul.probes.contract import Fetch, Probe
from maul.probes.links import CounterReader, FunctionReader, LinkProbe, WatchedLink
from maul.probes.node_exporter import NodeExporterReader
from maul.probes.prometheus_ports import Node, PrometheusReader
from maul.site import Site
from maul.site.model_network import Link, Network


@dataclass(frozen=True, slots=True)
class LabSenses:
    """What maul's own lab tells of its network: its ports, and where its customers write."""

    ports: PortReader | None = None
    canary_files: CanaryFiles | None = None


def network_probes(site: Site, fetch: Fetch, clock: Clock, lab: LabSenses | None = None) -> list[Probe]:
    """The link probe and the canary probe, as far as the site says where to look; none without a network.

    Read them at most as often as `Network.counters.every_s` says: faster gives nothing newer.
    """
    network, lab = site.network, lab or LabSenses()
    if network is None:
        return []
    probes: list[Probe] = []
    reader = _reader(site, network, fetch, clock, lab)
    if reader is not None and network.counters is not None and network.links:
        links = [WatchedLink(*link.between, link.capacity) for link in network.links]
        probes.append(LinkProbe(links, _Alias(site, network.links, reader), network.counters.every_s))
    canaries = _canaries(network, fetch, lab)
    if canaries:
        probes.append(CanaryProbe(canaries))
    return probes


def counting_port(site: Site, port: str) -> str:
    """The port whose counters tell of a link's end: a host with a single card needs to name none."""
    if ":" in port:
        return port
    nics = next((host.nics for host in site.hosts if host.name == port), ())
    return f"{port}:{nics[0].name}" if len(nics) == 1 else port


class _Alias:
    """Reads ports under the names that the links use."""

    def __init__(self, site: Site, links: Sequence[Link], reader: CounterReader) -> None:
        ends = {end for link in links for end in link.between}
        self._counting = {end: counting_port(site, end) for end in ends}
        self._reader = reader

    @property
    def missing(self) -> dict[str, str]:
        found = self._reader.missing
        return {end: found[port] for end, port in self._counting.items() if port in found}

    def read(self, now_ns: int) -> dict[str, PortCounters]:
        found = self._reader.read(now_ns)
        return {end: found[port] for end, port in self._counting.items() if port in found}


def _reader(site: Site, network: Network, fetch: Fetch, clock: Clock, lab: LabSenses) -> CounterReader | None:
    source = network.counters
    if source is None:
        return None
    ports = sorted({counting_port(site, end) for link in network.links for end in link.between})
    if source.kind == "lab":
        return FunctionReader(lab.ports) if lab.ports is not None else None
    if source.url is None:
        return None
    if source.kind == "node-exporter":
        return NodeExporterReader(ports, source.url, fetch, clock)
    nodes = [Node(switch.name) for switch in network.switches]
    nodes += [Node(host.name, host.address) for host in site.hosts]
    return PrometheusReader(ports, nodes, source.url, fetch, source.every_s)


def _canaries(network: Network, fetch: Fetch, lab: LabSenses) -> dict[str, CanaryReader]:
    source = network.counters
    url = source.url if source is not None and source.kind == "prometheus" else None
    readers: dict[str, CanaryReader] = {}
    for canary in network.canaries:
        if canary.selector is not None and url is not None:
            readers[canary.name] = CanaryQuery(url, canary.selector, fetch)
        elif canary.selector is None and lab.canary_files is not None:
            readers[canary.name] = CanaryFile(lab.canary_files(canary.name))
    return readers
