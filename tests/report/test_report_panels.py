import numpy as np
import pyarrow as pa
import pytest
from report_record import T0_NS, FakeRun, events_table, ns
from report_synthetic import bare_summary, full_run

from maul.record.tables import SCHEMAS
from maul.report.machine_panels import SPECS, SUBJECTS_MAX, machine_panels
from maul.report.panels import POINTS_MAX, Grid, Line, Panel, bands, marks
from maul.report.readings import Readings, on_grid

EMPTY = SCHEMAS["samples"].empty_table()


def samples(rows):
    columns = dict(zip(SCHEMAS["samples"].names, map(list, zip(*rows, strict=True)), strict=True))
    return pa.table(columns, schema=SCHEMAS["samples"])


def panels_of(rows, seconds=20):
    readings = Readings(samples(rows) if rows else EMPTY, Grid.over(T0_NS, ns(seconds)))
    return {panel.key: panel for panel in machine_panels(readings)}


def test_a_point_is_in_the_middle_of_its_second_whatever_fraction_the_run_began_at():
    grid = Grid.over(T0_NS, ns(3))
    assert T0_NS % 10**9 == 400_000_000
    assert grid.t == pytest.approx([0.1, 1.1, 2.1, 3.1])


def test_a_long_run_has_several_seconds_to_a_point_and_covers_all_of_them():
    grid = Grid.over(0, 86_400 * 10**9)
    assert grid.points <= POINTS_MAX
    assert grid.points * grid.step_s >= 86_401
    assert grid.points_of(np.array([0, 86_400])).tolist() == [0, grid.points - 1]


def test_a_run_without_length_has_one_point():
    assert Grid.over(0, 0).points == 1


def test_a_sensor_slightly_slower_than_the_grid_has_no_false_gaps():
    grid = Grid.over(0, 99 * 10**9)
    at = np.arange(0.4, 99.0, 1.04)
    assert not np.isnan(on_grid(grid, at, np.ones(at.size))[:99]).any()


def test_a_missed_reading_stays_a_gap():
    grid = Grid.over(0, 9 * 10**9)
    at = np.array([0.5, 1.5, 2.5, 5.5, 6.5, 7.5, 8.5, 9.5])
    laid = on_grid(grid, at, np.ones(8))
    assert np.flatnonzero(np.isnan(laid)).tolist() == [3, 4]


def test_one_missed_reading_of_a_jittery_sensor_is_a_gap_too():
    grid = Grid.over(0, 9 * 10**9)
    at = np.array([0.5, 1.52, 2.49, 3.5, 5.51, 6.5, 7.5, 8.5, 9.5])
    assert np.flatnonzero(np.isnan(on_grid(grid, at, np.ones(9)))).tolist() == [4]


def test_readings_outside_of_the_run_and_broken_ones_are_left_out():
    grid = Grid.over(10 * 10**9, 12 * 10**9)
    laid = on_grid(grid, np.array([5.0, 10.5, 11.4, 11.5, 99.0]), np.array([1.0, np.nan, np.nan, 3.0, 1.0]))
    assert np.isnan(laid[[0, 2]]).all()
    assert laid[1] == 3.0


def test_several_readings_in_a_point_give_their_mean():
    assert on_grid(Grid.over(0, 0), np.array([0.1, 0.9]), np.array([1.0, 3.0])).tolist() == [2.0]


def test_no_samples_is_said_of_every_chart_and_none_draws_zero():
    panels = panels_of([])
    assert len(panels) == len(SPECS)
    assert all("no samples" in panel.instead and not panel.lines for panel in panels.values())


def test_all_zero_readings_are_told_apart_from_no_samples():
    rows = [(ns(t), "local", "network", "retransmits_per_s", "tcp", 0.0) for t in range(5)]
    assert "zero throughout (5 points" in panels_of(rows)["tcp"].instead


def test_one_reading_above_zero_is_worth_a_chart():
    panel = Panel("k", "t", "u", (Line("a", "#000", np.array([0.0, np.nan, 1.0])),))
    assert panel.settled().instead == ""


def test_ratios_become_percent_and_cores_stand_apart_from_their_sum():
    rows = [(ns(1), "local", "cpu", "busy_ratio", subject, 0.5) for subject in ("core10", "core9", "all")]
    lines = panels_of(rows)["cpu"].lines
    assert [line.label for line in lines] == ["core9", "core10"]
    assert np.nanmax(lines[0].values) == 50.0


def test_of_many_processes_the_busiest_are_shown_and_the_rest_counted():
    rows = [(ns(t), "local", "process", "cpu_ratio", f"p{i:02}", i / 100) for i in range(15) for t in range(3)]
    panel = panels_of(rows)["process-cpu"]
    assert [line.label for line in panel.lines] == [f"p{i:02}" for i in range(5, 15)]
    assert panel.note == f"the {SUBJECTS_MAX} busiest; 5 more not shown"


def test_a_process_that_never_had_a_reading_has_no_line():
    rows = [
        (ns(1), "local", "process", "cpu_ratio", "dead", float("nan")),
        (ns(1), "local", "process", "cpu_ratio", "up", 0.1),
    ]
    assert [line.label for line in panels_of(rows)["process-cpu"].lines] == ["up"]


def test_subjects_of_several_hosts_carry_the_name_of_their_host():
    rows = [(ns(1), host, "disk", "busy_ratio", "vda", 0.1) for host in ("h1", "h2")]
    assert [line.label for line in panels_of(rows)["disk-busy"].lines] == ["h1 vda", "h2 vda"]


def test_hosts_are_not_named_where_the_subjects_differ_anyway():
    rows = [(ns(1), host, "disk", "busy_ratio", disk, 0.1) for host, disk in (("h1", "vda"), ("h2", "vdb"))]
    assert [line.label for line in panels_of(rows)["disk-busy"].lines] == ["vda", "vdb"]


def test_a_subject_keeps_its_colour_over_reads_and_writes():
    rows = [
        (ns(1), "local", "disk", metric, disk, 1e6)
        for metric in ("read_bytes_per_s", "write_bytes_per_s")
        for disk in "ab"
    ]
    lines = {line.label: line for line in panels_of(rows)["disk-throughput"].lines}
    assert lines["a read"].colour == lines["a write"].colour != lines["b write"].colour
    assert lines["a read"].dash != lines["a write"].dash


def test_servers_up_are_added_and_unknown_where_one_was_not_read():
    rows = [
        (ns(t), "local", "balancer", "up", f"s3/g{i}", 1.0)
        for i in range(3)
        for t in range(6)
        if (i, t) not in {(2, 3), (2, 4)}
    ]
    rows += [(ns(t), "local", "balancer", "up", "s3/BACKEND", 1.0) for t in range(6)]
    (line,) = panels_of(rows)["balancer-up"].lines
    assert line.label == "s3"
    assert np.nan_to_num(line.values[:6], nan=-1).tolist() == [3, 3, 3, -1, -1, 3]


def test_a_subject_with_braces_is_a_name_not_a_format():
    rows = [(ns(1), "local", "disk", "write_bytes_per_s", "{0.__class__}", 1e6)]
    assert panels_of(rows)["disk-throughput"].lines[0].label == "{0.__class__} write"


def test_bands_come_from_the_summary_and_from_events_that_it_does_not_tell():
    run, summary = full_run(scale=0.05)
    found = bands(summary, run.events())
    assert [band.label for band in found if band.kind == "phase"] == [
        "lab up", "prepare", "warm-up", "ramp", "steady", "audit", "clean-up", "lab down",
    ]  # fmt: skip
    assert [band.kind for band in found][-1] == "fault"  # drawn last: over the phases
    assert len({(band.kind, band.label) for band in found}) == len(found)


def test_what_never_ended_ends_with_the_run():
    cut = events_table().slice(0, 4)  # killed in prepare: began, never ended
    (lab_up, prepare) = bands(bare_summary(ended_ns=ns(9)), cut)
    assert (lab_up.label, lab_up.end_s) == ("lab up", pytest.approx(5.2))
    assert (prepare.label, prepare.end_s) == ("prepare", pytest.approx(9.0))


def test_an_unhealed_fault_is_a_band_to_the_end():
    _, summary = full_run(scale=0.05)
    fault = summary.faults[0].model_copy(update={"healed": False, "healed_ns": None})
    found = bands(summary.model_copy(update={"faults": [fault]}), FakeRun().events())
    assert found[-1].end_s == pytest.approx(171.0)


def test_guard_actions_are_marked():
    table = pa.table(
        {
            "at_ns": [ns(4)],
            "kind": ["guard"],
            "edge": ["instant"],
            "name": ["slow down"],
            "says": ["why"],
            "details": ["{}"],
        },
        schema=SCHEMAS["events"],
    )
    (mark,) = marks(bare_summary(), table)
    assert (mark.label, mark.at_s) == ("slow down", 4.0)
    assert mark.says == "why"
