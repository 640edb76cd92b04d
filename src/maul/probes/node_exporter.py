"""Ports of switches and hosts that run a node exporter: its Prometheus text, read straight from each."""

from collections.abc import Iterable, Mapping, Sequence

from maul.core.clock import Clock
from maul.core.ports import PortCounters
from maul.probes.contract import Fetch, MetricsTarget, ProbeError
from maul.probes.exposition import Series, parse
from maul.probes.targets import Scraper

SENT, RECEIVED = "node_network_transmit_bytes_total", "node_network_receive_bytes_total"
DISCARDS = "node_network_transmit_drop_total"
CARRIER, OPERATIONAL = "node_network_carrier", "node_network_up"
FAMILIES = frozenset({SENT, RECEIVED, DISCARDS, CARRIER, OPERATIONAL})


class NodeExporterReader:
    """Each node is asked itself, in turn; one that hangs costs its own ports a reading, not everybody's."""

    def __init__(self, ports: Sequence[str], url: str, fetch: Fetch, clock: Clock) -> None:
        """`ports` are `node:device`; `url` has `{node}` in the node's place."""
        self._ports: dict[str, list[str]] = {}
        for port in ports:
            node, colon, _ = port.partition(":")
            if colon:
                self._ports.setdefault(node, []).append(port)
        targets = [MetricsTarget(node, "node", url.replace("{node}", node)) for node in self._ports]
        self._scraper = Scraper(targets, fetch, clock)
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """Ports of nodes that did not answer, and ports that their node does not know."""
        return self._missing

    def read(self, now_ns: int) -> Mapping[str, PortCounters]:
        """One page of every node. Raises ProbeError when none answers."""
        self._missing = {}
        found: dict[str, PortCounters] = {}
        silent: list[str] = []
        for page in self._scraper.pages(now_ns):
            node, trouble = page.target.subject, page.trouble
            if not trouble:
                try:
                    series = list(parse(page.body.decode("utf-8", "replace"), FAMILIES))
                except ValueError as error:
                    trouble = str(error)
                else:
                    known = {f"{node}:{device}": ports for device, ports in by_device(series, page.at_ns).items()}
                    found |= {port: known[port] for port in self._ports[node] if port in known}
                    trouble = f"{node} has no such port" if known else f"{node} tells of no port"
            else:
                silent.append(trouble)
            self._missing |= {port: trouble for port in self._ports[node] if port not in found}
        if self._ports and len(silent) == len(self._ports):
            raise ProbeError(f"no node answers: {silent[0]}")
        return found


def by_device(series: Iterable[Series], at_ns: int) -> dict[str, PortCounters]:
    """Counters by device name, from series of `FAMILIES`.

    The carrier says whether the cable is alive; a port that is switched off has none. `node_network_up` is 0 for ports
    whose state Linux does not know, so it speaks only where no port of the page has a carrier.
    """
    values: dict[str, dict[str, float]] = {}
    for one in series:
        values.setdefault(one.labels.get("device", ""), {})[one.name] = one.value
    carriers = any(CARRIER in of for of in values.values())
    return {
        device: PortCounters(
            at_ns=at_ns,
            sent_bytes=of.get(SENT),
            received_bytes=of.get(RECEIVED),
            discards=of.get(DISCARDS),
            up=_up(of, carriers=carriers),
        )
        for device, of in values.items()
        if device
    }


def _up(of: Mapping[str, float], *, carriers: bool) -> bool | None:
    value = of.get(CARRIER, 0.0) if carriers else of.get(OPERATIONAL)
    return None if value is None else value == 1
