"""Ports that a Prometheus knows: of switches by SNMP (IF-MIB), of Linux machines by their node exporters."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from maul.core.errors import MaulError
from maul.core.ports import PortCounters
from maul.probes import node_exporter
from maul.probes.contract import Fetch, ProbeError, why_not
from maul.probes.prometheus import Range, ask

NODES_PER_QUERY = 10
"""So that an answer about switches of many ports stays within what one fetch takes (4 MiB)."""
RANGE_POLLS = 5
RANGE_MIN_S = 60.0
_SENT = ("ifHCOutOctets", node_exporter.SENT, "ifOutOctets")  # the first that is there is taken
_RECEIVED = ("ifHCInOctets", node_exporter.RECEIVED, "ifInOctets")
_DISCARDS = ("ifOutDiscards", node_exporter.DISCARDS)
_UP = ("ifOperStatus", node_exporter.CARRIER, node_exporter.OPERATIONAL)
_NARROW = frozenset({"ifInOctets", "ifOutOctets", "ifOutDiscards"})  # Counter32 in the MIB
_PORT_LABELS = ("ifName", "ifDescr", "device")  # not ifAlias: nothing keeps two ports from having one
_NAMES = "|".join((*_SENT, *_RECEIVED, *_DISCARDS, *_UP))
_OPER_UP, _OPER_UNKNOWN = 1, 4


@dataclass(frozen=True, slots=True)
class Node:
    """A switch or host: its name in the site, and the address by which Prometheus may know it instead."""

    name: str
    address: str | None = None


class PrometheusReader:
    """One query for each 10 nodes; values carry the times at which Prometheus scraped them."""

    def __init__(
        self, ports: Sequence[str], nodes: Sequence[Node], url: str, fetch: Fetch, every_s: float = 15.0
    ) -> None:
        """`ports` are `node:port`, the port by its ifName, ifDescr or device; `url` is Prometheus's own.

        The label `instance` must be the node's name or address, with a port or a domain behind it or without.
        """
        self._wanted = [port for port in ports if ":" in port]
        names = {port.partition(":")[0] for port in self._wanted}
        self._nodes = [node for node in nodes if node.name in names]
        self._url, self._fetch = url, fetch
        self._range_s = max(RANGE_MIN_S, RANGE_POLLS * every_s)
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """Ports of which Prometheus has no recent sample."""
        return self._missing

    def read(self, now_ns: int) -> Mapping[str, PortCounters]:
        """The newest sample of every port. Raises ProbeError when Prometheus does not answer at all."""
        del now_ns
        found: dict[str, PortCounters] = {}
        troubles: dict[str, str] = {}
        for batch in self._batches():
            try:
                series = ask(self._fetch, self._url, selector(batch), self._range_s)
            except (MaulError, OSError) as error:
                troubles |= dict.fromkeys((node.name for node in batch), why_not(error))
            else:
                found |= ports_of(series, batch)
        if self._nodes and len(troubles) == len(self._nodes):
            raise ProbeError(f"Prometheus does not answer: {next(iter(troubles.values()))}", self._url)
        self._missing = {
            port: troubles.get(port.partition(":")[0], f"Prometheus has no recent sample of {port}")
            for port in self._wanted
            if port not in found
        }
        return {port: found[port] for port in self._wanted if port in found}

    def _batches(self) -> Iterator[Sequence[Node]]:
        for first in range(0, len(self._nodes), NODES_PER_QUERY):
            yield self._nodes[first : first + NODES_PER_QUERY]


def selector(nodes: Sequence[Node]) -> str:
    """PromQL that finds every counter of these nodes.

    >>> selector([Node("tor-r1", "10.0.0.1")]).rpartition(",")[2]
    'instance=~`(tor\\\\-r1|10\\\\.0\\\\.0\\\\.1)([.].*)?(:[0-9]+)?`}'
    """
    names = [re.escape(name) for node in nodes for name in (node.name, node.address) if name and "`" not in name]
    return f"{{__name__=~`{_NAMES}`,instance=~`({'|'.join(names)})([.].*)?(:[0-9]+)?`}}"


def ports_of(series: Sequence[Range], nodes: Sequence[Node]) -> dict[str, PortCounters]:
    """Counters by port, under every name that the port goes by."""
    known = {alias: node.name for node in nodes for alias in (node.name, node.address) if alias}
    newest: dict[str, dict[str, tuple[int, float]]] = {}
    for one in series:
        node = _node(one.labels.get("instance", ""), known)
        value = _value(one)
        if node is None or value is None:
            continue
        for label in _PORT_LABELS:
            if one.labels.get(label):
                of_port = newest.setdefault(f"{node}:{one.labels[label]}", {})
                of_port[one.name] = max(of_port.get(one.name, value), value)
    return {port: _counters(of) for port, of in newest.items()}


def _node(instance: str, known: Mapping[str, str]) -> str | None:
    host = re.sub(r":[0-9]+$", "", instance)
    return known.get(host) or known.get(host.partition(".")[0])


def _value(one: Range) -> tuple[int, float] | None:
    at_ns, value = one.points[-1]
    if one.name != "ifOperStatus":
        return at_ns, value
    state = one.labels.get("ifOperStatus")  # some exporters make a series of each state
    if state is not None:
        return (at_ns, float(state == "up")) if value == 1 else None
    return (at_ns, float(value == _OPER_UP)) if value != _OPER_UNKNOWN else None


def _counters(of: Mapping[str, tuple[int, float]]) -> PortCounters:
    def first(names: Sequence[str]) -> str:
        return next((name for name in names if name in of), "")

    def value(name: str) -> float | None:
        return of[name][1] if name else None

    sent, received, discards, up = first(_SENT), first(_RECEIVED), first(_DISCARDS), first(_UP)
    octets = [name for name in (sent, received) if name]
    counted = octets or [name for name in (discards, up) if name]
    state = value(up)
    return PortCounters(
        at_ns=min(of[name][0] for name in counted),
        sent_bytes=value(sent),
        received_bytes=value(received),
        discards=value(discards),
        up=None if state is None else state == 1,
        octet_bits=32 if any(name in _NARROW for name in octets) else 64,
        discard_bits=32 if discards in _NARROW else 64,
    )
