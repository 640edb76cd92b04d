"""The search on a target that is made up: every engine of it plays what such a target would answer at its rate."""

import json

import numpy as np
import pytest
from conduct_stage import RUN, SITE, T0_NS, FakeS3, events_of, everywhere, make_stage, script

from maul import campaign
from maul.conduct import conductor, limit
from maul.conduct.judge import judge
from maul.conduct.phases import run_phase
from maul.core.clock import FakeClock
from maul.core.event import Edge, EventKind
from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import Ending
from maul.core.verdict import Verdict
from maul.insight.limits import limit_answers
from maul.load import FakeGenerator
from maul.plan import LimitWish, Overrides, build
from maul.record import RunReader

CAMPAIGN = """\
version: 1
name: small
site: lab
target: {endpoints: [vip], bucket: maul-test}
workload: {objects: 100, size: 4KiB, keys: uniform, mix: {get: 1}}
load: {in_flight: 64}
phases:
  - {name: calm, kind: warm-up, rate: 50/s, for: 20s}
objectives:
  - {name: quick, phases: [calm], percentile: 99, latency_below: 100ms}
limit: {requests: {from: 20/s, to: 500/s}, trial: 3s, confirm: 6s, soak: 5s, cool_down: 10s, width: 10%}
limits: {requests: 1000000}
"""


class Sandbox:
    """A target that answers in 5 ms up to its limit, and far too slowly above; every answer is recorded."""

    def __init__(self, tmp_path, limit_per_s, *changes, recovers=True, cpu_s=0.0):
        text = CAMPAIGN.replace("calm, kind: warm-up", "fill, kind: prepare").replace(", rate: 50/s, for: 20s", "")
        text = CAMPAIGN.replace("phases:\n", "phases:\n  - {name: fill, kind: prepare}\n")
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        self.clock = FakeClock(T0_NS)
        read = campaign.parse(text, "c.yaml")
        self.plan = build(read, SITE, RUN, 1, overrides=Overrides(limit=LimitWish()))
        self.limit_per_s, self.recovers, self.cpu_s = limit_per_s, recovers, cpu_s
        self.hurt, self.rates, self.on_start = False, [], lambda rate: None
        self.stage = make_stage(tmp_path, self.plan, everywhere(FakeS3(set())), self.clock, self.make)

    def make(self, engine):
        (segment,) = engine["arrivals"]["profile"]
        rate, seconds = segment["rate"], segment["seconds"]
        self.rates.append(rate)
        self.on_start(rate)
        count = round(rate * seconds)
        over = rate > self.limit_per_s
        self.hurt = self.hurt or over
        sick = over or (self.hurt and not self.recovers)
        if not over and self.recovers:
            self.hurt = False
        rows = script(count, seconds, service_ms=5.0, op=Op.GET)
        if sick:
            rows["end_ns"] = rows["due_ns"] + np.linspace(50e6, 900e6, count).astype(np.int64)
        outer = self

        class Costly(FakeGenerator):
            def status(self):
                status = super().status()
                spent = status.elapsed_s * outer.cpu_s
                return type(status)(**{n: getattr(status, n) for n in status.__slots__} | {"cpu_seconds": spent})

        return Costly(rows, self.clock)

    def search(self):
        run_phase(self.stage, self.plan.phase("limit-requests"), None, limit.search_limit)
        return self.answer()

    def answer(self):
        self.stage.writer.close()
        run = RunReader.open(self.stage.writer.path)
        (found,) = limit_answers(self.plan, run.events(), run.samples())
        return found


def test_the_limit_is_found_and_the_answer_is_a_fold_over_the_record(tmp_path):
    sandbox = Sandbox(tmp_path, 130.0)
    found = sandbox.search()
    assert (found.why, found.soak, found.recovered, found.stopped_by) == ("found", "good", True, "target")
    assert found.lower <= 130.0 < found.upper <= found.lower * 1.101
    assert [one.rate_per_s for one in found.trials] == sandbox.rates
    # the curve of the trials: answers take 5 ms up to 130/s, and hundreds above
    assert all(one.service_mean_ms == pytest.approx(5.0) for one in found.trials if one.judged == "good")
    assert found.knee is not None
    assert [answer.method for answer in found.knee.answers] == ["Kneedle (p99)", "power", "broken stick"]
    (power,) = (answer.per_s for answer in found.knee.answers if answer.method == "power")
    assert power == pytest.approx(130.0, rel=0.25)
    assert found.trials[-1].move == "soak" and found.trials[-1].rate_per_s == pytest.approx(
        found.lower * 0.95, rel=1e-3
    )
    after_bad = [b.move for a, b in zip(found.trials, found.trials[1:], strict=False) if a.judged == "bad"]
    assert after_bad and set(after_bad) == {"cool-down"}
    assert found.trials[0].p50_ms == 5.0 and found.trials[0].achieved_per_s == pytest.approx(20, rel=0.05)
    assert "did not (" in found.says and "The soak of" in found.says
    bounds = [(one.lower_per_s, one.upper_per_s) for one in found.trials]
    assert bounds[-1] == (found.lower, found.upper)
    trials = [row for row in events_of(sandbox.stage.writer.path, EventKind.TRIAL) if row["edge"] == Edge.ENDED]
    assert len(trials) == len(found.trials)


def test_a_cool_down_ends_as_soon_as_the_target_is_itself_again(tmp_path):
    cooled = [one for one in Sandbox(tmp_path, 130.0).search().trials if one.move == "cool-down"]
    assert cooled and all(one.judged == "recovered" and one.rate_per_s == 20.0 for one in cooled)
    assert all(one.seconds < 5 for one in cooled)  # and not the 10 s that it may take


def test_a_target_that_does_not_recover_is_told(tmp_path):
    found = Sandbox(tmp_path, 130.0, recovers=False).search()
    assert (found.why, found.recovered, found.soak) == ("not-recovered", False, None)
    assert found.lower == 80.0 and found.upper == 160.0
    last = found.trials[-1]
    assert (last.move, last.judged) == ("cool-down", "not-recovered")
    assert last.seconds == pytest.approx(10, abs=1.5) and "was 5 ms" in last.why_not
    assert "metastable" in found.says


def test_not_even_the_lowest_rate(tmp_path):
    found = Sandbox(tmp_path, 1.0).search()
    assert (found.why, found.lower, found.upper) == ("floor", None, 20.0)
    assert "Not even 20/s" in found.says


def test_more_than_may_be_asked_is_a_lower_bound(tmp_path):
    found = Sandbox(tmp_path, 1e9).search()
    assert (found.why, found.lower, found.upper, found.recovered) == ("ceiling", 500.0, None, None)


def test_where_the_generator_was_hot_and_late_nothing_is_blamed_on_the_target(tmp_path, monkeypatch):
    sandbox = Sandbox(tmp_path, 130.0, cpu_s=0.99)
    monkeypatch.setattr(limit, "bound_reasons", lambda status, facts, *more: ("hot",) if facts.why_not else ())
    found = sandbox.search()
    assert (found.why, found.stopped_by, found.upper) == ("generator", "generator", None)
    assert found.lower <= 130.0
    assert {one.judged for one in found.trials} == {"good", "void"}
    assert "the load generator was the limit" in found.says


def test_a_stop_keeps_what_was_learnt(tmp_path):
    sandbox = Sandbox(tmp_path, 130.0)

    def stop_at_the_fifth(rate):
        if len(sandbox.rates) == 5:
            sandbox.stage.stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)

    sandbox.on_start = stop_at_the_fifth
    found = sandbox.search()
    assert (found.why, found.lower, found.upper) == ("stopped", 80.0, 160.0)
    assert found.trials[-1].judged == "cut-short"
    assert "The search was stopped before its end." in found.says


def test_the_guard_ends_a_hopeless_trial_and_not_the_run(tmp_path):
    sandbox = Sandbox(tmp_path, 130.0, ("limits: {", "limits: {error_ratio: 50%, error_window: 1s, "))
    make = sandbox.make

    def failing(engine):
        generator = make(engine)
        if sandbox.rates[-1] > 130.0:
            generator._script["outcome"], generator._script["error_class"] = Outcome.FAIL, ErrorClass.SLOW_DOWN
        return generator

    sandbox.stage.make_generator = failing
    found = sandbox.search()
    assert not sandbox.stage.stopped and found.why == "found"
    bad = next(one for one in found.trials if one.judged == "bad")
    assert "the guard ended it (error-ratio)" in bad.why_not
    assert bad.ended_ns - bad.began_ns < 2.5e9


def test_the_whole_verdict_comes_from_the_record_alone(tmp_path):
    sandbox = Sandbox(tmp_path, 130.0)
    sandbox.search()
    (sandbox.stage.writer.path / "campaign.yaml").write_text("")
    summary = judge(RunReader.open(sandbox.stage.writer.path))
    (check,) = [one for one in summary.checks if one.name == "limit"]
    assert check.verdict is Verdict.PASS and summary.limits[0].why == "found"
    assert summary == judge(RunReader.open(sandbox.stage.writer.path))
    assert f"The limit of requests is {summary.limits[0].lower:,.0f}/s" in summary.headline


def test_what_a_person_stopped_is_tidied_up_and_a_second_time_is_not(tmp_path):
    for hurried in (False, True):
        sandbox = Sandbox(tmp_path / str(hurried), 130.0)
        sandbox.stage.stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)
        if hurried:
            sandbox.stage.stop.hurried.set()
        ran = []
        sandbox.stage.make_generator = lambda engine, ran=ran, clock=sandbox.clock: (
            ran.append(engine["mix"][0]["op"]) or FakeGenerator(script(10, op=Op.DELETE), clock)
        )
        before = sandbox.stage.stop
        assert conductor._tidied_after_search(sandbox.stage) is not hurried
        assert ran == ([] if hurried else ["delete"])
        assert sandbox.stage.stop is before
        sandbox.stage.writer.close()


def test_details_of_every_trial_are_json(tmp_path):
    sandbox = Sandbox(tmp_path, 130.0)
    sandbox.search()
    for row in events_of(sandbox.stage.writer.path, EventKind.TRIAL):
        assert json.loads(row["details"])["phase"] == "limit-requests"
