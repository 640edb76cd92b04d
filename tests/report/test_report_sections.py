from dataclasses import asdict

import pytest
from report_synthetic import bare_summary, full_run

from maul.core.summary import AuditSummary, Check, Ending, ErrorCount, Finding, Level
from maul.core.verdict import Verdict
from maul.report.sections import build
from maul.report.trouble import FINDINGS_SHOWN_MAX
from maul.report.view import Page, longest_load_phase


@pytest.fixture(scope="module")
def summary():
    return full_run(scale=0.05)[1]


def section(page: Page, key: str):
    return next(section for section in page.sections if section.key == key)


def texts(section) -> str:
    return str(asdict(section))


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_header_carries_the_verdict_as_word_tone_and_mark(summary, verdict):
    chip = build(summary.model_copy(update={"verdict": verdict})).header.verdict
    assert (chip.text, chip.tone) == (verdict.name, verdict.name.lower())
    assert chip.mark


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.COMPLETED])
def test_an_ending_before_the_end_is_explained_in_the_header(ending):
    meaning = " ".join(build(bare_summary(ending=ending)).header.meaning)
    assert "never ran" in meaning or "died" in meaning


def test_no_check_is_never_dressed_as_a_pass():
    page = build(bare_summary())
    assert any("no check is no pass" in sentence for sentence in page.header.meaning)
    assert "Without a check there is no pass" in section(page, "checks").lead


def test_the_worst_checks_come_first(summary):
    rows = section(build(summary), "checks").tables[0].bodies[0].rows
    assert [row[0].chip.text for row in rows] == ["FAIL", "FAIL", "UNKNOWN", "PASS", "PASS", "PASS"]


def test_an_unhealed_fault_is_an_alert_on_top(summary):
    fault = summary.faults[0].model_copy(update={"healed": False, "healed_ns": None})
    page = build(summary.model_copy(update={"faults": [fault]}))
    assert "maul heal" in page.header.alerts[0]
    assert "NOT HEALED" in texts(section(page, "faults"))
    assert build(summary).header.alerts == ()


def test_an_unproven_fault_is_doubt_not_success(summary):
    page = build(summary.model_copy(update={"faults": [summary.faults[0].model_copy(update={"proven": False})]}))
    tile = next(tile for tile in page.tiles if tile.label == "Faults")
    assert tile.tone == "unknown"
    assert section(page, "faults").tables[0].bodies[0].rows[0][4].chip.tone == "unknown"


def test_a_void_level_is_neither_good_nor_bad(summary):
    rows = section(build(summary), "capacity").tables[0].bodies[0].rows
    assert [row[0].chip.text for row in rows][-2:] == ["bad", "void"]
    assert "the generator was the limit" in rows[-1][-1].text


def test_a_capacity_without_any_good_level_says_none(summary):
    capacity = summary.capacity.model_copy(update={"highest_good_per_s": None})
    tile = build(summary.model_copy(update={"capacity": capacity})).tiles[0]
    assert (tile.value, tile.tone) == ("none", "fail")


def test_a_capacity_that_found_no_wall_says_so(summary):
    capacity = summary.capacity.model_copy(update={"first_bad_per_s": None, "wall": None})
    page = build(summary.model_copy(update={"capacity": capacity}))
    assert "not reached" in page.tiles[0].says
    assert not any(label == "The wall" for label, _ in section(page, "capacity").facts)


def test_the_overview_takes_its_latency_from_the_steady_load_not_from_the_ramp(summary):
    assert longest_load_phase(summary).name == "steady"


def test_errors_are_told_once_per_class_with_the_most_frequent_first(summary):
    rows = section(build(summary), "errors").tables[0].bodies[0].rows
    names = [row[0].text for row in rows]
    assert len(names) == len(set(names)) == len({error.error_class for error in summary.errors})
    counts = [int("".join(filter(str.isdigit, row[1].text))) for row in rows]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == sum(error.count for error in summary.errors)


def test_an_error_class_from_the_future_is_still_shown():
    error = ErrorCount(phase="p", op="get", outcome="fail", error_class="200", count=3, first_ns=1, last_ns=2)
    rows = section(build(bare_summary(errors=[error])), "errors").tables[0].bodies[0].rows
    assert rows[0][0].text == "200"
    assert "does not know" in rows[0][2].text


def test_nothing_sent_is_not_told_as_everything_ok():
    page = build(bare_summary())
    assert section(page, "errors").lead == "No operation was recorded."
    assert next(tile for tile in page.tiles if tile.label == "Operations").says == "nothing was sent"


def audit_with(number: int, total: int, complete: bool = True) -> AuditSummary:
    findings = [Finding(kind="lost", key=f"k{i}", through="g", expected="v1", found="404") for i in range(number)]
    return AuditSummary(
        objects=9,
        reads=9,
        through=["g"],
        counts={},
        findings=findings,
        findings_total=total,
        complete=complete,
        says="s",
    )


def test_findings_that_are_not_shown_are_counted():
    page = build(bare_summary(audit=audit_with(FINDINGS_SHOWN_MAX + 50, 5000)))
    data = section(page, "data")
    assert len(data.tables[0].bodies[0].rows) == FINDINGS_SHOWN_MAX
    assert "4\u202f800 more findings" in data.note


def test_all_findings_shown_leaves_no_note():
    assert section(build(bare_summary(audit=audit_with(3, 3))), "data").note == ""


@pytest.mark.parametrize(
    ("audit", "tone"),
    [
        (None, "unknown"),
        (audit_with(0, 0), "pass"),
        (audit_with(0, 0, complete=False), "unknown"),
        (audit_with(1, 1), "fail"),
    ],
)
def test_the_data_tile_is_green_only_after_a_complete_clean_audit(audit, tone):
    assert next(tile for tile in build(bare_summary(audit=audit)).tiles if tile.label == "Data").tone == tone


def test_a_generator_without_an_account_is_doubt():
    page = build(bare_summary())
    assert next(tile for tile in page.tiles if tile.label == "Generator").tone == "unknown"
    assert section(page, "generator").tone == "unknown"


def test_gaps_and_notes_are_all_told(summary):
    gaps = section(build(summary), "notes")
    assert len(gaps.points) == len(summary.gaps) + len(summary.notes)
    assert summary.run_id in gaps.note


def test_columns_of_a_group_stand_under_one_head(summary):
    latency = section(build(summary), "latency").tables[1]
    assert latency.groups == (("", 2), ("from due, ms", 5), ("service, ms", 5))
    assert [i for i in range(12) if latency.starts_group(i)] == [2, 7]


def test_a_level_of_no_length_and_no_operations_is_drawn(summary):
    zero = Level(
        began_ns=0, ended_ns=0, offered_per_s=0, achieved_per_s=0, p50_ms=0, p99_ms=float("nan"), p999_ms=0,
        service_p99_ms=0, error_ratio=0, dropped_ratio=0, lag_p99_ms=0, meets=False,
    )  # fmt: skip
    capacity = summary.capacity.model_copy(update={"levels": [zero]})
    rows = section(build(summary.model_copy(update={"capacity": capacity})), "capacity").tables[0].bodies[0].rows
    assert rows[0][4].text == "–"


def test_checks_without_a_phase_speak_of_the_whole_run():
    page = build(bare_summary(checks=[Check(name="c", verdict=Verdict.PASS, says="s")]))
    assert section(page, "checks").tables[0].bodies[0].rows[0][2].text == "whole run"


def test_a_percentile_of_too_few_operations_is_drawn_faint(summary):
    few = summary.phases[0].latency[0]
    few = few.model_copy(
        update={
            "latency": few.latency.model_copy(update={"count": 99}),
            "service": few.service.model_copy(update={"count": 1000}),
        }
    )
    page = build(bare_summary(phases=[summary.phases[0].model_copy(update={"latency": [few]})]))
    row = section(page, "latency").tables[1].bodies[0].rows[0]
    assert [cell.tone for cell in row[2:]] == ["", "", "faint", "faint", "", "", "", "", "", ""]
    assert "99 operations" in row[4].hint


def test_what_a_deleted_object_answers_in_the_audit_stands_apart_and_is_not_red(summary):
    missing = ErrorCount(
        phase="audit", op="get", outcome="fail", error_class="no_such_key", count=790, first_ns=1, last_ns=2
    )
    phases = [phase.model_copy(update={"fail": 790}) if phase.name == "audit" else phase for phase in summary.phases]
    page = build(summary.model_copy(update={"errors": [*summary.errors, missing], "phases": phases}))
    served, later = section(page, "errors").tables[0].bodies
    assert "NO_SUCH_KEY" not in str(served.rows)
    assert [row[0].text for row in later.rows] == ["NO_SUCH_KEY"]
    fails = {row[0].text: row[6].tone for row in section(page, "latency").tables[0].bodies[0].rows}
    assert (fails["audit"], fails["ramp"]) == ("", "bad")


def test_the_operations_of_the_overview_are_those_of_customers(summary):
    served = sum(phase.offered for phase in summary.phases if phase.name not in ("audit", "clean-up"))
    tile = next(tile for tile in build(summary).tiles if tile.label == "Operations")
    assert int("".join(filter(str.isdigit, tile.value))) == served


def test_the_latency_of_the_overview_is_of_a_kind_with_enough_operations(summary):
    steady = next(phase for phase in summary.phases if phase.name == "steady")
    slow, *rest = steady.latency
    rare = slow.model_copy(
        update={"op": "multipart", "latency": slow.latency.model_copy(update={"count": 3, "p99": 9e9})}
    )
    phases = [steady.model_copy(update={"latency": [rare, *rest]})]
    assert "MULTIPART" not in build(summary.model_copy(update={"phases": phases})).tiles[2].says


def test_the_wall_is_not_told_twice(summary):
    capacity = summary.capacity.model_copy(update={"says": f"It gave: {summary.capacity.wall.says}"})
    facts = dict(section(build(summary.model_copy(update={"capacity": capacity})), "capacity").facts)
    assert facts["The wall"] == "cpu, all cores, at 98 %"
