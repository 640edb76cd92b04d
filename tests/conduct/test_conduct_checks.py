"""Every check as a table: what passes, what fails, what cannot be known."""

import pytest
from conduct_stage import RUN, T0_NS, make_plan, script

from maul.conduct.checks import CHECKS, OPERATIONS_MIN, Facts, run_checks
from maul.core.network_summary import CanarySummary, LinkSummary, NetworkSummary
from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import (
    AuditSummary,
    Capacity,
    Ending,
    FaultSummary,
    Finding,
    GeneratorSummary,
    PhaseSummary,
)
from maul.core.verdict import Verdict
from maul.insight import LatencyBook
from maul.load.fake import latency_rows
from maul.verify.conditions import ConditionsSummary
from maul.verify.reads import ReadsSummary

PASS, UNKNOWN, FAIL = Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL
PLAN = make_plan()


def book(*operations):
    rows = []
    for one in operations:
        moved = one.copy()
        for name in ("due_ns", "start_ns", "end_ns"):
            moved[name] += T0_NS
        rows += latency_rows(moved)
    return LatencyBook.of_rows("calm", rows)


def phase(name="calm", **fields):
    given = {
        "kind": "load", "began_ns": 0, "ended_ns": 1, "offered": 1000, "ok": 1000, "fail": 0, "unknown": 0, "late": 0,
        "dropped": 0, "bytes_sent": 0, "bytes_received": 0, "latency": [], **fields,
    }  # fmt: skip
    return PhaseSummary(name=name, **given)


def facts(**fields):
    given = {
        "plan": PLAN, "phases": [phase()], "book": book(script(200)), "capacity": None, "limits": [],
        "audit": None, "reads": None, "conditions": ConditionsSummary(0, {}), "faults": [], "generator": None,
        "cleaned": None, "ending": Ending.COMPLETED, **fields,
    }  # fmt: skip
    return Facts(**given)


def verdict_of(name, found):
    (check,) = CHECKS[name](found)
    return check.verdict


def failing(count, bad, outcome=Outcome.FAIL, op=Op.GET):
    made = script(count, op=op)
    made["outcome"][:bad], made["error_class"][:bad] = outcome, ErrorClass.TIMEOUT
    return made


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([failing(1000, 0)], PASS),
        ([failing(1000, 9)], PASS),
        ([failing(1000, 10)], FAIL),  # below 1 %, not at it
        ([failing(1000, 11, Outcome.UNKNOWN)], FAIL),
        ([failing(1000, 11, Outcome.DROPPED)], FAIL),
        ([failing(OPERATIONS_MIN, 0)], PASS),
        ([failing(OPERATIONS_MIN - 1, 0)], UNKNOWN),
        ([failing(OPERATIONS_MIN - 1, 40)], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_availability(operations, expected):
    available, _ = CHECKS["objectives"](facts(book=book(*operations)))
    assert (available.name, available.phase, available.verdict) == ("available", "calm", expected)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([script(200, service_ms=99.0)], PASS),
        ([script(200, service_ms=101.0)], FAIL),
        ([script(200, service_ms=5.0), script(300, service_ms=900.0, op=Op.PUT)], PASS),  # only GETs are promised
        ([script(200, service_ms=900.0), script(9000, op=Op.PUT)], FAIL),
        ([script(OPERATIONS_MIN - 1), script(9000, op=Op.PUT)], UNKNOWN),  # too few of the promised kind
        ([script(9000, op=Op.PUT)], UNKNOWN),
        ([failing(200, 200)], UNKNOWN),  # nothing was answered: a latency cannot be told
        ([failing(200, 150)], PASS),
    ],
)
def test_latency(operations, expected):
    _, quick = CHECKS["objectives"](facts(book=book(*operations)))
    assert (quick.name, quick.verdict) == ("quick", expected), quick.says


def test_availability_of_an_operation_that_never_came_is_unknown_not_failed():
    plan = make_plan(("phases: [calm], errors_below: 1%", "phases: [calm], op: put, errors_below: 1%"))
    available, _ = CHECKS["objectives"](facts(plan=plan, book=book(script(500))))
    assert available.verdict is UNKNOWN and "0 put operations are too few" in available.says


def test_an_objective_of_a_phase_that_did_not_run_is_unknown():
    assert {check.verdict for check in CHECKS["objectives"](facts(phases=[]))} == {UNKNOWN}


def test_rising_loads_are_judged_by_their_capacity_not_by_their_whole():
    plan = make_plan(("- {name: available, phases: [calm]", "- {name: available, phases: [calm, rising]"))
    checks = CHECKS["objectives"](facts(plan=plan, phases=[phase(), phase("rising")]))
    assert [check.phase for check in checks] == ["calm", "calm"]


def capacity(good, bad):
    return Capacity(
        phase="rising", levels=[], highest_good_per_s=good, first_bad_per_s=bad, broke="", wall=None, says="so"
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, UNKNOWN),
        (capacity(None, None), UNKNOWN),
        (capacity(20.0, None), UNKNOWN),
        (capacity(None, 10.0), UNKNOWN),
        (capacity(20.0, 30.0), PASS),
        (capacity(0.0, 10.0), PASS),
    ],
)
def test_limit_found(found, expected):
    assert verdict_of("limit-found", facts(capacity=found)) is expected


def test_nobody_asks_for_a_limit_where_no_load_rises():
    level = PLAN.model_copy(update={"phases": tuple(one for one in PLAN.phases if not one.levels)})
    assert CHECKS["limit-found"](facts(plan=level)) == []


def audit(**fields):
    given = {
        "objects": 10, "reads": 20, "through": ["a", "b"], "counts": {}, "findings": [], "findings_total": 0,
        "complete": True, "says": "so", **fields,
    }  # fmt: skip
    return AuditSummary(**given)


LOST = Finding(kind="lost", key="k", through="a", expected="it", found="nothing")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, UNKNOWN),
        (audit(), PASS),
        (audit(complete=False), UNKNOWN),
        (audit(reads=0), UNKNOWN),
        (audit(objects=0), UNKNOWN),
        (audit(findings=[LOST], findings_total=1), FAIL),
        (audit(findings=[LOST], findings_total=1, complete=False), FAIL),
    ],
)
def test_durability(seen, expected):
    (check,) = CHECKS["durability"](facts(audit=seen))
    assert (check.name, check.verdict) == ("durability", expected)


def reads(**fields):
    zero = dict.fromkeys(("stale", "missing", "phantom", "corrupt", "excused"), 0)
    return ReadsSummary(**{"reads": 100, **zero, "findings": [], **fields})


@pytest.mark.parametrize(
    ("seen", "consistency", "expected"),
    [
        (None, "strong", UNKNOWN),
        (reads(reads=0), "strong", UNKNOWN),
        (reads(), "strong", PASS),
        (reads(excused=3), "strong", PASS),
        (reads(stale=1), "strong", FAIL),
        (reads(missing=1), "strong", FAIL),
        (reads(stale=1, missing=1), "eventual", PASS),
        (reads(stale=1), "lww", PASS),
        (reads(phantom=1), "eventual", FAIL),
        (reads(corrupt=1), "eventual", FAIL),
    ],
)
def test_reads_true(seen, consistency, expected):
    plan = PLAN.model_copy(update={"consistency": consistency})
    (check,) = CHECKS["reads-true"](facts(plan=plan, reads=seen))
    assert (check.name, check.verdict) == ("reads-true", expected)


def fault(proven=True, healed=True, name="kill"):
    return FaultSummary(
        name=name, target="volume-r1-1", began_ns=1, healed_ns=2 if healed else None, proven=proven, healed=healed,
        effect="gone", undo="restart: back",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "ending", "proven", "healed"),
    [
        ([fault()], Ending.COMPLETED, PASS, PASS),
        ([fault(proven=False)], Ending.COMPLETED, UNKNOWN, PASS),
        ([fault(healed=False)], Ending.COMPLETED, PASS, FAIL),
        ([fault(proven=False, healed=False)], Ending.COMPLETED, UNKNOWN, FAIL),
        ([], Ending.COMPLETED, UNKNOWN, PASS),
        ([], Ending.INTERRUPTED, UNKNOWN, PASS),
        ([], Ending.KILLED, UNKNOWN, UNKNOWN),  # the last moments are not in the record
        ([fault()], Ending.KILLED, PASS, PASS),
        ([fault(name="another")], Ending.COMPLETED, UNKNOWN, PASS),
    ],
)
def test_faults_proven_and_healed(seen, ending, proven, healed):
    found = facts(faults=seen, ending=ending)
    assert (verdict_of("faults-proven", found), verdict_of("healed", found)) == (proven, healed)


def test_without_faults_nobody_asks_for_their_proof():
    calm = PLAN.model_copy(update={"faults": ()})
    assert CHECKS["faults-proven"](facts(plan=calm)) == CHECKS["healed"](facts(plan=calm)) == []


def test_what_is_not_healed_is_named_with_what_to_do():
    (check,) = CHECKS["healed"](facts(faults=[fault(healed=False)]))
    assert "kill on volume-r1-1" in check.says and "maul heal" in check.says


def generator(**fields):
    given = {
        "shards": 1, "requests": 10, "cpu_seconds": 1.0, "cpu_us_per_request": 1.0, "lag_p50_ms": 0.0,
        "lag_p99_ms": 0.0, "lag_max_ms": 0.0, "late": 0, "dropped": 0, "records_lost": 0, "bound": False, "says": "so",
        **fields,
    }  # fmt: skip
    return GeneratorSummary(**given)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, UNKNOWN),
        (generator(), PASS),
        (generator(bound=True), UNKNOWN),
        (generator(records_lost=1), UNKNOWN),
        (generator(late=5, dropped=5), PASS),
    ],
)
def test_generator_honest(seen, expected):
    assert verdict_of("generator-honest", facts(generator=seen)) is expected


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (None, UNKNOWN),
        ({"left": 0, "strangers": 0, "whole": True, "says": "so"}, PASS),
        ({"left": 0, "strangers": 7, "whole": True, "says": "so"}, PASS),
        ({"left": 1, "strangers": 0, "whole": True, "says": "so"}, FAIL),
        ({"left": 0, "strangers": 0, "whole": False, "says": "so"}, UNKNOWN),
        ({"left": 1, "strangers": 0, "whole": False, "says": "so"}, FAIL),
    ],
)
def test_cleaned(seen, expected):
    assert verdict_of("cleaned", facts(cleaned=seen)) is expected


def test_without_a_clean_up_phase_nothing_is_to_be_clean():
    plan = PLAN.model_copy(update={"phases": tuple(one for one in PLAN.phases if one.kind != "clean-up")})
    assert CHECKS["cleaned"](facts(plan=plan)) == []


def test_only_the_checks_that_the_plan_names_are_made_and_each_has_its_name():
    assert [check.name for check in run_checks(facts(plan=make_plan(checks=("durability",))))] == ["durability"]
    assert run_checks(facts(plan=make_plan(checks=()))) == []
    every = run_checks(facts(plan=make_plan(checks=tuple(CHECKS)), audit=audit(), reads=reads()))
    unasked = {
        "objectives",
        "limit",
        "conditions-kept",
        "map-true",
        "links-kept",
        "traffic-kept",
    }  # no search, condition or fleet
    assert {check.name for check in every} == {"available", "quick", *CHECKS} - unasked


def test_the_plan_of_these_tests_is_the_one_they_speak_of():
    assert PLAN.run_id == RUN and set(PLAN.checks) == set(CHECKS) - {"limit"}


# ---------------------------------------------------------------- conditions

CONDITIONAL_PLAN = make_plan(("mix: {get: 3, put: 2, delete: 1}", "mix: {get: 3, put: 2, put_if_none_match: 1}"))


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (ConditionsSummary(100, {}), PASS),
        (ConditionsSummary(100, {"put_if_none_match": 1}), FAIL),
        (ConditionsSummary(0, {}), UNKNOWN),
    ],
)
def test_conditions_are_checked_where_the_campaign_has_some(found, verdict):
    made = facts(plan=CONDITIONAL_PLAN, conditions=found)
    (check,) = [one for one in run_checks(made) if one.name == "conditions-kept"]
    assert (check.name, check.verdict) == ("conditions-kept", verdict)


def test_conditions_are_no_matter_of_a_campaign_without_them():
    assert CHECKS["conditions-kept"](facts(conditions=ConditionsSummary(0, {}))) == []


def link(**fields):
    given = {
        "name": "a>b", "shared": True, "capacity_bps": 1e9, "cap_bps": 6e8, "background_bps": 0, "planned_bps": 1e8,
        "before_bps": 0, "seen_mean_bps": 1e8, "seen_max_bps": 2e8, "predicted_max_bps": 1e8, "discards": 0,
        "down_s": 0, "over_cap_s": 0, "cuts": 0, **fields,
    }  # fmt: skip
    return LinkSummary(**given)


def canary(**fields):
    return CanarySummary(
        **{"name": "c", "before_p99_ms": 1, "p99_ms": 1, "worst_p99_ms": 1, "sent": 9, "lost": 0, **fields}
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, PASS),
        ({"links": [link(over_cap_s=1.0)]}, PASS),  # the guard must see it twice
        ({"links": [link(over_cap_s=9.0)]}, FAIL),
        ({"links": [link(over_cap_s=9.0, shared=False)]}, PASS),
        ({"links": [link(discards=3)]}, FAIL),
        ({"links": [link(discards=3, shared=False)]}, PASS),
        ({"links": [link(discards=None)]}, UNKNOWN),
        ({"links": [link(unwatched="no port", seen_max_bps=None, discards=None)]}, UNKNOWN),
        ({"canaries": [canary(harmed=["it was slow"])]}, FAIL),
        ({"canaries": [canary(p99_ms=None)]}, UNKNOWN),
        ({"frozen_s": 3.0}, UNKNOWN),
    ],
)
def test_links_kept(fields, expected):
    network = NetworkSummary(**{"links": [link()], "canaries": [canary()], **fields})
    assert verdict_of("links-kept", facts(network=network)) is expected
    assert CHECKS["links-kept"](facts()) == []


def test_links_kept_tells_all_that_was_broken():
    network = NetworkSummary(
        links=[link(over_cap_s=9.0, discards=3, seen_max_bps=9e8)], canaries=[canary(harmed=["it was slow"])]
    )
    (check,) = CHECKS["links-kept"](facts(network=network))
    assert check.says == (
        "a>b was above its cap for 9 s, with 900 Mbit/s at most and threw away 3 frames; c: it was slow"
    )


@pytest.mark.parametrize("found", [PASS, UNKNOWN, FAIL, None])
def test_map_true(found):
    trickle = PLAN.phases[1].model_copy(update={"name": "trickle", "kind": "trickle"})
    plan = PLAN.model_copy(update={"phases": (*PLAN.phases, trickle)})
    network = NetworkSummary(links=[], canaries=[], trickle_verdict=found, trickle_says="so")
    assert verdict_of("map-true", facts(plan=plan, network=network)) is (UNKNOWN if found is None else found)
    assert CHECKS["map-true"](facts(network=network)) == [], "no trickle was planned"
