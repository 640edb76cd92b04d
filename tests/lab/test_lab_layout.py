"""A lab on paper: no two things collide, every promise of the site is kept by the layout."""

import json
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from maul import site
from maul.core.errors import CampaignError
from maul.faults.blast_radius import refusal
from maul.hosts.local import LocalHost
from maul.lab import files
from maul.lab.bringup import connections_max
from maul.lab.certs import issue, make_certificates
from maul.lab.layout import SOCKET_PATH_MAX, LabLayout, Programs
from maul.lab.placement import SLOT_MAX, SLOT_MIN, Loopback
from maul.lab.programs import find_programs
from maul.lab.state import lab_directory, socket_directory

EPHEMERAL_FIRST = 32_768  # the kernel's default range for outgoing connections


def layout_of(slot: int = SLOT_MIN, directory: str = "/var/lib/maul/labs/x") -> LabLayout:
    place = Path(directory)
    return LabLayout("x", Loopback(slot), place, socket_directory(place), Programs("/bin/weed", "/bin/haproxy"))


LAYOUT = layout_of()


def test_no_two_services_of_all_labs_share_an_address_and_port_nor_a_port_on_localhost():
    seen: set[tuple[str, int]] = set()
    on_localhost: set[int] = set()
    for slot in range(SLOT_MIN, SLOT_MAX + 1):
        for service in layout_of(slot).services:
            for port in service.ports:
                assert 1024 <= port < EPHEMERAL_FIRST, f"{service.name} port {port}"
                assert (service.address, port) not in seen
                seen.add((service.address, port))
            if service.role != "balancer":  # SeaweedFS listens on 127.0.0.1 with the same ports
                assert not on_localhost & set(service.ports)
                on_localhost |= set(service.ports)


def test_everything_is_on_loopback_and_on_its_own_slot():
    for service in layout_of(SLOT_MAX).services:
        assert service.address.startswith(f"127.{SLOT_MAX}.")
        for word in (*layout_of(SLOT_MAX).argv(service), service.health_url, service.metrics_url):
            assert "localhost" not in word and "0.0.0.0" not in word


def test_names_are_roles_racks_and_numbers():
    assert [service.name for service in LAYOUT.services] == [
        *("master-r1-1", "master-r2-1", "master-r3-1"),
        *("volume-r1-1", "volume-r1-2", "volume-r2-1", "volume-r3-1"),
        *("filer-r1-1", "filer-r2-1", "gateway-r1-1", "gateway-r2-1", "balancer"),
    ]
    assert {service.host for service in LAYOUT.services} == {"lb", "s11", "s12", "s21", "s31"}


@pytest.mark.parametrize("service", LAYOUT.services, ids=lambda service: service.name)
def test_every_role_binds_its_own_address_serves_metrics_and_keeps_quiet(service):
    argv = LAYOUT.argv(service)
    if service.role == "balancer":
        return
    assert f"-ip.bind={service.address}" in argv
    assert f"-metricsPort={service.metrics_port}" in argv
    if service.role != "gateway":
        assert f"-ip={service.address}" in argv, "without -ip it takes the machine's first address"
    if service.role == "master":
        assert "-telemetry=false" in argv
    if service.role in ("filer", "gateway"):
        assert any(word.startswith("-localSocket=") for word in argv), "the default socket is shared in /tmp"
    if service.role == "filer":
        assert not any(word.startswith("-rack") for word in argv)


def test_every_service_has_its_own_home_and_nothing_of_ours_in_its_environment():
    homes = {LAYOUT.spawn_spec(service).cwd for service in LAYOUT.services}
    assert len(homes) == len(LAYOUT.services)
    for service in LAYOUT.services:
        env = LAYOUT.spawn_spec(service).env
        assert set(env) == {"PATH", "HOME", "TMPDIR", "LC_ALL"}
        assert env["TMPDIR"].startswith(str(LAYOUT.home(service)))


AWKWARD = ["/a b/c", "/é/日本/😀", "/a#b/$c/%d", '/a"b', "/a:b\\c", "/[x]/{y}", "/- y", "/" + "x" * 150]


@pytest.mark.parametrize("directory", ["/var/lib/maul", *AWKWARD])
@pytest.mark.parametrize("slot", [SLOT_MIN, SLOT_MAX])
def test_the_site_is_one_that_the_site_package_takes(directory, slot):
    layout = layout_of(slot, directory)
    place = site.parse(files.site_yaml(layout))
    assert place.kind == "lab"
    assert [service.name for service in place.services] == [service.name for service in layout.services]
    vip = place.endpoint("vip")
    assert (vip.url, vip.ca) == (layout.url, str(layout.ca_path))
    assert place.credentials.file == str(layout.conf / "credentials.json")
    assert [gateway.serves for gateway in place.gateways()] == [("gateway-r1-1",), ("gateway-r2-1",)]
    assert set(vip.serves) == {"gateway-r1-1", "gateway-r2-1"}
    for service in layout.services:
        told = place.service(service.name)
        assert told.process.pidfile == str(layout.pidfile(service))
        assert (told.health, told.metrics) == (service.health_url, service.metrics_url)
        assert place.host(told.host).address == service.address
        assert place.host(told.host).rack == service.rack
    assert place.service("balancer").admin == str(layout.admin_socket(layout.balancer))
    assert place.consistency.profile == "eventual" and place.consistency.notes


def test_each_single_service_but_the_balancer_may_be_hurt_and_any_whole_rack():
    place = site.parse(files.site_yaml(LAYOUT))
    for service in LAYOUT.services:
        allowed = refusal(place, service.name, []) is None
        assert allowed == (service.role != "balancer"), service.name
    for rack in ("r1", "r2", "r3"):
        members = [service.name for service in LAYOUT.services if service.rack == rack]
        for name in members:
            assert refusal(place, name, members) is None, f"losing {rack} loses {name}'s role"


@pytest.mark.parametrize("length", range(40, 130, 3))
def test_no_socket_path_is_longer_than_the_kernel_takes(length):
    directory = Path("/" + "x" * (length - 1))
    layout = layout_of(directory=str(directory))
    for argv in (layout.argv(service) for service in layout.services):
        for word in argv:
            if word.startswith("-localSocket="):
                assert len(word.removeprefix("-localSocket=")) <= SOCKET_PATH_MAX
    assert len(str(layout.admin_socket(layout.balancer))) <= SOCKET_PATH_MAX


def test_two_long_directories_do_not_share_their_short_place():
    assert socket_directory(Path("/" + "x" * 150)) != socket_directory(Path("/" + "x" * 149 + "y"))


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", ".x", "a b", "Ä", "LAB", "x" * 64, "a\n", "a,b"])
def test_a_name_that_is_no_name_is_refused(name):
    with pytest.raises(CampaignError, match="not a name"):
        lab_directory(name, Path("/tmp/x"))


@pytest.mark.parametrize("directory", ["/a,b", "/a'b", "/a\nb", "/a\tb", "/a\x00b", "/a\udcff"])
def test_a_directory_that_the_programs_would_misread_is_refused(directory):
    with pytest.raises(CampaignError, match="directory"):
        lab_directory("lab", Path(directory))


def test_the_default_directory_is_under_mauls_state(monkeypatch):
    monkeypatch.setenv("MAUL_STATE", "/state")
    assert lab_directory("mine") == Path("/state/labs/mine")
    monkeypatch.delenv("MAUL_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert lab_directory("mine") == Path("/xdg/maul/labs/mine")
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")
    assert lab_directory("mine").is_absolute()


def test_two_identities_and_no_secret_on_a_command_line():
    config = json.loads(files.s3_config(("AK1", "SECRET1"), ("AK2", "SECRET2")))
    admin, reader = config["identities"]
    assert "Admin" in admin["actions"]
    assert set(reader["actions"]) == {"Read", "List"}
    assert json.loads(files.credentials_file(("AK1", "SECRET1"))) == {
        "access_key": "AK1",
        "secret_key": "SECRET1",
    }
    assert "SECRET" not in shlex.join(word for service in LAYOUT.services for word in LAYOUT.argv(service))


@pytest.mark.parametrize("directory", ["plain", "a b", "é#$x", 'q"x'])
def test_haproxy_itself_accepts_the_configuration(tmp_path, directory):
    home = tmp_path / directory
    (home / "conf").mkdir(parents=True)
    (home / "run").mkdir()
    layout = LabLayout("x", Loopback(SLOT_MIN), home, socket_directory(home), find_programs())
    (home / "conf" / "lab.pem").write_bytes(make_certificates("127.0.0.1").server)
    (home / "conf" / "balancer.cfg").write_text(files.haproxy_config(layout, layout.balancer, 200))
    argv = layout.argv(layout.balancer)
    done = LocalHost().run((argv[0], "-c", *argv[2:]), 20.0)
    assert done.code == 0, done.stderr
    assert b"warning" not in done.stderr.lower(), done.stderr


@pytest.mark.parametrize(("hard", "expected"), [(-1, 4000), (1024, 412), (1_000_000, 4000), (256, 100)])
def test_connections_fit_into_the_descriptors(monkeypatch, hard, expected):
    monkeypatch.setattr("resource.getrlimit", lambda which: (hard, hard))
    assert connections_max() == expected


class TestCertificates:
    """The lab's own authority."""

    def leaf(self, pem: bytes) -> x509.Certificate:
        return x509.load_pem_x509_certificates(pem)[0]

    def test_the_certificate_names_the_address_and_is_signed_by_the_authority(self):
        made = make_certificates("127.64.0.1")
        authority, leaf = self.leaf(made.ca), self.leaf(made.server)
        leaf.verify_directly_issued_by(authority)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["127.64.0.1"]
        assert leaf.not_valid_after_utc > datetime.now(UTC) + timedelta(days=300)

    def test_the_authority_can_issue_an_expired_one_later(self):
        made = make_certificates("127.64.0.1")
        expired = self.leaf(issue(made.ca, made.ca_key, ("127.64.0.1",), datetime.now(UTC) - timedelta(hours=1)))
        expired.verify_directly_issued_by(self.leaf(made.ca))
        assert expired.not_valid_before_utc < expired.not_valid_after_utc < datetime.now(UTC)

    def test_two_labs_do_not_trust_each_other(self):
        one, other = make_certificates("127.64.0.1"), make_certificates("127.64.0.1")
        with pytest.raises(Exception, match=r"[Ii]ssuer|signature|^$"):
            self.leaf(one.server).verify_directly_issued_by(self.leaf(other.ca))
