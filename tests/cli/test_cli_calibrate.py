"""`maul calibrate` from the shell."""

import json

import pytest

from maul.conduct import calibrate as calibrating


@pytest.fixture(autouse=True)
def short_trials(monkeypatch, tmp_path):
    """The real engine on the real null server, but only as long as it takes to see that they work."""
    monkeypatch.setenv("MAUL_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(calibrating, "_TRIAL_OVERHEAD_S", 10.0)
    monkeypatch.setattr(calibrating, "ROUNDS", 1)
    monkeypatch.setattr(calibrating, "SIZES_BYTES", (4096, 65_536))


def test_numbers_for_machines_are_kept_and_say_what_they_are(maul, tmp_path):
    answer = maul("calibrate", "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert found["schema_version"] == 1
    assert len(found["figures"]) == 14
    assert all(figure["ceiling_per_s"] > 0 and figure["cpu_us"] > 0 for figure in found["figures"])
    (kept,) = (tmp_path / "state" / "calibrations").iterdir()
    assert json.loads(kept.read_text())["machine"] == found["machine"]


def test_people_get_a_table(maul):
    answer = maul("calibrate", "--quick")
    assert answer.code == 0
    assert "get-verified" in answer.out and "1 KiB" not in answer.out
    assert "kept in" in answer.out


@pytest.mark.parametrize(
    "words", [("--seconds", "1"), ("--seconds", "1e9"), ("--seconds", "nan"), ("--seconds", "9", "--quick")]
)
def test_what_cannot_be_done_is_said(maul, words):
    answer = maul("calibrate", *words)
    assert answer.code == 3
    assert "maul calibrate" in answer.err and "Traceback" not in answer.err
