"""The limit in the page and in the terminal: what the summary says, drawn; nothing decided anew."""

import io

import pytest
from report_record import T0_NS
from report_synthetic import bare_summary, full_run
from rich.console import Console

from maul.core.summary import AxisLimit, TrialSummary
from maul.report import terminal
from maul.report.html import render
from maul.report.limit_chart import limit_chart
from maul.report.limit_section import limit_section, limit_tile

HOSTILE = "</script><img src=x onerror=alert(1)>"


def trial(number, rate, judged, low=None, high=None, *, move="trial", why=""):
    began = T0_NS + number * 5 * 10**9
    return TrialSummary(
        move=move, began_ns=began, ended_ns=began + 4 * 10**9, rate_per_s=rate, seconds=4.0, judged=judged,
        offered_per_s=rate, achieved_per_s=rate * 0.99, p50_ms=4.0, p99_ms=31.5, error_ratio=0.0, dropped_ratio=0.0,
        lag_p99_ms=0.2, settled_s=0.3, lower_per_s=low, upper_per_s=high, why_not=why,
    )  # fmt: skip


def made(**changes):
    given = {
        "axis": "requests", "phase": "limit-requests", "unit": "requests/s", "per_operation": 1.0, "lower": 800.0,
        "upper": 840.0, "confirmed": True, "why": "found", "soak": "good", "recovered": True, "stopped_by": "target",
        "wall": None, "says": "The limit of requests lies between 800/s and 840/s.",
        "trials": [
            trial(0, 400.0, "good", 400.0),
            trial(1, 840.0, "bad", 400.0, 840.0, why="quick: p99 of all operations was 900 ms"),
            trial(2, 50.0, "recovered", 400.0, 840.0, move="cool-down"),
            trial(3, 800.0, "good", 800.0, 840.0),
            trial(4, 760.0, "good", 800.0, 840.0, move="soak"),
        ],
    }  # fmt: skip
    return AxisLimit(**{**given, **changes})


def shown(limit):
    out = io.StringIO()
    terminal.show(bare_summary(limits=[limit]), Console(file=out, soft_wrap=True, highlight=False))
    return out.getvalue()


@pytest.mark.parametrize("axis", ["requests", "bytes", "connections"])
def test_the_page_has_a_section_and_a_chart_for_every_axis(axis):
    run, summary = full_run(scale=0.05)
    limit = made(axis=axis, per_operation=float(2**22) if axis == "bytes" else 1.0)
    page = render(run, summary.model_copy(update={"limits": [limit]}))
    assert f'<section id="limit-{axis}">' in page and f'id="chart-limit-{axis}"' in page
    assert "was 900 ms" in page


def test_without_a_search_there_is_no_word_of_it():
    run, summary = full_run(scale=0.05)
    assert "Limit of" not in render(run, summary)


def test_the_bounds_close_in_on_the_chart():
    plot = limit_chart(made(), T0_NS)
    by_name = {}
    for renderer in plot.renderers:
        by_name.setdefault(renderer.name, renderer.data_source.data)
    assert list(by_name["band"]["bottom"]) == [400.0, 400.0, 400.0, 800.0, 800.0]
    assert list(by_name["band"]["top"]) == [plot.y_range.end, 840.0, 840.0, 840.0, 840.0]
    assert list(by_name["moves"]["rate"]) == [400.0, 840.0, 50.0, 800.0, 760.0]
    assert list(by_name["moves"]["marker"])[:2] == ["circle", "x"]


def test_every_judgement_and_every_end_has_words():
    for judged in ("good", "bad", "void", "recovered", "not-recovered", "cut-short"):
        limit = made(trials=[trial(0, 400.0, judged)])
        assert limit_section(limit, T0_NS).tables[0].bodies[0].rows[0][4].chip is not None
        assert limit_chart(limit, T0_NS) is not None
        assert "400/s" in shown(limit)
    for why in ("found", "ceiling", "floor", "generator", "not-recovered", "out-of-time", "stopped"):
        assert limit_section(made(why=why), T0_NS).facts


@pytest.mark.parametrize(
    ("changes", "value", "tone"),
    [
        ({}, "800/s", "pass"),
        ({"soak": "bad"}, "800/s", "fail"),
        ({"upper": None, "why": "ceiling"}, "800/s", "pass"),
        ({"upper": None, "why": "generator", "stopped_by": "generator"}, "800/s", "unknown"),
        ({"lower": None, "upper": 50.0, "why": "floor", "soak": None}, "none", "fail"),
        ({"lower": None, "upper": None, "why": "stopped", "soak": None}, "–", "unknown"),
    ],
)
def test_the_tile(changes, value, tone):
    tile = limit_tile(made(**changes))
    assert (tile.value, tile.tone) == (value, tone)


def test_a_hostile_word_stays_a_word():
    run, summary = full_run(scale=0.05)
    limit = made(says=HOSTILE, trials=[trial(0, 400.0, "bad", why=HOSTILE)])
    page = render(run, summary.model_copy(update={"limits": [limit]}))
    assert HOSTILE not in page and "&lt;/script&gt;&lt;img" in page
    assert HOSTILE in shown(limit)


def test_the_terminal_shows_every_trial_in_the_unit_of_its_axis():
    text = shown(made(axis="bytes", per_operation=float(2**20)))
    assert "Limit of bytes" in text and "400 MiB/s" in text and "cool-down" in text
    assert max(map(len, text.splitlines())) <= 100
