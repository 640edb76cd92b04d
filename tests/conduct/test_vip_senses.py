"""Which balancers are read, at which address, and by which machine."""

from pathlib import Path

import pytest

from maul.conduct.machines import machines
from maul.conduct.vip_senses import vip_senses
from maul.core.clock import FakeClock
from maul.core.errors import MachineError
from maul.hosts.local import LocalHost
from maul.hosts.ssh import SshHost
from maul.site import Site

SITE = {
    "version": 1, "name": "here", "kind": "real", "racks": ["r1"],
    "hosts": [
        {"name": "lb1", "address": "127.0.0.1", "rack": "r1"},
        {"name": "lb2", "address": "10.9.9.9", "rack": "r1"},
        {"name": "lb3", "address": "10.9.9.8", "rack": "r1", "ssh": {"user": "ops", "port": 2222}},
    ],
    "services": [
        {"name": f"haproxy-{n}", "role": "balancer", "host": f"lb{n}", "metrics": f"http://127.0.0.1:840{n}/metrics"}
        for n in (1, 2, 3)
    ],
    "endpoints": [
        {"name": "private", "kind": "private", "url": "http://127.0.0.9:80", "serves": ["haproxy-1"]},
        {"name": "vip", "kind": "balancer", "url": "http://127.0.0.1:8480", "serves": ["haproxy-1"]},
    ],
}  # fmt: skip
PAGE = b'haproxy_process_idle_time_percent 50\nhaproxy_frontend_sessions_total{proxy="a"} 3\n'


def site(*balancers: dict[str, object]) -> Site:
    return Site.model_validate({**SITE, "vantage": {"balancers": list(balancers)}})


def test_a_site_without_balancers_to_read_has_no_such_sense(tmp_path: Path) -> None:
    with vip_senses(site(), tmp_path / "site.yaml", lambda *_: b"", FakeClock()) as probes:
        assert probes == []


def test_a_balancer_here_is_read_by_its_page_and_by_this_machine(tmp_path: Path) -> None:
    asked = []

    def fetch(url: str, _timeout_s: float) -> bytes:
        asked.append(url)
        return PAGE

    wanted = site({"service": "haproxy-1", "host": True}, {"service": "haproxy-2"})
    clock = FakeClock()
    with vip_senses(wanted, tmp_path / "site.yaml", fetch, clock) as (probe,):
        samples = probe.read(clock.now_ns())
    found = {(s.subject, s.metric): s.value for s in samples}
    assert sorted(asked) == ["http://127.0.0.1:8401/metrics", "http://127.0.0.1:8402/metrics"]
    assert found["haproxy-1", "idle_ratio"] == found["haproxy-2", "idle_ratio"] == 0.5
    assert found["haproxy-1", "listening"] == 0, "nobody listens on the port of the vip"
    assert ("haproxy-2", "listening") not in found, "its machine is not to be read"
    assert {s.host for s in samples if s.subject == "haproxy-2"} == {"lb2"}


def test_a_machine_that_nobody_can_reach_is_told_before_anything_runs(tmp_path: Path) -> None:
    wanted = site({"service": "haproxy-2", "host": True})
    with (
        pytest.raises(MachineError, match="nobody said how lb2 is reached"),
        vip_senses(wanted, tmp_path / "site.yaml", lambda *_: b"", FakeClock()),
    ):
        pass


def test_machines_are_namespaces_this_one_or_reached_by_ssh(tmp_path: Path) -> None:
    with machines(site(), tmp_path / "site.yaml", ["lb1", "lb3", "lb1"]) as found:
        assert isinstance(found["lb1"], LocalHost)
        assert isinstance(found["lb3"], SshHost)
        assert (found["lb3"].address.host, found["lb3"].address.port, found["lb3"].address.user) == (
            "10.9.9.8", 2222, "ops",
        )  # fmt: skip
    wired = Site.model_validate({**SITE, "kind": "lab", "network": {"switches": [], "links": []}})
    with pytest.raises(MachineError, match="host lb1 of the lab is gone"), machines(wired, tmp_path / "s", ["lb1"]):
        pass
