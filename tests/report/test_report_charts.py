import numpy as np
import pytest
from bokeh.models import HoverTool
from report_synthetic import full_run

from maul.report.axis import room, shorten, time_axis
from maul.report.capacity_chart import capacity_chart, level_state
from maul.report.charts import chart, limits_of, log_ticks
from maul.report.panels import Band, Form, Grid, Line, Mark, Panel
from maul.report.timeline import LANES_MAX, fault_lanes, timeline

NAN = float("nan")


def panel(*values, **changes):
    lines = tuple(Line(f"line {i}", "#000000", np.array(line, dtype=float)) for i, line in enumerate(values))
    return Panel("key", "Title", "ms", lines, **changes)


def fault(begin, end):
    return Band("fault", f"f{begin}", begin, end)


GRID = Grid(0, 0, 1, 4)


def drawn(panel, bands=(), marks=()):
    return chart(panel, GRID, time_axis(GRID, bands, marks))


def test_an_axis_reaches_over_the_data_and_leaves_room_for_names():
    low, high = limits_of(panel([1, 50, 100, NAN]), 0.2)
    assert low == 0.0
    assert 100 < high * 0.8 + 1.5 < 103


def test_a_stack_is_as_high_as_its_sum():
    assert limits_of(panel([1, 2, 0, 0], [3, 4, 0, 0], form=Form.STACK), 0.0)[1] == 6.0


@pytest.mark.parametrize("values", [[0.0, 0.0], [NAN, NAN], [5.0, 5.0], [1e-9, 3600e3]])
def test_a_logarithmic_axis_is_never_empty_nor_at_zero(values):
    low, high = limits_of(panel(values, log=True), 0.1)
    assert 0 < low < high
    assert len(log_ticks(low, high)) >= 2


@pytest.mark.parametrize("values", [[0.0], [NAN], [-1.0, 2.0], [1e12]])
def test_a_linear_axis_is_never_empty(values):
    low, high = limits_of(panel(values), 0.1)
    assert low < high


def test_all_charts_share_one_axis():
    axis = time_axis(GRID, (), ())
    first, second = chart(panel([1, 2, 3, 4]), GRID, axis), chart(panel([1, 2, 3, 4]), GRID, axis)
    assert first.x_range is second.x_range


def test_a_reading_between_two_gaps_is_a_dot():
    names = [renderer.glyph.__class__.__name__ for renderer in drawn(panel([NAN, 7, NAN, NAN])).renderers]
    assert "Scatter" in names
    assert "Scatter" not in [r.glyph.__class__.__name__ for r in drawn(panel([NAN, 7, 8, NAN])).renderers]


def test_gaps_reach_the_page_as_gaps():
    line, *_ = [r for r in drawn(panel([1, NAN, 3, 4])).renderers if r.name == "c0"]
    assert np.isnan(line.data_source.data["c0"][1])


def test_a_name_cannot_ask_for_a_column_in_the_tooltip():
    hostile = Panel("k", "t", "u", (Line("@at{%F} $index", "#000000", np.ones(4)),))
    (hover,) = [tool for tool in drawn(hostile).toolbar.tools if isinstance(tool, HoverTool)]
    assert "@" not in hover.tooltips[1][0]
    assert "$" not in hover.tooltips[1][0]


def test_long_and_many_lined_names_become_one_short_line():
    assert shorten("a\nb\u202e" + "c" * 99, 12) == "a b\\u202ecc…"


def test_a_name_may_run_until_the_next_of_its_kind():
    bands = [Band("phase", "a", 0, 1), Band("phase", "b", 5, 6), fault(2, 3)]
    assert room(bands[0], bands, 9.0) == 5
    assert room(bands[1], bands, 9.0) == 9.0
    assert room(bands[2], bands, 9.0) == 9.0


def test_faults_that_overlap_get_lanes_of_their_own():
    assert fault_lanes([fault(0, 10), fault(2, 4), fault(4, 6), fault(10, 12)]) == [0, 1, 1, 0]


def test_a_storm_of_faults_does_not_grow_the_strip_without_limit():
    storm = tuple(fault(i, 100) for i in range(60))
    assert max(fault_lanes(storm)) == LANES_MAX - 1
    assert timeline(time_axis(GRID, storm, ())).height < 250


def test_a_run_without_bands_and_with_marks_is_drawn():
    assert drawn(panel([1, 2, 3, 4]), marks=(Mark("stop", 2.0),)) is not None
    assert timeline(time_axis(GRID, (), ())) is not None


def test_the_generator_bound_is_seen_before_good_and_bad():
    levels = full_run(scale=0.05)[1].capacity.levels
    assert [level_state(level) for level in levels][-2:] == ["bad", "void"]


def test_a_capacity_with_an_unmeasured_level_is_drawn():
    capacity = full_run(scale=0.05)[1].capacity
    levels = [capacity.levels[0].model_copy(update={"p99_ms": NAN, "offered_per_s": 0.0, "achieved_per_s": 0.0})]
    assert capacity_chart(capacity.model_copy(update={"levels": levels, "highest_good_per_s": None})) is not None


def strip_bars(strip):
    return next(r for r in strip.renderers if "kind" in r.data_source.data).data_source.data


def test_the_guard_has_a_lane_below_all_faults():
    bars = strip_bars(
        timeline(time_axis(GRID, (Band("phase", "p", 0, 4), fault(1, 2)), (Mark("stop", 3.0, "too many errors"),)))
    )
    assert bars["kind"] == ["phase", "fault", "guard"]
    assert np.floor(bars["top"]).tolist() == [0, 1, 2]
    assert bars["says"][-1] == "too many errors"


def test_a_name_knows_where_its_band_ends_and_where_its_room_ends():
    names = time_axis(GRID, (fault(1, 2), fault(3, 4)), ()).name_source.data
    assert (names["end"], names["until"][0]) == ([2, 4], 3)
