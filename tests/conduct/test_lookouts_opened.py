"""The lookouts of a site: who asks which address, and that nothing is asked which the guard has not seen."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from knocked_door import Door, door
from maul.conduct.lookouts import Watched, gates_of, ports_of, site_lookouts
from maul.conduct.target import Admitted, asked_of, permit
from maul.core.clock import SystemClock
from maul.core.errors import PermitError
from maul.core.vantage import Attempt, Lookout, Question, Reach, Vantage
from maul.guard.permit import LOOPBACK_ONLY, Permission
from maul.guard.permit_document import Page, Permit
from maul.guard.verified import VerifiedPermit
from maul.probes.blackbox_lookout import BlackboxLookout
from maul.probes.host_lookout import HostLookout
from maul.s3.endpoint import Endpoint
from maul.s3.knock import Rounds
from maul.site import Site


@pytest.fixture
def server() -> Iterator[Door]:
    with door("") as found:
        yield found


def site(port: int) -> Site:
    there = {"serves": ["haproxy"]}
    return Site.model_validate({
        "version": 1, "name": "here", "kind": "real", "racks": ["r1"],
        "hosts": [{"name": "store", "address": "127.0.0.1", "rack": "r1"}],
        "services": [{"name": "haproxy", "role": "balancer", "host": "store"}],
        "endpoints": [
            {"name": "vip", "kind": "balancer", "url": f"http://127.0.0.1:{port}", **there},
            {"name": "control", "kind": "control", "url": f"http://127.0.0.2:{port}", **there},
            {"name": "private", "kind": "private", "url": f"http://127.0.0.3:{port}", **there},
            {"name": "spare", "kind": "control", "url": f"http://127.0.0.4:{port}", **there},
        ],
        "vantage": {
            "lookouts": [
                {"name": "ctl", "role": "control", "endpoint": "control"},
                {"name": "in", "role": "inside", "endpoint": "private", "from": "store"},
                {"name": "out", "role": "external", "endpoint": "vip", "prometheus": "http://127.0.0.9:9090",
                 "selector": 'job="x"'},
            ],
            "feeds": [{"name": "bgp", "kind": "prometheus", "url": "http://127.0.0.8:9090", "query": "dropped"}],
        },
    })  # fmt: skip


def admitted(place: Site) -> Admitted:
    return permit([Endpoint("vip", place.endpoint("vip").url)], asked_of(place))


def heard(lookout: Lookout, question: Question) -> Attempt:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        for one in lookout.take():
            if isinstance(one, Attempt) and one.question == question:
                return one
        threading.Event().wait(0.01)
    raise AssertionError(getattr(lookout, "missing", "nothing came"))


def test_each_lookout_is_opened_as_the_site_says(server: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    place = site(server.port)
    watched = Watched(admitted(place), LOOPBACK_ONLY, lambda url, timeout_s: b"", 30.0)
    with site_lookouts(place, tmp_path / "site.yaml", watched, SystemClock()) as found:
        assert {name: type(one) for name, one in found.items()} == {
            "ctl": Rounds, "in": HostLookout, "out": BlackboxLookout,
        }  # fmt: skip
        control = heard(found["ctl"], Question(Vantage.CONTROL, "ctl", "control"))
        inside = heard(found["in"], Question(Vantage.INSIDE, "in", "private"))
        other = Question(Vantage.CONTROL, "ctl", "vip")
        assert found["ctl"].ask(other), "a separating question may go to another endpoint that was checked"
        assert heard(found["ctl"], other).reach is Reach.ANSWERED
        assert not found["ctl"].ask(Question(Vantage.CONTROL, "ctl", "spare")), "nobody had it checked"
    assert (control.reach, inside.reach) == (Reach.ANSWERED, Reach.ANSWERED)
    until = time.monotonic() + 10
    while any(tmp_path.iterdir()) and time.monotonic() < until:
        threading.Event().wait(0.02)
    assert not any(tmp_path.iterdir())


def test_all_that_is_asked_passes_the_guard() -> None:
    asked = asked_of(site(80))
    assert asked["lookout ctl"] == "http://127.0.0.2:80"
    assert asked["lookout out"] == "http://127.0.0.9:9090"
    assert asked["feed bgp"] == "http://127.0.0.8:9090"
    outside = site(80).model_copy(update={"endpoints": (site(80).endpoints[0],)})
    far = outside.endpoints[0].model_copy(update={"name": "control", "kind": "control", "url": "http://192.0.2.9"})
    private = far.model_copy(update={"name": "private", "url": "http://127.0.0.3"})
    with pytest.raises(PermitError, match="lookout ctl"):
        admitted(outside.model_copy(update={"endpoints": (*outside.endpoints, far, private)}))


def test_an_endpoint_that_nobody_admitted_has_no_gate() -> None:
    place = site(80)
    gates = gates_of(place, admitted(place), LOOPBACK_ONLY)
    assert {name: gate.address for name, gate in gates.items()} == {
        "vip": "127.0.0.1",
        "control": "127.0.0.2",
        "private": "127.0.0.3",
    }


def named(port: int, address: str) -> Page:
    return Page.model_validate({"host": "s3.example", "port": port, "addresses": [address]})


def test_under_a_permit_only_its_ports_are_tried() -> None:
    document = Permit.model_construct(
        targets=[named(8443, "198.51.100.10"), named(80, "198.51.100.10"), named(22, "198.51.100.11")],
        pages=[named(8404, "198.51.100.10")],
    )
    permission = Permission(permit=VerifiedPermit(document, "", ()))
    assert ports_of(permission, "198.51.100.10") == {8443, 80, 8404}
    assert ports_of(LOOPBACK_ONLY, "127.0.0.1") is None
