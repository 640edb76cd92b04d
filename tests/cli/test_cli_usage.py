"""What is wrong with a command line or a file, in one message each, with the exit code of whoever must mend it."""

import json
import re
import subprocess  # noqa: TID251 — looks at a fresh interpreter
import sys
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from maul import __version__, campaign
from maul.cli import main as cli
from maul.conduct import conductor

VERBS = [
    (), ("beat",), ("stop",), ("serve",),
    ("plan",), ("limit",), ("hit",), ("knock",), ("calibrate",), ("report",), ("compare",), ("heal",), ("wipe",),
    ("lab",), ("lab", "up"), ("lab", "status"), ("lab", "down"), ("lab", "exec"), ("lab", "net"), ("lab", "play"),
    ("campaign",), ("campaign", "schema"), ("campaign", "check"),
    ("campaign", "show"), ("agent",), ("fleet",), ("fleet", "init"), ("fleet", "up"), ("fleet", "status"),
    ("fleet", "down"), ("fleet", "collect"),
    ("audit",), ("permit",), ("permit", "keygen"), ("permit", "draft"), ("permit", "sign"), ("permit", "show"),
    ("permit", "check"), ("permit", "consent"),
    ("site",), ("site", "import"), ("site", "check"), ("site", "draw"), ("alerts",),
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch):
    monkeypatch.setattr(conductor.cluster, "embedded", lambda *given, **more: pytest.fail("a lab was started"))
    monkeypatch.setattr(conductor.DeadMan, "arm", lambda *given, **more: pytest.fail("a helper was started"))


def test_every_verb_is_in_this_table():
    app = cli.build()
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    found = {(command.name,) for command in app.registered_commands} | {(name,) for name in groups}
    for name, group in groups.items():
        found |= {(name, command.name or command.callback.__name__) for command in group.registered_commands}
    assert found == set(VERBS) - {()}


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_explains_itself(maul, verb):
    answer = maul(*verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert "Usage: maul" in answer.out


@pytest.mark.parametrize(
    "verb",
    [(), ("lab",), ("campaign",), ("fleet",), ("permit",), ("site",)],
    ids=["maul", "lab", "campaign", "fleet", "permit", "site"],
)
def test_without_a_verb_there_is_help_and_not_a_pass(maul, verb):
    answer = maul(*verb)
    assert answer.code == 3
    assert "Usage: maul" in answer.out + answer.err


def test_version(maul):
    answer = maul("--version")
    assert (answer.code, answer.out, answer.err) == (0, f"maul {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["bea"], "No such command 'bea'"),
        (["lab", "sideways"], "No such command 'sideways'"),
        (["beat", "--site"], "--site"),
        (["beat", "a.yaml", "b.yaml"], "b.yaml"),
        (["plan", "--jsn"], "--jsn"),
        (["hit"], "url"),
        (["hit", "http://127.0.0.1:1", "--op", "fly"], "'fly' is not one of"),
        (["hit", "http://127.0.0.1:1", "--objects", "many"], "--objects"),
        (["hit", "http://127.0.0.1:1", "--objects", "0"], "--objects"),
        (["hit", "http://127.0.0.1:1", "--objects", "99999999999999999999"], "--objects"),
        (["hit", "http://127.0.0.1:1", "--rate", "fast"], "'fast' is not a rate"),
        (["hit", "http://127.0.0.1:1", "--rate", "0"], "--rate"),
        (["hit", "http://127.0.0.1:1", "--rate", "-5"], "-5"),
        (["hit", "http://127.0.0.1:1", "--rate", "5", "--concurrency", "5"], "exactly one of --rate"),
        (["hit", "http://127.0.0.1:1", "--concurrency", "0"], "--concurrency"),
        (["hit", "http://127.0.0.1:1", "--size", "4 parsec"], "4 parsec"),
        (["hit", "http://127.0.0.1:1", "--duration", "soon"], "soon"),
        (["hit", "http://127.0.0.1:1", "--duration", "nan"], "nan"),
        (["hit", "http://127.0.0.1:1", "--timeout", "0s"], "--timeout"),
        (["hit", "http://127.0.0.1:1", "--op", "put", "--key", "theirs"], "only read"),
        (["hit", "http://127.0.0.1:1", "--bucket", "NO"], "--bucket"),
        (["hit", "http://127.0.0.1:1/one", "--bucket", "two"], "--bucket"),
        (["hit", "ftp://127.0.0.1"], "URL"),
        (["hit", "127.0.0.1"], "URL"),
        (["hit", "http://127.0.0.1:99999"], "URL"),
        (["hit", "http://127.0.0.1:1/b/key"], "--key"),
        (["hit", ""], "URL"),
        (["limit", "--axis", "sideways"], "'sideways' is not one of"),
        (["limit", "--axis", "all", "--to", "100/s"], "--from and --to count on one axis"),
        (["limit", "--axis", "requests", "--from", "fast"], "'fast' is not a rate"),
        (["limit", "--axis", "bytes", "--from", "20 parsecs"], "20 parsecs"),
        (["limit", "--axis", "requests", "--from", "100/s", "--to", "100/s"], "from (100/s) is not below to (100/s)"),
        (["limit", "--axis", "requests", "--to", "5000/s"], "to is 5000/s, above limits.rate (2000/s)"),
        (["limit", "--axis", "bytes", "--to", "900MB/s"], "above limits.bandwidth"),
        (["limit", "nowhere.yaml"], "nowhere.yaml"),
        (["campaign", "check"], "campaign"),
        (["lab", "status", "--name", "../up"], "'../up' is not a name"),
        (["lab", "down", "--dir", "a,b"], "commas"),
    ],
    ids=lambda value: " ".join(value[-3:]) if isinstance(value, list) else "",
)
def test_a_bad_command_line(maul, words, says):
    answer = maul(*words)
    assert (answer.code, answer.out) == (3, "")
    assert says.lower() in answer.err.lower(), answer.err
    assert answer.err.startswith("maul: ")


def test_a_password_in_a_url_is_not_repeated(maul):
    answer = maul("hit", "http://me:my-secret@127.0.0.1:1")
    assert answer.code == 3 and "my-secret" not in answer.err


FIRST = campaign.first_text()
LINE_OF = {line[: line.index(":") + 1]: number for number, line in enumerate(FIRST.split("\n"), 1) if ":" in line}
BROKEN = {
    "unknown key": (
        FIRST.replace("name: first-beating", "name: first-beating\nnmae: x"),
        LINE_OF["name:"] + 1,
        1,
        "nmae",
    ),
    "wrong type": (FIRST.replace("objects: 3000", "objects: many"), LINE_OF["  objects:"], 12, "workload.objects"),
    "unknown fault": (FIRST.replace("fault: process.kill", "fault: process.kil"), None, None, "process.kil"),
    "unknown phase": (FIRST.replace("phase: fault,", "phase: falt,"), None, None, "falt"),
    "no unit": (FIRST.replace("for: 30s", "for: 30 parsecs"), None, None, "30 parsecs"),
    "not YAML": (FIRST + "x: [", None, None, "is not YAML"),
    "two at once": (FIRST.replace("seed: 1", "sed: 1").replace("kind: warm-up", "kind: warmup"), None, None, "sed"),
}


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        (verb, what)
        for what in BROKEN
        for verb in ("campaign check", "plan", "beat")
        if (verb, what) != ("campaign check", "unknown fault")  # which faults there are is known to the plan
    ],
)
def test_a_bad_campaign_is_told_with_file_line_and_column(maul, tmp_path, verb, what):
    text, line, column, says = BROKEN[what]
    assert text != FIRST
    path = tmp_path / "c.yaml"
    path.write_text(text)
    answer = maul(*verb.split(), path)
    assert (answer.code, answer.out) == (3, "")
    places = re.findall(re.escape(str(path)) + r":(\d+):(\d+): ", answer.err)
    assert places, answer.err
    assert line in (None, int(places[0][0])) and column in (None, int(places[0][1]))
    assert says in answer.err
    if what == "two at once":
        assert len(places) == 2, "all problems at once"


@pytest.mark.parametrize("verb", [("campaign", "check"), ("plan",), ("beat",)], ids=" ".join)
@pytest.mark.parametrize("what", ["missing", "a directory", "empty", "binary", "not for us"])
def test_what_is_no_campaign_file(maul, tmp_path, verb, what):
    path = tmp_path / "c.yaml"
    if what == "a directory":
        path.mkdir()
    elif what in ("empty", "not for us"):
        path.write_text("" if what == "empty" else "- 1\n- 2\n")
    elif what == "binary":
        path.write_bytes(bytes(range(256)))
    answer = maul(*verb, path)
    assert (answer.code, answer.out) == (3, "")
    assert str(path) in answer.err


@pytest.mark.parametrize("text", ["version: 1\n", "x: [", None])
def test_a_bad_site(maul, tmp_path, text):
    path = tmp_path / "site.yaml"
    if text is not None:
        path.write_text(text)
    for verb in ("plan", "beat"):
        answer = maul(verb, "--site", path)
        assert (answer.code, answer.out) == (3, "") and str(path) in answer.err


def test_a_good_campaign(maul, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(FIRST)
    answer = maul("campaign", "check", path)
    assert answer.code == 0 and "first-beating" in answer.out


def test_the_schema_is_one_and_the_first_campaign_keeps_it(maul):
    schema = json.loads(maul("campaign", "schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    shown = maul("campaign", "show")
    assert (shown.code, shown.out) == (0, FIRST)
    first = YAML(typ="safe", pure=True).load(shown.out)
    validator.validate(first)
    assert not validator.is_valid(first | {"nmae": "x"})
    assert not validator.is_valid({key: value for key, value in first.items() if key != "phases"})


def test_plan_tells_and_sends_nothing(maul, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *given: pytest.fail("a connection was tried"))
    answer = maul("plan")
    assert answer.code == 0 and answer.err == ""
    for word in ("fill", "ramp", "kill-volume", "process.kill", "audit", "clean-up", "ceilings", "127.64.0.1"):
        assert word in answer.out
    as_json = maul("plan", "--json")
    assert as_json.code == 0
    assert [phase["name"] for phase in json.loads(as_json.out)["phases"]][:2] == ["fill", "warm-up"]
    assert list(Path.cwd().iterdir()) == [], "a plan leaves no file"


def test_a_verb_imports_what_it_needs_and_no_more():
    """An agent on a borrowed server has no use for charts and solvers."""
    script = (
        "import sys; from maul.cli.main import run; run(['agent', '--help']); print({*sys.modules} & {*sys.argv[1:]})"
    )
    heavy = ("bokeh", "scipy", "duckdb", "boto3")
    done = subprocess.run(
        [sys.executable, "-c", script, *heavy], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout.endswith("set()\n"), done.stdout[-200:]
