"""The network of a lab on paper: nothing collides, every promise of its site is kept by the wiring."""

import ipaddress
import shlex
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest

from maul import site
from maul.core.errors import CampaignError
from maul.guard.own_lab import LAB_NETWORKS
from maul.hosts.fake import FakeHost
from maul.hosts.host import Completed
from maul.lab import files
from maul.lab.border import FABRIC
from maul.lab.customers import judge, orders
from maul.lab.layout import LabLayout, Programs
from maul.lab.net_build import queue
from maul.lab.net_preflight import explain
from maul.lab.placement import Wired
from maul.lab.state import load, save
from maul.lab.wiring import Wiring, wiring_of
from maul.site.model_network import node_of

WIRING = Wiring()
PLACE = Path("/var/lib/maul/labs/x")
LAYOUT = LabLayout("x", Wired(WIRING), PLACE, PLACE / "run", Programs("/bin/weed", "/bin/haproxy"))


def test_names_and_addresses_are_unique_and_in_one_network_that_the_guard_knows():
    assert len(set(WIRING.nodes)) == len(WIRING.nodes)
    addresses = [address for host in WIRING.hosts for address in (host.address, *host.more)]
    assert len(set(addresses)) == len(addresses)
    network = ipaddress.ip_network(FABRIC)
    assert network in LAB_NETWORKS
    assert all(ipaddress.ip_address(address) in network for address in addresses)
    assert all(len(device) <= 15 for cable in WIRING.cables for _, device in (cable.near, cable.far)), "kernel limit"


def test_every_node_has_one_cable_towards_the_spine_and_no_port_two():
    near = Counter(cable.near[0] for cable in WIRING.cables)
    assert set(near) == set(WIRING.nodes) - {"spine"} and set(near.values()) == {1}
    ports = [end for cable in WIRING.cables for end in cable.ends]
    assert len(set(ports)) == len(ports)


def test_storage_stands_apart_from_what_is_lent_and_from_customers():
    kinds: dict[str, set[str]] = {}
    for host in WIRING.hosts:
        kinds.setdefault(host.rack, set()).add(host.kind)
    assert sum("storage" in found for found in kinds.values()) == 3
    assert sum("generator" in found for found in kinds.values()) == 3
    for found in kinds.values():
        assert not {"storage", "balancer"} & found or not {"generator", "customer"} & found
    assert all(len([h for h in WIRING.hosts_of("generator") if h.rack == rack]) == 2 for rack in ("r4", "r5", "r6"))


def test_every_service_stands_on_a_host_of_the_wiring():
    hosts = {host.name: (host.address, *host.more) for host in WIRING.hosts}
    for service in LAYOUT.services:
        assert service.address in hosts[service.host], service.name
        for word in (*LAYOUT.argv(service), service.health_url, service.metrics_url):
            assert "127." not in word and "localhost" not in word and "0.0.0.0" not in word
    assert LAYOUT.url == "https://10.77.0.100:8443"


def test_no_two_services_share_a_port_although_they_might():
    ports = [port for service in LAYOUT.services for port in service.ports]
    assert len(set(ports)) == len(ports), "SeaweedFS also makes sockets in the temporary directory, named by port"


def test_the_site_tells_the_wiring():
    place = site.parse(files.site_yaml(LAYOUT))
    assert place.kind == "lab" and place.network.counters.kind == "lab"
    assert [host.name for host in place.hosts] == [host.name for host in WIRING.hosts]
    told = {link.between: link for link in place.network.links}
    assert set(told) == {cable.ends for cable in WIRING.cables}
    for cable in WIRING.cables:
        link = told[cable.ends]
        assert link.capacity == cable.bits_per_s
        assert not cable.shared or link.shared_by == ("customers",)
        assert link.directions == cable.directions
    uplink = told["tor-r4:up0", "spine:dn-r4"]
    assert (uplink.capacity, uplink.background.out_bps, uplink.background.back_bps) == (50e6, 4e6, 4e6)
    assert told["tor-r1:up0", "spine:dn-r1"].shared_by == ()
    borrowed = [host.name for host in place.hosts if host.borrow is not None]
    assert borrowed == ["g41", "g42", "g51", "g52", "g61", "g62"]
    (vip,) = place.network.vips
    assert (vip.address, vip.endpoint, vip.hosts) == ("10.77.0.100", "vip", ("lb",))


def test_the_ring_of_customers_loads_each_shared_uplink_once_each_way():
    place = site.parse(files.site_yaml(LAYOUT))
    racks = {host.name: host.rack for host in place.hosts}
    canaries = [(racks[canary.source], racks[canary.target]) for canary in place.network.canaries]
    assert sorted(source for source, _ in canaries) == sorted(target for _, target in canaries) == ["r4", "r5", "r6"]
    for source, target in WIRING.pairs:
        given = orders(LAYOUT, WIRING, source)
        assert (given.bulk_to, given.bulk_bps) == (target.address, 4e6)
        assert node_of(source.name) != node_of(target.name)
    quiet = Wiring(customers_bps=0)
    assert orders(LAYOUT, quiet, quiet.pairs[0][0]).bulk_to is None
    text = files.site_yaml(LabLayout("x", Wired(quiet), PLACE, PLACE / "run", LAYOUT.programs))
    assert {link.background.out_bps for link in site.parse(text).network.links} == {0.0}


@pytest.mark.parametrize(
    ("uplink", "customers", "why"),
    [
        ("2Gbit/s", None, "cannot be made"),
        ("1kbit/s", "0", "cannot be made"),
        ("4Mbit/s", None, "alone fill"),
        ("fast", None, "not a bit rate"),
        (None, "much", "not a bit rate"),
    ],
)
def test_rates_that_cannot_be_are_told(uplink, customers, why):
    with pytest.raises(CampaignError, match=why):
        wiring_of(uplink, customers)


def test_the_state_remembers_the_wiring():
    host = FakeHost()
    layout = LabLayout("x", Wired(Wiring(3e7, 1e6)), PLACE, PLACE / "run", LAYOUT.programs)
    save(host, layout, is_up=True)
    assert load(host, PLACE) == layout


@pytest.mark.parametrize("bits_per_s", [1e6, 4e7, 1e9])
def test_a_queue_holds_a_full_frame_and_what_a_late_timer_lets_through(bits_per_s):
    words = shlex.split(queue("add", "up0", bits_per_s, 0.05))
    burst = int(words[words.index("burst") + 1].removesuffix("b"))
    assert burst >= max(1514, bits_per_s / 8 * 0.001)
    assert words[words.index("rate") + 1] == f"{bits_per_s:.0f}bit"


class TestWhyNot:
    """What a machine that forbids it is told."""

    def why(self, stdout: bytes = b"", stderr: bytes = b"", settings: dict[str, str] | None = None) -> str:
        return str(explain(Completed(("unshare",), 1, stdout, stderr, timed_out=False), settings or {}))

    @pytest.mark.parametrize(("part", "option"), [("veth", "CONFIG_VETH"), ("tbf", "CONFIG_NET_SCH_TBF")])
    def test_a_kernel_without_a_part_is_named_with_its_option(self, part, option):
        says = self.why(f"missing={part}\n".encode(), b"RTNETLINK answers: Operation not supported\n")
        assert part in says and option in says and "not supported" in says

    @pytest.mark.parametrize(
        ("path", "value", "cure"),
        [
            ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
            ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
            (
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                "1",
                "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
            ),
        ],
    )
    def test_a_setting_that_forbids_it_is_named_with_its_cure(self, path, value, cure):
        assert cure in self.why(stderr=b"unshare: unshare failed: Operation not permitted", settings={path: value})

    def test_otherwise_its_own_words_are_told(self):
        says = self.why(
            stderr=b"unshare: Operation not permitted", settings={"/proc/sys/user/max_user_namespaces": "9"}
        )
        assert "Operation not permitted" in says and "sysctl" not in says


class TestJudgingACustomer:
    NOW = 10_000_000_000
    WELL: ClassVar = {"at_ns": NOW - 10**9, "rtt_p50_ms": 0.1, "rtt_p99_ms": 0.2, "loss_ratio": 0.0, "sent": 90}

    def test_well(self):
        assert judge(self.WELL, self.NOW) == (True, "round trip 0.10 ms, 99th percentile 0.20 ms, 0.0% lost")

    @pytest.mark.parametrize(
        ("told", "says"),
        [
            (None, "not measured"),
            ({**WELL, "at_ns": 0}, "measures no more"),
            ({**WELL, "rtt_p50_ms": None, "rtt_p99_ms": None, "loss_ratio": 1.0}, "nothing comes back"),
        ],
    )
    def test_not_well(self, told, says):
        healthy, why = judge(told, self.NOW)
        assert not healthy and says in why
