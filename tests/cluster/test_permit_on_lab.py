"""A campaign with a permit, on a real cluster: no consent, no run; consent withdrawn or expired, no run any more."""

import json
import time

import pytest
from beat_runs import Beat, campaign, keys_in, left_in_state, maul

from maul.cli.live import Screen
from maul.cli.screen import ERR
from maul.conduct import permission
from maul.conduct.conductor import Order, beat
from maul.core.errors import ExitCode
from maul.core.summary import Ending
from maul.guard.permit import expired
from maul.guard.permit_document import hash_of
from maul.guard.permit_text import load_permit, to_text
from maul.record import RunReader

pytestmark = pytest.mark.cluster
EVERY_S = 1
NO_FAULT = (
    "faults:\n  - {name: kill-volume, fault: process.kill, role: volume, pick: 1, phase: hurt, after: 1s, hold: 3s}\n",
    "",
)


class Desk:
    """Two approvers with their keys, a trust file, and a campaign that names a permit."""

    def __init__(self, lab, folder, capsys, bucket, seconds="4s"):
        self.lab, self.folder, self.capsys = lab, folder, capsys
        self.permit, self.trust = folder / "permit.yaml", folder / "trust.yaml"
        self.campaign = campaign(
            folder / "c.yaml", NO_FAULT, ("seed: 7", "permit: permit.yaml\nseed: 7"), bucket=bucket, seconds=seconds
        )
        names = ("storage", "network")
        public = {name: self.must("keygen", folder / f"{name}.key").strip() for name in names}
        self.trust.write_text(
            "approvers:\n" + "".join(f"  - {{name: {name}, key: '{key}'}}\n" for name, key in public.items())
            + "at_least: 2\n"
        )  # fmt: skip

    def maul(self, *words):
        return maul(self.capsys, *words)

    def must(self, *words):
        code, out, err = self.maul("permit", *words)
        assert code == 0, err
        return out

    def draft(self, lasts="10m"):
        plain = self.folder / "plain.yaml"
        plain.write_text(self.campaign.read_text().replace("permit: permit.yaml\n", ""))
        self.must(
            "draft", plain, "--site", self.lab.site_path, "--for", lasts, "--contact", "on call: 4711", "--trust",
            self.trust, "--out", self.permit,
        )  # fmt: skip
        document = load_permit(self.permit)
        faster = document.consent.model_copy(update={"every_s": float(EVERY_S)})
        self.write(document.model_copy(update={"consent": faster}))

    def write(self, document):
        self.permit.write_text(to_text(document, as_json=False))

    def sign(self):
        for name in ("storage", "network"):
            self.must("sign", self.permit, "--key", self.folder / f"{name}.key", "--as", name)

    def consent(self, what):
        return self.must("consent", self.permit, what, "--site", self.lab.site_path, "--trust", self.trust)

    def words(self):
        return ("--site", self.lab.site_path, "--trust", self.trust, "--runs", self.folder / "runs")

    def beat(self):
        return self.maul("beat", self.campaign, *self.words())


@pytest.fixture
def desk(lab, tmp_path, capsys):
    made = Desk(lab, tmp_path, capsys, "maul-permitted")
    made.draft()
    return made


def test_signatures_then_consent_then_a_run(desk):
    code, _, err = desk.beat()
    assert code == ExitCode.NOT_PERMITTED and "storage has not signed; network has not signed" in err
    desk.sign()
    check = (
        "permit",
        "check",
        desk.permit,
        "--campaign",
        desk.campaign,
        "--site",
        desk.lab.site_path,
        "--trust",
        desk.trust,
    )
    assert desk.maul(*check)[0] == 0
    code, _, err = desk.beat()
    assert code == ExitCode.NOT_PERMITTED and "does not consent" in err and "maul permit consent FILE" in err
    assert desk.maul(*check, "--consent")[0] == ExitCode.NOT_PERMITTED
    assert not (desk.folder / "runs").exists() and left_in_state() == []

    desk.consent("--place")
    assert desk.maul(*check, "--consent")[0] == 0
    code, _, err = desk.beat()
    assert code == 0 and "vip consents to permit" in err, err
    run = RunReader.open("latest", desk.folder / "runs")
    assert load_permit(run.path / "permit.json") == load_permit(desk.permit)
    assert json.loads(run.text("plan.json"))["permit"]["approved_by"] == ["storage", "network"]
    private = (desk.folder / "storage.key").read_text().splitlines()[1]
    said = b"".join(path.read_bytes() for path in run.path.rglob("*") if path.is_file())
    assert all(secret.encode() not in said for secret in [private, *keys_in(desk.lab.layout.conf)])

    assert desk.maul("wipe", run.path, "--trust", desk.trust)[0] == 0
    code, out, _ = desk.maul("audit", run.path)
    assert code == 0 and out.count("phase ended") == 4 and "wipe ended" in out
    assert hash_of(load_permit(desk.permit)) in out
    desk.consent("--withdraw")
    code, _, err = desk.maul("wipe", run.path, "--trust", desk.trust)
    assert code == ExitCode.NOT_PERMITTED and "does not consent" in err


def test_consent_withdrawn_in_the_middle_ends_the_run(lab, tmp_path, capsys):
    desk = Desk(lab, tmp_path, capsys, "maul-permitted", "60s")
    desk.draft()
    desk.sign()
    desk.consent("--place")
    with Beat(tmp_path / "beat", desk.campaign, *desk.words()) as running:
        running.until("hurt: load at an exact rate").until("hurt: 5")
        desk.consent("--withdraw")
        began = time.monotonic()
        running.until("withdrew its consent")
        took_s = time.monotonic() - began
        code = running.end(60)
    assert code == ExitCode.GUARD, running.said
    summary = RunReader.open("latest", tmp_path / "runs").summary()
    assert (summary.ending, summary.exit_code) == (Ending.GUARD, ExitCode.GUARD)
    assert took_s < EVERY_S + 5, "asked every second, and twice when it says no"
    desk.consent("--place")
    assert desk.maul("wipe", RunReader.open("latest", tmp_path / "runs").path, "--trust", desk.trust)[0] == 0
    desk.consent("--withdraw")


class Skips(Screen):
    """From the beginning of the load on, whoever looks at the permit's end looks from the future."""

    ahead_ns = 0

    def step(self, says):
        if says.startswith("hurt: load"):
            self.ahead_ns = 115 * 10**9


def test_a_permit_that_expires_in_the_middle_ends_the_run(lab, tmp_path, capsys, monkeypatch):
    desk = Desk(lab, tmp_path, capsys, "maul-permitted", "60s")
    desk.draft("2m")
    desk.sign()
    desk.consent("--place")
    progress = Skips(ERR, quiet=True)
    monkeypatch.setattr(permission, "expired", lambda permit, now_ns: expired(permit, now_ns + progress.ahead_ns))
    order = Order(desk.campaign, lab.site_path, tmp_path / "runs", trust=desk.trust)
    began = time.monotonic()
    summary = beat(order, progress).summary
    assert (summary.ending, summary.exit_code) == (Ending.GUARD, ExitCode.GUARD)
    assert "the permit short expired at" in summary.headline
    assert time.monotonic() - began < 30, "the load alone would have taken a minute"
    desk.consent("--withdraw")
    wipe = ("wipe", RunReader.open("latest", tmp_path / "runs").path, "--trust", desk.trust)
    assert desk.maul(*wipe)[0] == ExitCode.NOT_PERMITTED, "without consent nothing is sent, clean-up included"
    desk.consent("--place")
    assert desk.maul(*wipe)[0] == 0
    desk.consent("--withdraw")


@pytest.mark.parametrize("change", ["address", "name"])
def test_a_permit_for_another_place_is_none_on_loopback_either(desk, change):
    document = load_permit(desk.permit)
    first = document.targets[0]
    other = {"address": {"addresses": ("127.0.0.2",)}, "name": {"name": "elsewhere"}}[change]
    desk.write(document.model_copy(update={"targets": (first.model_copy(update=other), *document.targets[1:])}))
    desk.sign()
    code, _, err = desk.beat()
    assert (code == ExitCode.NOT_PERMITTED and "nothing was sent" in err) or "not among its targets" in err
    assert not (desk.folder / "runs").exists()


def test_changed_after_signing_is_no_permit(desk):
    desk.sign()
    text = desk.permit.read_text()
    assert text.count("faults: true") == 0
    desk.permit.write_text(text + "faults: true\n")
    code, _, err = desk.beat()
    assert code == ExitCode.NOT_PERMITTED and "it was changed, or another one was signed" in err


def test_sign_wants_a_key_that_is_kept_to_oneself(desk):
    key = desk.folder / "storage.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o640)
    code, _, err = desk.maul("permit", "sign", desk.permit, "--key", key, "--as", "storage")
    assert code == ExitCode.USAGE and "mode 0640" in err and "PRIVATE" not in err
    assert desk.maul("permit", "keygen", key)[0] == ExitCode.USAGE, "a key is never overwritten"
