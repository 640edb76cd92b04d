"""The card of a stop: every figure with its unit, what is unknown said so, hostile words as words."""

import re
from xml.etree import ElementTree

import pytest
from mitigation_made import HOLD_S, NOTHING_KNOWN, ONSET_S, felt, made, stopped_run
from report_record import T0_NS, ns
from report_synthetic import bare_summary
from test_report_html import HOSTILE, Page
from test_report_terminal import shown

from maul.core.mitigation_summary import BracketSummary
from maul.core.summary import Check
from maul.core.vantage import Reach, Vantage
from maul.core.verdict import Verdict
from maul.guard.mitigation.causes import Cause, Family
from maul.report.html import render
from maul.report.junit import junit_xml
from maul.report.mitigation_section import mitigation_lines, mitigation_sections, still_stopped
from maul.report.mitigation_story import felt as felt_by
from maul.report.mitigation_words import CAUSES, FAMILIES, would_tell
from maul.report.panels import bands, marks
from maul.report.sections import build


def section(**changes):
    return mitigation_sections(bare_summary(mitigations=[made(**changes)]))[0]


def part(found, title):
    return next((one for one in found.parts if one.title == title), None)


def texts(table):
    return [
        [cell.text or (cell.chip.text if cell.chip else "") for cell in row] for of in table.bodies for row in of.rows
    ]


@pytest.fixture(scope="module")
def page():
    run, summary = stopped_run()
    return Page(render(run, summary)), render(run, summary)


def test_every_word_of_the_classifier_has_a_name():
    assert set(CAUSES) == {*map(str, Cause), "unknown"}
    assert set(FAMILIES) == {*map(str, Family), "unknown"}
    assert all(would_tell(str(vantage)) for vantage in Vantage)


def test_nothing_is_shown_where_nothing_was_stopped():
    summary = bare_summary()
    assert mitigation_sections(summary) == ()
    assert not any("stopped" in tile.label for tile in build(summary).tiles)
    assert "stopped" not in shown(summary)
    assert "system-out" not in junit_xml(summary)


def test_the_facts():
    assert dict(section().facts) == {
        "Cause": "address black-holed",
        "Whose doing": "somebody upstream, on purpose: a protection acted",
        "Scope": "198.51.100.10",
        "Direction of the loss": "towards the target",
        "It took to act": "at most 6.2 s from crossing the threshold to the silence",
        "We were silent": "1.7 s after answers ceased to come",
        "It lasted": "45.0 s, give or take 5.0 s",
        "Afterwards": "went on with 50 % of the load at which it began",
    }
    assert section().title == "Mitigation: address black-holed"
    assert section(cause="link-down", family="network").title == "Traffic stopped: link down"


def test_the_moments_in_the_run_and_after_the_onset():
    rows = texts(part(section(), "What happened").tables[0])
    assert [row[:3] for row in rows] == [
        ["onset", "92.3 s", "+0.0 s"],
        ["suspected", "93.2 s", "+0.9 s"],
        ["frozen", "94.0 s", "+1.7 s"],
        ["verdict", "102.0 s", "+9.7 s"],
        ["recovered", "142.3 s", "+50.0 s"],
        ["resumed", "143.3 s", "+51.0 s"],
    ]


def test_how_sure_it_is():
    found = part(section(), "How sure it is")
    assert "about 74 times as likely as the runner-up, port dropped upstream (11.4 against 7.1 nats)" in found.lead
    assert "What told them apart: port 8080 of the same address was tried" in found.lead
    assert texts(found.tables[0])[-1] == ["against", "port 8080 of the same address did not answer either"]
    assert [of.head for of in found.tables[0].bodies] == ["address black-holed", "port dropped upstream"]


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (9.0, 1.0, "more than 1 000 times"),
        (2.0, 2.0, "about 1 times"),
        (500.0, -500.0, "more than 1 000 times"),
        (float("inf"), 1.0, "not known"),
    ],
)
def test_odds_are_never_absurd(first, second, says):
    suspects = [made().suspects[0].model_copy(update={"score": score}) for score in (first, second)]
    lead = part(section(suspects=suspects), "How sure it is").lead
    assert says in lead.replace("\u202f", " ")


def test_brackets_in_rows_and_drawings():
    found = part(section(), "Where the threshold lies")
    rows = texts(found.tables[0])
    assert rows[1][:6] == ["5 s", "17,900 packets/s", "21,400 packets/s", "1.2", "3", "counted"]
    assert rows[1][6] == "lies between them, if it is of this dimension"
    assert rows[4][1:3] == ["212 Mbit/s", "260 Mbit/s"]
    assert rows[4][5] == "reckoned"
    assert rows[7][-1] == "not of this dimension: more than that was survived"
    assert rows[10][2] == "never seen"
    assert len(found.drawings) == 5
    assert "FastNetMon" in found.drawings[0]
    assert "the threshold lies between 17,900 packets/s and 21,400 packets/s" in found.drawings[0]
    assert "FastNetMon" not in found.drawings[2]
    assert "threshold lies" not in found.drawings[2], "no bracket where more was survived than it was dropped at"


def test_what_earlier_runs_narrowed_comes_first_and_this_run_alone_after_it():
    own = BracketSummary(dimension="packets", unit="packets/s", window_s=5, survived=10_000, dropped_at=30_000)
    known = own.model_copy(update={"survived": 17_000, "dropped_at": 21_000, "runs": 4})
    found = part(section(brackets=[own], narrowed=[known]), "Where the threshold lies")
    assert [texts(table)[0][1:5] for table in found.tables] == [
        ["17,000 packets/s", "21,000 packets/s", "1.24", "4"],
        ["10,000 packets/s", "30,000 packets/s", "3", "1"],
    ]
    assert found.tables[1].bodies[0].head == "Packets towards the target, this run alone"
    assert len(found.drawings) == 1
    assert "(4 runs)" in str(mitigation_lines(made(brackets=[own], narrowed=[known]), T0_NS))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_figure_that_no_axis_holds_draws_nothing_wrong(value):
    odd = BracketSummary(dimension="x_y", unit="y/s", window_s=5, survived=value, dropped_at=value)
    drawings = part(section(brackets=[odd]), "Where the threshold lies").drawings
    assert "nan" not in "".join(drawings)
    assert "inf" not in "".join(drawings)


def test_what_is_unknown_is_told_as_unknown():
    found = mitigation_sections(bare_summary(mitigations=[NOTHING_KNOWN]))[0]
    facts = dict(found.facts)
    assert found.tone == "unknown"
    assert [facts[name] for name in ("Cause", "Whose doing", "Scope", "Direction of the loss", "It took to act")] == [
        "cause unknown", "not known", "not known", "not known", "not known",
    ]  # fmt: skip
    assert facts["We were silent"] == "load was not stopped"
    assert facts["It lasted"] == "not known: it was not seen to end"
    assert [one.title for one in found.parts] == ["What happened", "How sure it is", "Where the threshold lies"]
    assert part(found, "Where the threshold lies").lead.startswith("Not known")
    assert [row[1] for row in texts(part(found, "What happened").tables[0])[1:]] == ["–"] * 5
    assert len(mitigation_lines(NOTHING_KNOWN, T0_NS)) == 5


def test_what_was_not_seen_to_end_is_an_alert_at_the_top():
    never = made(recovered_ns=None, resumed_ns=None, hold_s=None, hold_quantum_s=None, hold_at_least_s=1800.0)
    summary = bare_summary(mitigations=[never])
    assert "Send nothing there" in build(summary).header.alerts[0]
    assert dict(mitigation_sections(summary)[0].facts)["It lasted"] == "at least 30 min: it was not seen to end"
    assert still_stopped(bare_summary(mitigations=[made(), NOTHING_KNOWN])) == ()


def test_a_long_scope_is_counted():
    found = section(scope=[f"10.0.{i // 256}.{i % 256}" for i in range(5000)])
    assert dict(found.facts)["Scope"].replace("\u202f", " ").endswith("10.0.0.11 and 4 988 more")


def test_missing_vantage_points_and_what_they_would_have_told():
    rows = texts(part(section(missing=["feed", "moon"]), "Nobody looked from").tables[0])
    assert rows == [["feed", would_tell("feed")], ["moon", "not known"]]


def test_the_page_has_the_card_and_its_drawings(page):
    parsed, text = page
    for words in ("Mitigation: address black-holed", "Where the threshold lies", "For the network team"):
        assert words in parsed.text
    assert re.search(r'<pre class="copy"[^>]*>Load test dropped: vip-black-hole[^<]*\n\nWhen \(UTC\)\n', text)
    assert parsed.tags.count("svg") == 1 + 5
    assert "control/control" in parsed.text
    assert "maul alerts SITE" in parsed.text


def test_hostile_words_stay_words():
    bad = {
        "says": HOSTILE, "scope": [HOSTILE], "direction": HOSTILE, "separated_by": HOSTILE, "missing": [HOSTILE],
        "customers": [HOSTILE], "ticket": f"{HOSTILE}\u202e\x1b[31m", "cause": HOSTILE, "family": HOSTILE,
        "suspects": [made().suspects[0].model_copy(update={"cause": HOSTILE, "evidence": [HOSTILE]})],
        "brackets": [BracketSummary(dimension=HOSTILE, unit=HOSTILE, window_s=5, survived=1, dropped_at=2)],
    }  # fmt: skip
    run, summary = stopped_run(made(**bad))
    plain = Page(render(*stopped_run()))
    found = Page(render(run, summary))
    assert len(found.scripts) == len(plain.scripts)
    assert found.handlers == []
    assert "img" not in found.tags
    assert found.text.count("<img src=x onerror=alert(1)>") >= 8
    assert "\u202e" not in found.text
    assert "\x1b" not in shown(summary)
    ElementTree.fromstring(junit_xml(summary))


def test_several_each_have_a_section_and_the_tile_counts_them():
    summary = bare_summary(mitigations=[made(), NOTHING_KNOWN, made(cause="policer")])
    page = build(summary)
    assert [one.key for one in page.sections if one.key.startswith("mitigation")] == [
        "mitigation-1", "mitigation-2", "mitigation-3",
    ]  # fmt: skip
    tile = page.tiles[0]
    assert (tile.value, tile.says) == ("address black-holed", "for 45.0 s, give or take 5.0 s, and 2 more stops")


def test_the_held_span_and_the_onset_on_the_time_axis():
    run, summary = stopped_run(made(), made(resumed_ns=None, recovered_ns=None))
    held = [band for band in bands(summary, run.events()) if band.kind == "held"]
    assert [(band.label, round(band.begin_s, 1), round(band.end_s, 1)) for band in held] == [
        ("held: address black-holed", 94.0, 143.3),
        ("held: address black-holed", 94.0, 171.0),
    ]
    assert [round(mark.at_s, 1) for mark in marks(summary, run.events()) if mark.label == "onset"] == [92.3, 92.3]
    assert not [band for band in bands(bare_summary(mitigations=[NOTHING_KNOWN]), run.events()) if band.kind == "held"]


def test_attempts_that_ended_alike_are_one_span():
    spans = felt_by(felt(), T0_NS / 1e9 + 70, T0_NS / 1e9 + 150)
    assert list(spans) == ["control/control", "idle/load-r1-1", "inside/inside", "sentinel/load-r1-1"]
    assert [(span.reach, span.count) for span in spans["control/control"]] == [(Reach.ANSWERED, 80)]
    before, dead, after = spans["sentinel/load-r1-1"]
    assert (before.reach, dead.reach, after.reach) == (Reach.ANSWERED, Reach.TIMEOUT, Reach.ANSWERED)
    assert after.begin_s - ns(ONSET_S + HOLD_S) / 1e9 > 0
    assert felt_by(felt().slice(0, 0), 0, 1) == {}


def test_terminal_and_build_server_say_the_same_in_short():
    says = "answers ceased at 92.3 s: vip-black-hole"
    check = Check(name="traffic was let through", verdict=Verdict.UNKNOWN, says=says)
    summary = bare_summary(mitigations=[made()], checks=[check])
    text = " ".join(shown(summary).split())
    root = ElementTree.fromstring(junit_xml(summary))
    out = " ".join((root.findtext(".//system-out") or "").split())
    assert root.find(".//error").attrib["message"] == says
    for words in (
        "Mitigation: address black-holed",
        "frozen 94.0 s",
        "packets, mean over 5 s: survived 17,900 packets/s, dropped at 21,400 packets/s (3 runs)",
        "nobody looked from: feed, external",
    ):
        assert words in text
        assert words in out
    assert "410 connections/s" not in text, "a dimension that cannot be it takes no line"
    assert "What we ask" in out
