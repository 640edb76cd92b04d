import numpy as np
import pyarrow as pa
import pytest
from report_record import T0_NS, FakeRun, ns, operations_table

from maul.core.histogram import Histogram, LatencyKind
from maul.core.operation import OPERATION_DTYPE, ErrorClass, Outcome
from maul.insight.latency import LatencyBook
from maul.record.tables import SCHEMAS
from maul.report.load_panels import CLASSES_MAX, LoadSeries, load_panels
from maul.report.panels import Form, Grid

FIRST = T0_NS // 10**9


def rows_of(second, values_ms, outcome=Outcome.OK, kinds=("latency", "service", "lag"), op=1):
    for kind in kinds:
        histogram = Histogram()
        for value in values_ms:
            histogram.record(int(value * 1e6))
        yield {
            "second": FIRST + second, "phase": "p", "op": op, "outcome": int(outcome), "kind": kind,
            "count": len(values_ms), "hdr": histogram.to_v2(), "tenant": 0,
        }  # fmt: skip


def series_of(rows, seconds=9, step=None):
    table = pa.Table.from_pylist(list(rows), schema=SCHEMAS["latency"])
    grid = Grid.over(T0_NS, ns(seconds)) if step is None else Grid(T0_NS, FIRST, step, (seconds + 1) // step)
    return LoadSeries.of(LatencyBook.of(table), grid)


def panels_of(series, operations=None):
    return {
        panel.key: panel for panel in load_panels(series, FakeRun().operations() if operations is None else operations)
    }


def bad_operations(classes):
    made = np.zeros(len(classes), OPERATION_DTYPE)
    made["due_ns"], made["outcome"], made["error_class"] = ns(2.0), Outcome.FAIL, classes
    return operations_table(made, ["p"] * len(classes))


def values(panel, label):
    return next(line.values for line in panel.lines if line.label == label)


def test_offered_is_the_sum_of_all_fates():
    rows = [
        *rows_of(2, [1.0] * 5),
        *rows_of(2, [1.0] * 2, Outcome.FAIL),
        *rows_of(2, [1.0], Outcome.DROPPED, ("latency",)),
    ]
    rate = panels_of(series_of(rows))["rate"]
    assert {line.label: line.values[2] for line in rate.lines} == {
        "offered": 8, "ok": 5, "fail": 2, "unknown": 0, "dropped": 1,
    }  # fmt: skip


def test_rates_are_per_second_also_when_a_point_covers_several():
    rate = panels_of(series_of([*rows_of(0, [1.0] * 10), *rows_of(1, [1.0] * 20)], step=5))["rate"]
    assert values(rate, "ok")[0] == 6.0


def test_before_the_first_and_after_the_last_arrival_is_a_gap_and_between_them_zero():
    ok = values(panels_of(series_of([*rows_of(2, [1.0]), *rows_of(4, [1.0])]))["rate"], "ok")
    assert np.nan_to_num(ok, nan=-1).tolist() == [-1, -1, 1, 0, 1, -1, -1, -1, -1, -1]


def test_percentiles_over_several_seconds_are_merged_not_averaged():
    rows = [*rows_of(0, [1.0] * 99), *rows_of(1, [1000.0] * 901)]
    series = series_of(rows, step=10)
    assert series.percentile(LatencyKind.LATENCY, 50.0)[0] == pytest.approx(1000.0, rel=2e-3)
    assert series.percentile(LatencyKind.LATENCY, 5.0)[0] == pytest.approx(1.0, rel=2e-3)


def test_a_second_without_operations_has_no_latency():
    p99 = values(panels_of(series_of([*rows_of(2, [7.0]), *rows_of(4, [7.0])]))["latency"], "p99")
    assert np.isnan(p99[3])
    assert p99[4] == pytest.approx(7.0, rel=2e-3)


def test_quick_failures_do_not_flatter_the_latency():
    series = series_of([*rows_of(2, [100.0]), *rows_of(2, [0.1] * 50, Outcome.FAIL)])
    assert series.percentile(LatencyKind.LATENCY, 50.0)[2] == pytest.approx(100.0, rel=2e-3)


def test_seconds_outside_of_the_run_are_left_out():
    series = series_of([*rows_of(-5, [1.0]), *rows_of(50, [1.0])])
    assert series.nothing


def test_no_operations_at_all_is_said_in_every_chart():
    panels = panels_of(series_of([]))
    assert all(panel.instead and not panel.lines for panel in panels.values())
    assert [panel.group for panel in panels.values()] == ["Load"] * 5


def test_a_record_without_lag_says_so_and_keeps_the_rest():
    panels = panels_of(series_of(rows_of(1, [1.0], kinds=("latency", "service"))))
    assert "no samples" in panels["lag"].instead
    assert not panels["latency"].instead


def test_errors_are_stacked_by_class_the_most_frequent_first():
    operations = bad_operations([ErrorClass.RESET] * 2 + [ErrorClass.TIMEOUT] * 3)
    errors = panels_of(series_of(rows_of(2, [1.0])), operations)["errors"]
    assert errors.form is Form.STACK
    assert [line.label for line in errors.lines] == ["TIMEOUT", "RESET"]
    assert values(errors, "TIMEOUT")[2] == 3.0


def test_rare_classes_are_put_together_and_none_is_lost():
    classes = [number for number in range(1, 14) for _ in range(number)]
    errors = panels_of(series_of(rows_of(2, [1.0])), bad_operations(classes))["errors"]
    assert len(errors.lines) == CLASSES_MAX + 1
    assert errors.lines[-1].label == "4 rarer classes"
    assert sum(line.values.sum() for line in errors.lines) == len(classes)


def test_a_class_from_the_future_is_shown_by_its_number():
    errors = panels_of(series_of(rows_of(2, [1.0])), bad_operations([200]))["errors"]
    assert errors.lines[0].label == "class 200"


def test_no_error_is_told_apart_from_errors_that_were_not_recorded():
    assert "every recorded operation was OK" in panels_of(series_of(rows_of(2, [1.0])))["errors"].instead
    assert "not recorded" in panels_of(series_of(rows_of(2, [1.0], Outcome.FAIL)))["errors"].instead


def test_errors_that_all_lie_outside_the_time_drawn_are_told():
    operations = bad_operations([int(ErrorClass.TIMEOUT)])
    column = operations.column_names.index("due_ns")
    far = operations.set_column(column, "due_ns", pa.array([T0_NS + 10**15], operations.schema.field("due_ns").type))
    errors = panels_of(series_of(rows_of(2, [1.0])), far)["errors"]
    assert (errors.lines, errors.instead) == ((), "every error lies outside the time that is drawn")


def test_what_our_own_stop_cancelled_and_what_an_audit_missed_are_no_errors_of_customers():
    made = np.zeros(3, OPERATION_DTYPE)
    made["due_ns"] = ns(2.0)
    made["outcome"] = [Outcome.DROPPED, Outcome.FAIL, Outcome.FAIL]
    made["error_class"] = [ErrorClass.STOPPED, ErrorClass.NO_SUCH_KEY, ErrorClass.STOPPED]
    series = series_of(rows_of(2, [1.0]))
    operations = operations_table(made, ["ramp", "audit", "ramp"])
    errors = {panel.key: panel for panel in load_panels(series, operations, ["audit"])}["errors"]
    assert [line.label for line in errors.lines] == ["STOPPED"]
    assert values(errors, "STOPPED").sum() == 1.0
    nothing = {panel.key: panel for panel in load_panels(series, operations.slice(0, 2), ["audit"])}["errors"]
    assert (nothing.lines, nothing.instead) == ((), "none that a customer would have met")
