"""A comparison drawn: every word of it, hostile names, nothing from the network."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from maul.core.comparison import ComparedRow, ComparedRun, Comparison, Judgement, Metric
from maul.core.errors import MachineError
from maul.report import compare


def row(**given: object) -> ComparedRow:
    known: dict[str, object] = {
        "phase": "steady", "op": "get", "metric": Metric.P50, "a": 2.654, "b": 4.088, "effect": 0.54, "low": 0.0625,
        "high": 1.23, "floor": 0.12, "judgement": Judgement.WORSE, **given,
    }  # fmt: skip
    return ComparedRow.model_validate(known)


ROWS = [
    row(),
    row(metric=Metric.P99, judgement=Judgement.UNKNOWN, why="too noisy", floor=4.49, low=-0.916, high=13.44),
    row(metric=Metric.ERRORS, a=0.0, b=0.0, effect=0.0, low=-0.00343, high=0.00343, floor=0.00343,
        judgement=Judgement.SAME),
    row(op="all", metric=Metric.OK, a=80.0, b=100.0, effect=0.25, judgement=Judgement.BETTER, repeats_p=0.1),
    row(phase="ramp", op="all", metric=Metric.CAPACITY, a=700.0, b=None, effect=None, low=None, high=None, floor=None,
        judgement=Judgement.WORSE, why="it gave way at 100/s; A held 700/s"),
]  # fmt: skip


def made(**given: object) -> Comparison:
    one = ComparedRun(run_id="20260101-000001-aaaaaa", campaign="c", target="t", began_ns=10**18, plan_hash="9f2c" * 4,
                      maul_version="0.1.0")  # fmt: skip
    known: dict[str, object] = {
        "maul_version": "0.1.0", "a": [one], "b": [one.model_copy(update={"run_id": "<b>&\u202e"})], "rows": ROWS,
        "headline": "B is worse: p50 of GET in steady.", "exit_code": 1,
        "differences": ["sizes.bytes of steady: 4096 in A, <script>alert(1)</script> in B"],
        "notes": ["fill: 2 s are too few"], **given,
    }  # fmt: skip
    return Comparison.model_validate(known)


def shown(comparison: Comparison) -> str:
    console = Console(file=io.StringIO(), width=200)
    compare.show(comparison, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_terminal_says_it_all_within_its_width() -> None:
    text = shown(made())
    assert text.startswith("✕ worse  B is worse: p50 of GET in steady.")
    assert re.search(r"GET +p50 +2\.654 +4\.088 +\+54 % +\+6\.25 % to \+123 % +12 % +✕ worse", text)
    assert re.search(r"GET +errors +0 % +0 % +0 pp +−0\.343 pp to \+0\.343 pp +0\.343 pp += no difference", text)
    assert "? cannot tell: too" in text
    assert "A held" in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(("code", "word"), [(0, "NOT WORSE"), (1, "WORSE"), (2, "CANNOT TELL")])
def test_the_page_has_every_figure_and_loads_nothing(code: int, word: str) -> None:
    page = compare.render(made(exit_code=code))
    assert f"</span>{word}</p>" in page
    for figure in ("2.654", "4.088", "+54 %", "+6.25 % to +123 %", "too noisy", "p 0.1", "fill: 2 s are too few"):
        assert figure in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page
    assert "default-src &#39;none&#39;; script-src &#39;none&#39;" in page
    assert not re.search(r"(src|href)=.?(http|//)", page)
    assert page.count("<svg") == len([r for r in ROWS if r.effect is not None])


def test_drawings_keep_their_order_and_their_frame() -> None:
    effects = [-0.9999, -0.5, -0.1, 0.0, 0.1, 1.0, 1e6]
    places = [compare.place(effect) for effect in effects]
    assert places == sorted(places)
    assert places[0] > 0 and places[-1] < compare.WIDTH
    drawn = compare.drawing(row(effect=0.1, low=None, high=None, floor=0.5))
    assert f'x1="0.0" x2="{compare.WIDTH:.1f}"' in drawn


def test_an_empty_comparison_is_a_page_too() -> None:
    empty = made(rows=[], differences=[], notes=[], exit_code=2)
    assert "Not alike" not in compare.render(empty)
    assert "Not alike" not in shown(empty)


def test_a_disk_that_refuses_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="--html"):
        compare.write_page(made(), tmp_path / "nowhere" / "page.html")
    compare.write_page(made(), tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
