"""The page of what was played against what was said, and the script that writes it."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from play_world import NS, START_NS, play, terms_of
from played_causes import plays as played_setups

from maul.guard.mitigation import plays
from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.confusion import SIGHTS, Judged, judge, written
from maul.guard.mitigation.plays import Play

ROOT = Path(__file__).resolve().parent.parent.parent.parent


def _recorded(cause: Cause) -> Play:
    setup = next(one for one in played_setups() if one.played is cause)
    return Play(cause, "30/s", terms_of(setup), START_NS + setup.before_s * NS, play(setup))


def test_right_and_when() -> None:
    judged = judge(_recorded(Cause.BALANCER_DOWN), SIGHTS[0])
    assert (judged.said, judged.right_after_s, judged.wrong) == (Cause.BALANCER_DOWN, 1.0, frozenset())


def test_a_lie_is_counted() -> None:
    """A play under a false name: the classifier is wrong by it, and the page says so."""
    honest = _recorded(Cause.BALANCER_DOWN)
    lie = replace(_recorded(Cause.PORT_DISCARD), cause=Cause.BALANCER_HUNG)
    judged = [judge(one, sight) for one in (honest, lie) for sight in (SIGHTS[0], SIGHTS[-1])]
    assert [one.false_protection for one in judged] == [False, False, True, False]
    assert [one.wrong_family for one in judged] == [False, False, True, False]
    page = written(judged, "some command", "2026-01-02")
    assert "2 recorded plays" in page
    assert "2 judgements: 1 right in the end, 0 unknown, 1 wrong at times" in page
    assert "a protection blamed that did nothing: 1" in page
    assert "| balancer-down | 1 | 1 |" in page
    assert "| balancer-hung | 1 |  | 1 | 1 |" in page


def test_what_was_never_said_is_unknown() -> None:
    one = Judged(_recorded(Cause.POLICER), SIGHTS[0], None, False, None, frozenset())
    assert one.word == "unknown"
    assert not one.false_protection


def test_the_script_reads_files_and_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plays").mkdir()
    (tmp_path / "plays" / "down.json.gz").write_bytes(plays.dump(_recorded(Cause.BALANCER_DOWN)))
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        main = runpy.run_path(str(ROOT / "scripts" / "mitigation_matrix.py"))["main"]
    finally:
        sys.path.pop(0)
    page = tmp_path / "page.md"
    assert main([str(tmp_path / "plays"), "--date", "2026-01-02", "--out", str(page)]) == 0
    assert "Generators only" in page.read_text()
    (tmp_path / "plays" / "bad.json.gz").write_bytes(b"no")
    assert main([str(tmp_path / "plays"), "--out", str(page)]) == 3
    assert "bad.json.gz" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere.json.gz"), "--out", str(page)]) == 3
