"""Links from counters: which end is believed, wraps, restarts, gaps, staleness; canaries; on real formats."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maul.core.clock import FakeClock
from maul.core.ports import PortCounters
from maul.core.sample import Sample
from maul.probes.canary import CanaryFile, CanaryProbe, CanaryQuery
from maul.probes.contract import ProbeError
from maul.probes.links import FunctionReader, LinkProbe, WatchedLink
from maul.probes.network_wiring import LabSenses, network_probes
from maul.probes.node_exporter import NodeExporterReader
from maul.probes.port_rates import PortRates
from maul.probes.prometheus_ports import Node, PrometheusReader, selector
from maul.probes.sampler import Sampler
from maul.s3.fetch import fetch
from maul.site.loading import parse as parse_site

S = 1_000_000_000
T0 = 1_700_000_000 * S
UP, DOWN = "tor-r1:up0", "spine:dn-r1"
LINK = WatchedLink(UP, DOWN, 1e9)


def told(samples: list[Sample]) -> dict[tuple[str, str], float]:
    return {(s.subject, s.metric): s.value for s in samples}


class Ports:
    """A reader whose counters a test sets."""

    def __init__(self) -> None:
        self.now: dict[str, PortCounters] = {}
        self.missing: Mapping[str, str] = {}

    def read(self, now_ns: int) -> Mapping[str, PortCounters]:
        return self.now


def test_both_directions_from_one_end() -> None:
    ports = Ports()
    probe = LinkProbe([LINK], ports)
    ports.now = {UP: PortCounters(T0, 1000, 500, 7, True)}
    assert told(probe.read(T0)) == {(f"{UP}>{DOWN}", "up"): 1.0, (f"{DOWN}>{UP}", "up"): 1.0}
    ports.now = {UP: PortCounters(T0 + 2 * S, 3000, 1000, 9, True)}
    assert told(probe.read(T0 + 2 * S)) == {
        (f"{UP}>{DOWN}", "bits_per_s"): 8000.0,
        (f"{UP}>{DOWN}", "discards_per_s"): 1.0,
        (f"{UP}>{DOWN}", "up"): 1.0,
        (f"{DOWN}>{UP}", "bits_per_s"): 2000.0,
        (f"{DOWN}>{UP}", "up"): 1.0,
    }


def test_the_sender_is_believed_and_the_receiver_steps_in_at_once() -> None:
    ports = Ports()
    probe = LinkProbe([LINK], ports)
    for second, sent in ((0, 0), (1, 1000)):
        at_ns = T0 + second * S
        ports.now = {UP: PortCounters(at_ns, sent), DOWN: PortCounters(at_ns, 0, 900 * second)}
        found = told(probe.read(at_ns))
    assert found[f"{UP}>{DOWN}", "bits_per_s"] == 8000.0
    ports.now = {DOWN: PortCounters(T0 + 2 * S, 0, 1900)}
    assert told(probe.read(T0 + 2 * S))[f"{UP}>{DOWN}", "bits_per_s"] == 8000.0


def test_either_end_says_down() -> None:
    ports = Ports()
    probe = LinkProbe([LINK], ports)
    ports.now = {UP: PortCounters(T0, 0, 0, 0, True), DOWN: PortCounters(T0, 0, 0, 0, False)}
    assert told(probe.read(T0))[f"{UP}>{DOWN}", "up"] == 0.0


def test_nothing_newer_no_sample() -> None:
    ports = Ports()
    probe = LinkProbe([LINK], ports, every_s=15)
    ports.now = {UP: PortCounters(T0, 0, 0, 0, True)}
    probe.read(T0)
    ports.now = {UP: PortCounters(T0 + 15 * S, 15_000, 0, 0, True)}
    samples = probe.read(T0 + 17 * S)
    assert {s.at_ns for s in samples} == {T0 + 15 * S}
    assert told(samples)[f"{UP}>{DOWN}", "bits_per_s"] == 8000.0
    assert probe.read(T0 + 20 * S) == []
    assert not probe.missing


def test_what_nobody_tells_is_missing_and_all_missing_is_a_gap() -> None:
    ports = Ports()
    other = WatchedLink("a", "b", 1e9)
    probe = LinkProbe([LINK, other], ports)
    ports.now = {UP: PortCounters(T0, 0, 0)}
    probe.read(T0)
    assert set(probe.missing) == {"a>b", "b>a"}
    assert "node:port" in probe.missing["a>b"]
    ports.now = {}
    with pytest.raises(ProbeError, match="no counter"):
        probe.read(T0 + S)


@pytest.mark.parametrize(
    ("bits", "before", "after", "rate"),
    [
        (32, 2**32 - 1000, 1000, 2000.0),
        (32, 2**31, 1000, None),  # 2 GiB in a second is more than 1 Gbit/s: it restarted
        (64, 2**32 - 1000, 1000, None),
        (64, 1000, 1000, 0.0),
    ],
)
def test_wraps_and_restarts(bits: int, before: float, after: float, rate: float | None) -> None:
    rates = PortRates(10 * S)
    assert rates.per_second("x", 0, before, bits, 1.25e8) is None
    assert rates.per_second("x", S, after, bits, 1.25e8) == rate


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_a_wrapping_counter_loses_no_byte(steps: list[int], first: int) -> None:
    rates, total = PortRates(10 * S), first
    rates.per_second("x", 0, total % 2**32, 32, 1.25e8)
    for second, step in enumerate(steps, 1):
        total += step
        assert rates.per_second("x", second * S, total % 2**32, 32, 1.25e8) == step


# node exporters


NODE = """\
# HELP node_network_carrier Network device property: carrier
# TYPE node_network_carrier gauge
node_network_carrier{{device="lo"}} 1
node_network_carrier{{device="up0"}} {carrier}
# TYPE node_network_receive_bytes_total counter
node_network_receive_bytes_total{{device="lo"}} 4113
node_network_receive_bytes_total{{device="up0"}} {received}
# TYPE node_network_receive_drop_total counter
node_network_receive_drop_total{{device="up0"}} 30
# TYPE node_network_transmit_bytes_total counter
node_network_transmit_bytes_total{{device="lo"}} 4113
node_network_transmit_bytes_total{{device="up0"}} {sent}
# TYPE node_network_transmit_drop_total counter
node_network_transmit_drop_total{{device="up0"}} {drops}
# TYPE node_network_up gauge
node_network_up{{device="lo"}} 0
node_network_up{{device="up0"}} 1
node_network_up{{device="eno2"}} 0
"""


class Handler(BaseHTTPRequestHandler):
    pages: dict[str, bytes | int]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        page = self.pages.get(urlsplit(self.path).path, 404)
        self.send_response(page if isinstance(page, int) else 200)
        self.end_headers()
        if isinstance(page, bytes):
            self.wfile.write(page)

    def log_message(self, *args: object) -> None:
        pass


class Web:
    def __init__(self) -> None:
        self.pages: dict[str, bytes | int] = {}
        self.asked: list[str] = []
        handler = type("Pages", (Handler,), {"pages": self.pages, "asked": self.asked})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.server.shutdown()
    server.server.server_close()
    server.thread.join()


def test_node_exporters_over_http(web: Web) -> None:
    clock = FakeClock(T0)
    reader = NodeExporterReader([UP, "tor-r1:up9", "spine:dn-r1", "bare"], f"{web.url}/{{node}}/metrics", fetch, clock)
    probe = LinkProbe([LINK, WatchedLink("tor-r1:up9", "bare", 1e9)], reader)
    web.pages["/tor-r1/metrics"] = NODE.format(carrier=1, received=1.2e3, sent="1.23456789012e+11", drops=0).encode()
    web.pages["/spine/metrics"] = 500
    assert told(probe.read(T0)) == {(f"{UP}>{DOWN}", "up"): 1.0, (f"{DOWN}>{UP}", "up"): 1.0}
    assert probe.missing == {
        "tor-r1:up9>bare": "tor-r1 has no such port",
        "bare>tor-r1:up9": "tor-r1 has no such port",
    }
    web.pages["/tor-r1/metrics"] = NODE.format(carrier=0, received=2200, sent=123456790012, drops=3).encode()
    found = told(probe.read(T0 + S))
    assert found[f"{UP}>{DOWN}", "bits_per_s"] == 8000.0
    assert found[f"{UP}>{DOWN}", "discards_per_s"] == 3.0
    assert found[f"{DOWN}>{UP}", "bits_per_s"] == 8000.0
    assert found[f"{UP}>{DOWN}", "up"] == 0.0
    web.pages.clear()
    sampler = Sampler([probe])
    reading = sampler.step(T0 + 2 * S)
    assert reading.samples == []
    assert "status 404" in reading.events[0].says


def test_without_carriers_the_state_speaks() -> None:
    page = "\n".join(line for line in NODE.splitlines() if "carrier" not in line).format(sent=1, received=1, drops=0)
    reader = NodeExporterReader(["n:up0", "n:eno2"], "http://{node}/", lambda url, s: page.encode(), FakeClock(T0))
    assert [counters.up for counters in reader.read(T0).values()] == [True, False]


# Prometheus


def series(name: str, value: float, at_s: float, **labels: str) -> dict[str, object]:
    points = [[at_s - 15, str(value - 15)], [at_s, str(value)]]
    return {"metric": {"__name__": name, "job": "snmp", **labels}, "values": points}


def answer(*result: object) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def port(value: float, at_s: float, oper: int = 1) -> list[dict[str, object]]:
    labels = {"instance": "10.0.0.1:9116", "ifIndex": "49", "ifName": "up0", "ifDescr": "Ethernet49", "ifAlias": "x"}
    return [
        series("ifHCOutOctets", value, at_s, **labels),
        series("ifHCInOctets", value / 2, at_s, **labels),
        series("ifInOctets", 17, at_s, **labels),
        series("ifOutDiscards", 5, at_s, **labels),
        {"metric": {"__name__": "ifOperStatus", **labels}, "values": [[at_s, str(oper)]]},
    ]


def test_snmp_through_prometheus(web: Web) -> None:
    nodes = [Node("tor-r1", "10.0.0.1"), Node("spine", "10.0.0.2"), Node("elsewhere", "10.0.0.3")]
    reader = PrometheusReader([UP, DOWN], nodes, f"{web.url}/prom/", fetch, every_s=15)
    probe = LinkProbe([LINK], reader, every_s=15)
    other = {"instance": "10.0.0.9:9116", "ifName": "up0"}
    web.pages["/prom/api/v1/query"] = answer(*port(1e12, 1_700_000_000.25), series("ifHCOutOctets", 1, 1.0, **other))
    probe.read(T0 + 3 * S)
    web.pages["/prom/api/v1/query"] = answer(*port(1e12 + 15e3, 1_700_000_015.25, oper=2))
    samples = probe.read(T0 + 18 * S)
    found = told(samples)
    assert found[f"{UP}>{DOWN}", "bits_per_s"] == pytest.approx(8000)
    assert found[f"{DOWN}>{UP}", "bits_per_s"] == pytest.approx(4000)
    assert found[f"{UP}>{DOWN}", "discards_per_s"] == 0.0
    assert found[f"{UP}>{DOWN}", "up"] == 0.0
    assert {s.at_ns for s in samples} == {T0 + 15 * S + S // 4}, "the time of the scrape, not of the query"
    assert not probe.missing
    query = parse_qs(urlsplit(web.asked[-1]).query)["query"][0]
    assert query == f"{selector(nodes[:2])}[75s]"
    assert "elsewhere" not in query, "nodes without a wanted port are not asked about"


def test_narrow_counters_are_followed_over_their_wrap() -> None:
    def page(octets: int, at_s: int) -> bytes:
        labels = {"instance": "tor-r1.dc.example:161", "ifDescr": "up0"}
        return answer(*(series(name, octets, at_s, **labels) for name in ("ifOutOctets", "ifInOctets")))

    pages = iter([page(2**32 - 1000, 1_700_000_000), page(1000, 1_700_000_010)])
    reader = PrometheusReader([UP], [Node("tor-r1")], "http://p", lambda url, s: next(pages), every_s=10)
    probe = LinkProbe([LINK], reader, every_s=10)
    probe.read(T0)
    assert told(probe.read(T0 + 10 * S))[f"{UP}>{DOWN}", "bits_per_s"] == 1600.0


def test_many_nodes_few_queries() -> None:
    asked: list[str] = []

    def page(url: str, timeout_s: float) -> bytes:
        asked.append(url)
        return answer()

    nodes = [Node(f"leaf-{index}", f"10.0.{index // 200}.{index % 200}") for index in range(120)]
    reader = PrometheusReader([f"{node.name}:up0" for node in nodes], nodes, "http://p", page)
    assert reader.read(T0) == {}
    assert len(asked) == 12
    assert max(map(len, asked)) < 2000
    assert len(reader.missing) == 120


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"status":"error","errorType":"bad_data","error":"parse error"}',
        b'{"status":"success","data":{"resultType":"vector","result":[]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{}}]}}',
    ],
)
def test_what_is_not_prometheus_is_a_gap(body: bytes) -> None:
    reader = PrometheusReader([UP], [Node("tor-r1")], "http://p", lambda url, s: body)
    with pytest.raises(ProbeError, match="Prometheus"):
        LinkProbe([LINK], reader).read(T0)


# canaries


def test_a_canary_file_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "canary-c1.json"
    probe = CanaryProbe({"c1": CanaryFile(path)})
    with pytest.raises(ProbeError, match="No such file"):
        probe.read(T0)
    said = {"at_ns": T0, "rtt_p50_ms": 0.2, "rtt_p99_ms": None, "loss_ratio": 1.0, "sent": 50}
    path.write_text(json.dumps(said))
    assert told(probe.read(T0)) == {("c1", "rtt_p50_ms"): 0.2, ("c1", "loss_ratio"): 1.0, ("c1", "sent"): 50.0}
    assert probe.read(T0 + S) == []
    path.write_text("{")
    with pytest.raises(ProbeError, match="no measurement"):
        probe.read(T0)


def test_a_blackbox_canary() -> None:
    labels = {"instance": "10.0.2.9", "job": "canary"}

    def page(ok: list[int], first_s: int) -> bytes:
        times = [first_s + second for second in range(len(ok))]
        return answer(
            {
                "metric": {"__name__": "probe_success", **labels},
                "values": [[at, str(one)] for at, one in zip(times, ok, strict=True)],
            },
            {
                "metric": {"__name__": "probe_duration_seconds", **labels},
                "values": [[at, "0.002" if one else "9.5"] for at, one in zip(times, ok, strict=True)],
            },
        )

    pages = iter([page([1, 1, 0, 1], 1_700_000_000), page([1, 1, 0, 1], 1_700_000_000), page([0], 1_700_000_005)])
    probe = CanaryProbe({"c": CanaryQuery("http://p", 'job="canary"', lambda url, s: next(pages))})
    assert told(probe.read(T0)) == {
        ("c", "rtt_p50_ms"): 2.0,
        ("c", "rtt_p99_ms"): 2.0,
        ("c", "loss_ratio"): 0.25,
        ("c", "sent"): 4.0,
    }
    assert probe.read(T0) == [], "the same samples are not counted twice"
    assert told(probe.read(T0)) == {("c", "loss_ratio"): 1.0, ("c", "sent"): 1.0}


# wiring


SITE = """
version: 1
name: s
kind: lab
racks: [r1]
hosts:
  - {name: gen, address: 10.0.0.5, rack: r1, nics: [{name: eno1, speed: 10Gbit/s}]}
  - {name: shop, address: 10.0.0.6, rack: r1, nics: [{name: eno1, speed: 10Gbit/s}]}
services: [{name: gw, role: gateway, host: gen}]
endpoints: [{name: e, kind: gateway, url: "https://10.0.0.5:8443", serves: [gw]}]
network:
  switches: [{name: tor-r1}]
  links:
    - {between: [gen, "tor-r1:p1"], capacity: 10Gbit/s}
    - {between: [shop, "tor-r1:p2"], capacity: 10Gbit/s}
  canaries: [{name: c1, from: shop, to: gen}]
  counters: {kind: lab, every: 2s}
"""


def test_the_senses_of_a_site(tmp_path: Path) -> None:
    site = parse_site(SITE)
    assert network_probes(site, fetch, FakeClock()) == [], "a lab that hands in nothing is not read"
    values = {"gen:eno1": PortCounters(T0, 0, 0, 0, True)}
    lab = LabSenses(lambda: values, lambda name: tmp_path / f"canary-{name}.json")
    links, canary = network_probes(site, fetch, FakeClock(), lab)
    assert told(links.read(T0)) == {("gen>tor-r1:p1", "up"): 1.0, ("tor-r1:p1>gen", "up"): 1.0}
    assert canary.name == "canary"
    assert FunctionReader(lambda: values).read(T0) == values
