"""What earlier runs against the same target learnt, over real run directories."""

from maul.conduct.earlier_runs import Learnt, learnt_before
from maul.core.mitigation_summary import BracketSummary, MitigationSummary
from maul.core.summary import Ending, Summary
from maul.record import RunWriter
from maul.record.summaries import write_summary

TARGET = "https://198.51.100.10/maul-test"


def bracket(survived, dropped_at):
    return BracketSummary(dimension="packets", unit="packets/s", window_s=5, survived=survived, dropped_at=dropped_at)


def run(root, name, *stopped, target=TARGET, family="protection", detect_s=None):
    with RunWriter.create(root, name) as writer:
        folder = writer.path
    mitigations = [
        MitigationSummary(
            cause="vip-black-hole", family=family, says="", suspects=[], scope=[], direction="", onset_ns=1,
            suspected_ns=None, frozen_ns=None, verdict_ns=None, recovered_ns=None, resumed_ns=None, resumed_part=None,
            detect_s=detect_s, hold_s=None, hold_quantum_s=None, hold_at_least_s=None, brackets=[one],
        )
        for one in stopped
    ]  # fmt: skip
    write_summary(
        folder,
        Summary(
            maul_version="0", run_id=name, campaign="c", target=target, plan_hash="", began_ns=0, ended_ns=1,
            ending=Ending.GUARD, verdict="UNKNOWN", exit_code=5, headline="", checks=[], phases=[], capacity=None,
            errors=[], audit=None, faults=[], generator=None, gaps=[], mitigations=mitigations,
        ),
    )  # fmt: skip
    return folder


def test_runs_against_the_same_target_are_put_together(tmp_path):
    run(tmp_path, "1-a", bracket(10.0, 30.0), detect_s=4.0)
    run(tmp_path, "2-b", bracket(20.0, 40.0), detect_s=7.0)
    run(tmp_path, "3-other", bracket(1.0, 2.0), target="https://elsewhere/b")
    run(tmp_path, "4-own-doing", bracket(1.0, 2.0), family="target")
    run(tmp_path, "5-calm")
    learnt = learnt_before(TARGET, tmp_path)
    assert learnt == Learnt((bracket(20.0, 30.0).model_copy(update={"runs": 2}),), 7.0)
    assert learnt_before(TARGET, tmp_path, but="2-b").brackets == (bracket(10.0, 30.0),)


def test_runs_that_contradict_each_other_widen_the_bracket(tmp_path):
    run(tmp_path, "1-a", bracket(10.0, 30.0))
    run(tmp_path, "2-b", bracket(50.0, 60.0))
    assert learnt_before(TARGET, tmp_path).brackets == (bracket(10.0, 60.0).model_copy(update={"runs": 2}),)


def test_damaged_and_old_runs_say_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("maul.conduct.earlier_runs.RUNS_MAX", 3)
    run(tmp_path, "0-old", bracket(1.0, 2.0))
    run(tmp_path, "1-a")
    run(tmp_path, "1-b")
    (run(tmp_path, "2-damaged", bracket(5.0, 6.0)) / "summary.json").write_text("{")
    assert learnt_before(TARGET, tmp_path) == Learnt()
    assert learnt_before(TARGET, tmp_path / "nowhere") == Learnt()
