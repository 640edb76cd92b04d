import numpy as np
import pytest
from made_records import SECOND, T0, Record, latency_table, load, ns, rows, spoil

from maul.core.event import Edge, Event, EventKind
from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import Level
from maul.insight import (
    LatencyBook,
    customers_during_faults,
    error_counts,
    final_statuses,
    generator_summary,
    phase_summaries,
    spans,
)

EMPTY = LatencyBook.of(latency_table({}))


def test_a_phase_in_numbers() -> None:
    record = Record()
    record.phase("prepare", 0, 10, kind="prepare")
    record.phase("steady", 10, 20)
    record.operate("prepare", load(0, 20, 10, op=Op.PUT, service_ms=4))
    late = load(10, 10, 1, lag_ms=6)
    record.operate("steady", spoil(load(11, 100, 9), 90, Outcome.DROPPED, ErrorClass.BACKLOG), late)
    record.operate("steady", load(10, 5, 2, op=Op.PUT, service_ms=40))
    record.operate("steady", spoil(load(10, 4, 1, op=Op.PUT, service_ms=900), 1, Outcome.FAIL, ErrorClass.SLOW_DOWN))
    prepare, steady = phase_summaries(record.events, record.book, record.operations)
    assert (prepare.name, prepare.kind, prepare.offered, prepare.ok) == ("prepare", "prepare", 200, 200)
    assert (prepare.bytes_sent, prepare.bytes_received) == (200 * 4096, 0)
    assert prepare.duration_s == 10
    assert prepare.achieved_per_s == 20
    assert (steady.offered, steady.ok, steady.dropped, steady.fail, steady.unknown) == (924, 910, 10, 4, 0)
    assert steady.late == 10
    assert (steady.bytes_sent, steady.bytes_received) == (14 * 4096, 910 * 4096)
    put, get = steady.latency
    assert (put.op, put.latency.count, put.service.count) == ("put", 10, 10)
    assert put.latency.max == put.service.max == pytest.approx(40, rel=0.002)
    assert (get.op, get.latency.count, get.service.count) == (
        "get",
        910,
        900,
    )  # what was dropped was never sent


def test_the_final_status_of_the_engine_is_believed() -> None:
    record = Record()
    record.facts = [
        Event(ns(0), EventKind.PHASE, Edge.BEGAN, "steady", details={"kind": "load"}),
        Event(ns(9), EventKind.PHASE, Edge.ENDED, "steady",
              details={"status": {"late": 7, "bytes_sent": 11, "bytes_received": 13}}),
        Event(ns(9), EventKind.PHASE, Edge.BEGAN, "audit", details={"kind": "audit"}),
        Event(ns(9), EventKind.PHASE, Edge.ENDED, "audit", details={"status": "gone"}),
    ]  # fmt: skip
    assert final_statuses(record.events) == {"steady": {"late": 7, "bytes_sent": 11, "bytes_received": 13}}
    steady, audit = phase_summaries(record.events, EMPTY, record.operations)
    assert (steady.late, steady.bytes_sent, steady.bytes_received) == (7, 11, 13)
    assert (audit.late, audit.bytes_sent) == (0, 0)
    given = phase_summaries(record.events, EMPTY, record.operations, {"audit": {"late": 3}})
    assert [phase.late for phase in given] == [0, 3]


def test_a_killed_phase_ends_at_the_last_thing_known() -> None:
    record = Record()
    record.phase("steady", 0, None)
    record.operate("steady", load(0, 10, 5))
    (phase,) = phase_summaries(record.events, record.book, record.operations)
    assert phase.began_ns == ns(0)
    assert phase.ended_ns == ns(5)  # the last second that was counted


def test_a_phase_without_operations_and_a_run_without_phases() -> None:
    record = Record()
    assert phase_summaries(record.events, EMPTY, record.operations) == []
    record.phase("wait", 0, 3, kind="wait")
    (phase,) = phase_summaries(record.events, record.book, record.operations)
    assert (phase.offered, phase.latency, phase.achieved_per_s) == (0, [], 0)


def test_spans_pair_repeated_names_and_forgive_what_is_odd() -> None:
    def event(at_s: float, edge: Edge, name: str = "fault") -> Event:
        return Event(ns(at_s), EventKind.FAULT, edge, name, details={"at": at_s})

    record = Record()
    record.facts = [
        event(0, Edge.ENDED),  # never began
        event(5, Edge.ENDED),
        event(1, Edge.BEGAN),
        event(6, Edge.BEGAN),
        event(9, Edge.ENDED),
        event(9, Edge.INSTANT),
        event(8, Edge.BEGAN, "other"),
        Event(ns(20), EventKind.NOTE, Edge.INSTANT, "the last"),
    ]
    found = spans(record.events, EventKind.FAULT)
    assert [(s.name, s.began_ns, s.ended_ns, s.ended) for s in found] == [
        ("fault", ns(1), ns(5), True),
        ("fault", ns(6), ns(9), True),
        ("other", ns(8), ns(20), False),
    ]
    assert (found[0].details, found[0].end_details) == ({"at": 1}, {"at": 5})
    assert spans(record.events, EventKind.FAULT, until_ns=ns(7))[2].ended_ns == ns(8)  # never before it began


def test_errors_are_counted_by_what_went_wrong() -> None:
    record = Record()
    record.operate("a", spoil(load(0, 10, 10), 10, Outcome.FAIL, ErrorClass.SLOW_DOWN))
    record.operate("a", spoil(load(0, 10, 10, op=Op.PUT), 4, Outcome.UNKNOWN, ErrorClass.TIMEOUT))
    record.operate("b", spoil(load(50, 10, 1), 10, Outcome.FAIL, ErrorClass.SLOW_DOWN))
    found = error_counts(record.operations, record.book)
    assert [(e.phase, e.op, e.outcome, e.error_class, e.count) for e in found] == [
        ("a", "put", "unknown", "timeout", 25),
        ("a", "get", "fail", "slow_down", 10),
        ("b", "get", "fail", "slow_down", 1),
    ]
    assert (found[1].first_ns, found[1].last_ns) == (ns(0), ns(9))
    assert error_counts(Record().operations, EMPTY) == []


def test_errors_whose_records_are_lost_are_still_counted() -> None:
    whole, kept = Record(), Record()
    operations = spoil(load(3, 10, 10), 10, Outcome.FAIL, ErrorClass.RESET)
    whole.operate("a", operations)
    kept.operate("a", operations[:35])  # 4 of the 10 failures
    found = error_counts(kept.operations, whole.book)
    assert [(e.error_class, e.count) for e in found] == [("not_recorded", 6), ("reset", 4)]
    assert found[0].last_ns < ns(13)
    assert sum(e.count for e in error_counts(kept.operations)) == 4


def test_a_class_that_a_newer_engine_wrote_is_shown_as_its_number() -> None:
    record = Record()
    operations = spoil(load(0, 10, 1), 5, Outcome.FAIL, ErrorClass.RESET)
    operations["error_class"][operations["error_class"] > 0] = 200
    record.operate("a", operations)
    assert [(e.error_class, e.count) for e in error_counts(record.operations)] == [("200", 2)]


# ---------------------------------------------------------------- the generator


def status(**given: float) -> dict[str, float]:
    return {
        "started": 1000,
        "cpu_seconds": 2.0,
        "elapsed_s": 10.0,
        "late": 1,
        "dropped": 2,
        "records_lost": 3,
    } | given


def level(*, bound: bool) -> Level:
    return Level(
        began_ns=0, ended_ns=1, offered_per_s=1, achieved_per_s=1, p50_ms=1, p99_ms=1, p999_ms=1,
        service_p99_ms=1,
        error_ratio=0, dropped_ratio=0, lag_p99_ms=1, void=["it gave"] if bound else [], meets=False,
    )  # fmt: skip


def test_what_the_generator_cost() -> None:
    record = Record()
    record.operate("prepare", load(0, 100, 10))
    record.operate("steady", load(10, 100, 10, lag_ms=1.5))
    found = generator_summary(
        {"prepare": status(), "steady": status(cpu_seconds=3.0)}, record.book, 2, open_phases=["steady"]
    )
    assert found is not None
    assert (found.requests, found.cpu_seconds, found.cpu_us_per_request) == (2000, 5.0, 2500)
    assert found.lag_p50_ms == found.lag_p99_ms == pytest.approx(1.5, rel=0.002)
    assert (found.late, found.dropped, found.records_lost, found.bound) == (2, 4, 6, False)
    assert "15 % of its 2 cores" in found.says
    assert found.says.endswith("It was not the limit and had time to spare.")


def test_the_zeros_of_a_closed_loop_do_not_flatter_the_lag() -> None:
    record = Record()
    record.operate("prepare", load(0, 1000, 10))
    record.operate("steady", load(10, 9, 10, lag_ms=50))
    statuses = {"prepare": status(), "steady": status()}
    flattered = generator_summary(statuses, record.book, 1)
    honest = generator_summary(statuses, record.book, 1, open_phases=["steady"])
    assert flattered is not None
    assert honest is not None
    assert flattered.lag_p99_ms < 1
    assert honest.lag_p99_ms == pytest.approx(50, rel=0.002)


@pytest.mark.parametrize(
    ("levels", "phases", "where"),
    [
        ([level(bound=True)], [], "in 1 level:"),
        ([level(bound=True)] * 2, ["steady"], "in 2 levels and phase steady:"),
        ([level(bound=True).model_copy(update={"meets": True})], [], ""),  # it was good all the same
        ([level(bound=False)], [], ""),
    ],
)
def test_where_the_generator_may_have_been_the_limit(levels: list[Level], phases: list[str], where: str) -> None:
    record = Record()
    record.operate("ramp", load(0, 100, 10))
    found = generator_summary({"ramp": status()}, record.book, 1, levels, void_phases=phases)
    assert found is not None
    assert found.bound is bool(where)
    assert where in found.says
    assert ("It was not the limit" in found.says) is not bool(where)


def test_without_a_status_nothing_is_said_of_the_generator() -> None:
    assert generator_summary({}, EMPTY, 1) is None


def test_a_run_that_was_killed_in_its_first_load_says_nothing_of_the_generator():
    killed = generator_summary({"fill": status()}, EMPTY, 1, open_phases=["steady"])
    assert killed is not None and not killed.judged and "not known" in killed.says
    without = generator_summary({"fill": status()}, EMPTY, 1, open_phases=[])
    assert without is not None and without.judged, "a campaign without open loops has nothing to be late with"
    nothing = generator_summary({"steady": {}}, EMPTY, 1)
    assert nothing is not None
    assert (nothing.requests, nothing.cpu_us_per_request, nothing.bound) == (0, 0, False)


# ---------------------------------------------------------------- customers


def faulty(*middle: "np.ndarray", fault: tuple[float, float | None] = (20, 30)) -> Record:
    record = Record()
    record.phase("steady", 0, 60)
    record.span(EventKind.FAULT, "kill volume", *fault)
    record.operate("steady", load(0, 100, 20, service_ms=4), *middle, load(30, 100, 30, service_ms=5))
    return record


def tell(record: Record) -> str:
    return customers_during_faults(record.events, record.book, record.operations)["kill volume"]


def test_what_customers_saw_during_a_fault() -> None:
    hurt = spoil(load(20, 100, 10, service_ms=300), 20, Outcome.FAIL, ErrorClass.GATEWAY_ERROR)
    assert tell(faulty(hurt)) == (
        "before: p99 4 ms, no errors; "
        "during (10.0 s): p99 300 ms, 50 failed (5 % of 1,000), mostly gateway_error; "
        "after: p99 5 ms, no errors."
    )


def test_how_long_nothing_was_answered() -> None:
    out = spoil(load(22, 100, 3, service_ms=0.1), 1, Outcome.FAIL, ErrorClass.CONNECT_REFUSED)
    said = tell(faulty(load(20, 100, 2), out, load(25, 100, 5)))
    assert "300 failed (30 % of 1,000), mostly connect_refused" in said
    assert said.endswith("For 3 s nothing was answered well.")


def test_a_second_in_which_nothing_was_due_is_not_a_silent_one() -> None:
    said = tell(faulty(load(20, 0.25, 10)))  # an operation every four seconds, all of them answered
    assert "answered well" not in said


def test_a_fault_that_comes_twice_is_told_twice() -> None:
    record = faulty(load(20, 100, 10, service_ms=70))
    record.span(EventKind.FAULT, "kill volume", 40, 45)
    first, second = tell(record).split(" Again, ")
    assert "during (10.0 s): p99 70" in first
    assert "during (5.0 s): p99 5" in second


def test_unanswered_and_unsent_are_told_apart() -> None:
    timeouts = spoil(load(20, 100, 5, service_ms=400), 50, Outcome.UNKNOWN, ErrorClass.TIMEOUT)
    drops = spoil(load(25, 100, 5, service_ms=400), 100, Outcome.DROPPED, ErrorClass.BACKLOG)
    assert "10 were not answered and 5 were never sent (1.5 % of 1,000)" in tell(faulty(timeouts, drops))


def test_a_fault_without_load_says_that_nothing_is_known() -> None:
    record = Record()
    record.phase("steady", 0, 60)
    record.span(EventKind.FAULT, "kill volume", 20, 30)
    assert tell(record).endswith("is not known.")


def test_another_phase_is_not_taken_for_what_came_after() -> None:
    record = faulty(load(20, 100, 10), fault=(20, 59))
    record.phase("audit", 60, 70, kind="audit")
    record.operate("audit", load(60, 100, 10, service_ms=900))
    assert tell(record).endswith("after: p99 5 ms, no errors.")


def test_a_fault_that_was_never_healed_lasts_to_the_end() -> None:
    said = tell(faulty(load(20, 100, 10), fault=(20, None)))
    assert "during (40.0 s)" in said
    assert said.endswith("after: no load.")


def test_a_fault_within_one_second_is_seen() -> None:
    record = faulty(load(20, 100, 10, service_ms=70), fault=(20.2, 20.4))
    assert "during (0.2 s): p99 70" in tell(record)


def test_rows_of_the_helper_are_what_the_engine_would_tally() -> None:
    tallied = rows(load(0.5, 10, 1))
    assert {r.second for r in tallied} == {T0, T0 + 1}
    assert sum(r.count for r in tallied if r.kind == "latency") == 10
    assert load(0.5, 10, 1)["due_ns"][0] == T0 * SECOND + SECOND // 2
