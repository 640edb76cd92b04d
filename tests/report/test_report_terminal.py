import io

import pytest
from report_synthetic import bare_summary, full_run
from rich.console import Console

from maul.core.summary import Finding
from maul.report import terminal


@pytest.fixture(scope="module")
def summary():
    return full_run(scale=0.05)[1]


def shown(summary, path=None, **options):
    out = io.StringIO()
    console = Console(file=out, **({"soft_wrap": True, "highlight": False} | options))
    terminal.show(summary, console, path)
    return out.getvalue()


def test_the_verdict_is_the_first_word(summary):
    assert shown(summary).split()[:2] == ["✕", "FAIL"]


def test_every_part_is_there(summary, tmp_path):
    text = shown(summary, tmp_path / "report.html")
    for part in ("Checks", "Capacity", "Latency", "Errors", "Faults", "Data", "Generator", "Gaps", "Report"):
        assert f"\n{part}" in text
    assert all(check.name in text for check in summary.checks)


def test_without_a_terminal_it_is_plain_and_at_most_100_columns(summary):
    text = shown(summary, width=300)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_a_narrow_terminal_is_not_overrun(summary):
    text = shown(summary, width=60, force_terminal=True, no_color=True, color_system=None, soft_wrap=False)
    assert "FAIL" in text


def test_on_a_terminal_the_verdict_has_a_colour(summary, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[1;31m" in shown(summary, force_terminal=True, color_system="standard")


def test_the_path_of_the_page_stays_in_one_piece(summary, tmp_path):
    path = tmp_path / ("x" * 120) / "report.html"
    assert str(path) in shown(summary, path)


def test_an_encoding_without_the_marks_gets_plainer_ones(summary):
    raw = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    terminal.show(summary, Console(file=raw))
    raw.flush()
    text = raw.buffer.getvalue().decode("ascii")
    assert text.startswith("x FAIL")


def test_a_hostile_key_cannot_drive_the_terminal(summary):
    finding = Finding(kind="lost", key="\x1b]0;owned\x07\x1b[2J[red]k[/red]", through="g", expected="e", found="f")
    text = shown(summary.model_copy(update={"audit": summary.audit.model_copy(update={"findings": [finding]})}))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"\x1b]0;owned\x07\x1b[2J[red]k[/red]" in text


def test_findings_beyond_the_first_are_counted(summary):
    findings = summary.audit.findings * 4
    text = shown(
        summary.model_copy(
            update={"audit": summary.audit.model_copy(update={"findings": findings, "findings_total": 900})}
        )
    )
    assert "and 895 more findings" in text


def test_an_unhealed_fault_is_told_beside_the_verdict(summary):
    hurt = summary.model_copy(update={"faults": [summary.faults[0].model_copy(update={"healed": False})]})
    assert "maul heal" in "\n".join(shown(hurt).splitlines()[:5])
    assert "NOT HEALED" in shown(hurt)


def test_a_run_of_which_nothing_is_known():
    text = shown(bare_summary())
    assert "UNKNOWN" in text
    assert "no check is no pass" in text
    assert "not audited" in text
