"""`maul site`: import, check and draw, with their exit codes."""

import io
import json
import sys
from pathlib import Path

import pytest

from maul.cli.main import run
from maul.core.errors import ExitCode

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "examples/sites/three-racks.yaml"
DATA = ROOT / "tests/site/data"
WHOLE = [
    "--role",
    "volume=storage",
    "--role",
    "gateway=storage",
    "--role",
    "balancer=load-balancer",
    "--endpoint",
    "https://10.0.0.9",
]


def netbox():
    return [str(DATA / "netbox" / f"{kind}.json") for kind in ("devices", "interfaces", "cables", "racks")]


def test_import_check_draw(tmp_path, capsys):
    out, picture = tmp_path / "hall.yaml", tmp_path / "hall.svg"
    assert run(["site", "import", "netbox", *netbox(), *WHOLE, "-o", str(out)]) == ExitCode.PASS
    told = capsys.readouterr()
    assert told.out == ""
    assert "found: 27 hosts, 8 switches, 36 links" in told.err
    asked = [str(DATA / "lldp" / name) for name in ("tor-a01.json", "BATCH-11.json", "web-21.json0")]
    assert run(["site", "check", str(out), *(word for name in asked for word in ("--lldp", name))]) == ExitCode.PASS
    assert "LLDP of 3 hosts confirms 11 links" in capsys.readouterr().out
    assert run(["site", "draw", str(out), "-o", str(picture)]) == ExitCode.PASS
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_a_draft_with_gaps_is_written_and_said(capsys):
    assert run(["site", "import", "netbox", *netbox()]) == ExitCode.UNKNOWN
    told = capsys.readouterr()
    assert told.out.startswith("# A draft, imported.")
    assert "this is not yet a site that can be loaded" in told.err
    assert "services: needs at least 1" in told.err


def test_a_file_that_is_there_is_not_overwritten(tmp_path, capsys):
    out = tmp_path / "site.yaml"
    out.write_text("mine", encoding="utf-8")
    assert run(["site", "import", "netbox", *netbox(), *WHOLE, "-o", str(out)]) == ExitCode.USAGE
    assert out.read_text(encoding="utf-8") == "mine"
    assert run(["site", "import", "netbox", *netbox(), *WHOLE, "-o", str(out), "--force"]) == ExitCode.PASS


def test_standard_input_and_several_sources(tmp_path, monkeypatch):
    raw = (DATA / "lldp/web-21.json0").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    out = tmp_path / "site.json"
    words = ["site", "import", "lldp", "web-21=-", "--also", f"ansible={DATA / 'ansible/hosts.ini'}", "-o", str(out)]
    assert run(words) == ExitCode.UNKNOWN
    made = json.loads(out.read_text(encoding="utf-8"))
    assert made["network"]["links"] == [{"between": ["web-21:ens1f0", "tor-a02:Ethernet6"], "capacity": "25Gbit/s"}]
    assert any(host["name"] == "bastion" for host in made["hosts"])


def heard(tmp_path, port):
    card = {
        "eth0": {"via": "LLDP", "chassis": {"tor-r1": {"id": {}}}, "port": {"id": {"type": "ifname", "value": port}}}
    }
    path = tmp_path / "load-r1-1.json"
    path.write_text(json.dumps({"lldp": {"interface": card}}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("port", "code", "says"), [("eth1", 0, "confirms 1 link"), ("eth8", 1, "contradicted: ")])
def test_lldp_judges_a_site(tmp_path, capsys, port, code, says):
    assert run(["site", "check", str(EXAMPLE), "--lldp", heard(tmp_path, port)]) == code
    assert says in capsys.readouterr().out


def test_lldp_that_sees_less_leaves_doubt(tmp_path):
    path = tmp_path / "load-r1-1.json"
    path.write_text('{"lldp": {"interface": []}}', encoding="utf-8")
    assert run(["site", "check", str(EXAMPLE), "--lldp", str(path)]) == ExitCode.UNKNOWN


def test_a_plan_heats_the_map(tmp_path, capsys):
    link = {"name": "tor-r1:eth49>spine-1:eth1", "capacity_bps": 1e11, "background_bps": 0, "shared": True, "cap": 0.6,
            "ours_bps": 7e10, "worst_bps": 7e10, "worst_when": None, "up": {}, "down": {}}  # fmt: skip
    plan = tmp_path / "plan.json"
    plan.write_text(
        json.dumps({"fleet": {"wheel": 1, "generators": [], "links": [link], "load": {}}}), encoding="utf-8"
    )
    assert run(["site", "draw", str(EXAMPLE), "--plan", str(plan)]) == ExitCode.PASS
    assert "70 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["check", "no-such.yaml"],
        ["draw", str(ROOT / "examples/quick.yaml")],
        ["draw", str(EXAMPLE), "--plan", str(EXAMPLE)],
        ["draw", str(EXAMPLE), "-o", "/no/such/folder/a.svg"],
        ["import", "netbox", "no-such.json"],
        ["import", "netbox", str(EXAMPLE)],
        ["import", "lldp", "-"],
        ["import", "ansible", str(DATA)],
        ["import", "ansible", str(DATA / "ansible/hosts.ini"), "--role", "volume"],
        ["import", "ansible", str(DATA / "ansible/hosts.ini"), "--role", "king=a"],
        ["import", "ansible", str(DATA / "ansible/hosts.ini"), "--tier", "attic=a"],
        ["import", "ansible", str(DATA / "ansible/hosts.ini"), "--capacity", "much"],
        ["import", "ansible", str(DATA / "ansible/hosts.ini"), "--also", "magic=x"],
        ["import", "punchcards", "x"],
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_message(words, capsys):
    assert run(["site", *words]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert told.startswith("maul: ")
    assert "Traceback" not in told
