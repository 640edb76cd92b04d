"""Judge on hand-made records: how a run ended, who must act, and the same answer every time."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conduct_stage import T0_NS, events_of, make_plan, script

from maul.conduct.drive import as_mapping
from maul.conduct.judge import judge
from maul.conduct.listings import listings_text
from maul.conduct.recorded import LastWords, Text
from maul.core.errors import CampaignError, ExitCode
from maul.core.event import Edge, Event, EventKind
from maul.core.generator import GeneratorState, GeneratorStatus
from maul.core.operation import ErrorClass, Op, Outcome, key_name
from maul.core.summary import Ending, FaultSummary, Summary
from maul.core.verdict import Verdict
from maul.load.fake import latency_rows
from maul.plan import to_json
from maul.record import RunReader, RunWriter
from maul.verify.listing import Listing

SECOND = 10**9
PLAN = make_plan(
    ("  - {name: rising, kind: load, steps: {from: 10/s, to: 30/s, count: 3, each: 2s}}\n", ""),
    consistency="strong",
    list_lag_ms=0,
    restart_gap_ms=0,
)
KEYS = 100
GATEWAYS = ("gateway-r1-1", "gateway-r2-1")


def at(operations, at_s):
    moved = operations.copy()
    for name in ("due_ns", "start_ns", "end_ns"):
        moved[name] += np.uint64(T0_NS + int(at_s * SECOND))
    return moved


def ns(at_s):
    return T0_NS + int(at_s * SECOND)


class Made:
    """A record under construction: all well, unless the test says otherwise."""

    def __init__(self, tmp_path: Path, plan=PLAN) -> None:
        self.plan = plan
        self.writer = RunWriter.create(tmp_path / "runs", plan.run_id)
        self.writer.write_text("plan.json", to_json(plan))
        self.note(0.0, EventKind.RUN, Edge.BEGAN, plan.run_id)

    def note(self, at_s, kind, edge, name, says="", /, **details):
        self.writer.events([Event(ns(at_s), kind, edge, name, says, details)])

    def phase(self, name, kind, from_s, to_s, operations, **status):
        self.note(from_s, EventKind.PHASE, Edge.BEGAN, name, kind=kind)
        self.writer.operations(name, operations)
        self.writer.latency(name, latency_rows(operations))
        done = as_mapping(GeneratorStatus(GeneratorState.DONE, "completed", started=len(operations), **status))
        if to_s is not None:
            self.note(to_s, EventKind.PHASE, Edge.ENDED, name, kind=kind, status=done)

    def load(self):
        """Every key is written, then read."""
        keys = np.arange(KEYS)
        self.phase("fill", "prepare", 1, 3, at(script(KEYS, op=Op.PUT, key=keys, version=keys + 1), 1))
        self.phase("calm", "load", 4, 24, at(script(KEYS, seconds=19.0, key=keys, version=keys + 1), 4))

    def audit(self, *, lose=()):
        keys = np.arange(KEYS)
        reads = [at(script(KEYS, key=keys, version=keys + 1, endpoint=n), 25 + n) for n in (0, 1)]
        for read in reads:
            for key in lose:
                read["outcome"][key], read["error_class"][key] = Outcome.FAIL, ErrorClass.NO_SUCH_KEY
                read["version"][key], read["status"][key] = 0, 404
        self.phase("audit", "audit", 25, 28, np.concatenate(reads))
        names = [key_name(self.plan.prefix, key) for key in range(KEYS) if key not in lose]
        self.writer.write_text(Text.LISTINGS, listings_text([Listing(one, names) for one in GATEWAYS]))

    def fault(self, *, from_s=9.0, to_s: float | None = 14.0, healed=True, undo="restart: it is back"):
        self.note(from_s, EventKind.FAULT, Edge.BEGAN, "kill", "killed process 7")
        if to_s is not None:
            self.note(to_s, EventKind.FAULT, Edge.ENDED, "kill", undo, summary=told(from_s, to_s, healed, undo))

    def cleaned(self, left=0):
        self.phase("tidy", "clean-up", 29, 30, at(script(KEYS, op=Op.DELETE, key=np.arange(KEYS)), 29))
        self.note(30, EventKind.NOTE, Edge.INSTANT, "cleaned", "100 objects of ours", left=left, strangers=0)

    def end(self, ending=Ending.COMPLETED, says="", exit_code=ExitCode.PASS):
        details = {"ending": ending, "exit_code": int(exit_code)}
        self.note(31, EventKind.RUN, Edge.ENDED, self.plan.run_id, says, **details)

    def whole(self):
        self.load()
        self.fault()
        self.audit()
        self.cleaned()

    def read(self, *, killed=False):
        if killed:
            self.writer.flush()
            self.writer._close_files()  # what the kernel does for a process that is killed
        else:
            self.writer.close()
        return RunReader.open(self.writer.path)


def told(from_s, to_s, healed, undo="restart: it is back"):
    return FaultSummary(
        name="kill", target="volume-r1-1", began_ns=ns(from_s), healed_ns=ns(to_s) if healed else None, proven=True,
        healed=healed, effect="process 7 is gone", undo=undo,
    ).model_dump(mode="json")  # fmt: skip


def verdicts(summary):
    return {check.name: check.verdict for check in summary.checks}


def test_a_run_where_all_is_well_passes(tmp_path):
    made = Made(tmp_path)
    made.whole()
    made.end()
    summary = judge(made.read())
    assert set(verdicts(summary).values()) == {Verdict.PASS}, summary.checks
    assert (summary.verdict, summary.exit_code, summary.ending) == (Verdict.PASS, 0, Ending.COMPLETED)
    assert (summary.began_ns, summary.ended_ns) == (ns(0), ns(31))
    assert [phase.name for phase in summary.phases] == ["fill", "calm", "audit", "tidy"]
    assert summary.audit.objects == KEYS and summary.faults[0].customers
    assert summary.plan_hash == PLAN.hash
    assert summary.headline.startswith(f"All {len(summary.checks)} checks passed.")


def test_judged_twice_it_is_the_same_to_the_byte(tmp_path):
    made = Made(tmp_path)
    made.load()
    made.fault()
    made.audit(lose=(3, 5, 50))
    made.cleaned(left=2)
    made.end()
    run = made.read()
    first = judge(run).model_dump_json()
    assert judge(RunReader.open(run.path)).model_dump_json() == first
    elsewhere = tmp_path / "copied"
    shutil.copytree(run.path, elsewhere)
    assert judge(RunReader.open(elsewhere)).model_dump_json() == first
    assert Summary.model_validate_json(first).model_dump_json() == first


def test_lost_objects_fail_the_run_and_are_named(tmp_path):
    made = Made(tmp_path)
    made.load()
    made.fault()
    made.audit(lose=(7,))
    made.cleaned()
    made.end()
    summary = judge(made.read())
    assert (summary.verdict, summary.exit_code) == (Verdict.FAIL, ExitCode.FAIL)
    assert {finding.kind for finding in summary.audit.findings} == {"lost", "unlisted"}
    assert summary.headline.startswith("durability failed")
    assert summary.errors == [], "what an audit does not find is the ledger's business"


@pytest.mark.parametrize(
    ("ending", "exit_code", "lose", "expected"),
    [
        (Ending.INTERRUPTED, ExitCode.PASS, (), ExitCode.UNKNOWN),
        (Ending.INTERRUPTED, ExitCode.PASS, (1,), ExitCode.FAIL),
        (Ending.GUARD, ExitCode.PASS, (), ExitCode.GUARD),
        (Ending.GUARD, ExitCode.PASS, (1,), ExitCode.GUARD),
        (Ending.FAILED, ExitCode.ENVIRONMENT, (), ExitCode.ENVIRONMENT),
        (Ending.FAILED, ExitCode.UNKNOWN, (), ExitCode.UNKNOWN),
        (Ending.FAILED, ExitCode.ENVIRONMENT, (1,), ExitCode.FAIL),
    ],
)
def test_whoever_must_act_first_is_the_exit_code(tmp_path, ending, exit_code, lose, expected):
    made = Made(tmp_path)
    made.load()
    made.fault()
    made.audit(lose=lose)
    made.cleaned()
    made.end(ending, "the disk is full\n  make room.", exit_code)
    summary = judge(made.read())
    assert (summary.ending, summary.exit_code) == (ending, expected)
    assert summary.verdict is (Verdict.FAIL if lose else Verdict.UNKNOWN)
    assert summary.headline.startswith("Not finished: the disk is full make room. ")


def test_a_run_that_was_interrupted_early(tmp_path):
    made = Made(tmp_path)
    made.load()
    made.end(Ending.INTERRUPTED, "interrupted by SIGINT")
    summary = judge(made.read())
    assert summary.exit_code == ExitCode.UNKNOWN
    found = verdicts(summary)
    assert (found["durability"], found["cleaned"], found["faults-proven"]) == (Verdict.UNKNOWN,) * 3
    assert found["available"] is Verdict.PASS
    assert "interrupted by SIGINT" in summary.headline


def test_a_killed_run_is_judged_up_to_where_it_was_killed(tmp_path):
    made = Made(tmp_path)
    made.load()
    run = made.read(killed=True)
    assert run.killed
    summary = judge(run)
    assert (summary.ending, summary.exit_code) == (Ending.KILLED, ExitCode.UNKNOWN)
    assert "killed" in summary.headline
    assert verdicts(summary)["healed"] is Verdict.UNKNOWN
    assert sum(phase.ok for phase in summary.phases) == 2 * KEYS


def test_a_run_without_an_end_lasted_until_the_last_thing_known_of_it(tmp_path):
    made = Made(tmp_path)
    made.phase("calm", "load", 4, None, at(script(KEYS, seconds=19.0), 4))
    summary = judge(made.read(killed=True))
    assert ns(22) < summary.ended_ns <= ns(24)
    assert summary.phases[0].ended_ns == summary.ended_ns


def test_killed_while_something_was_hurt_is_unhealed_until_somebody_looks(tmp_path):
    made = Made(tmp_path)
    made.load()
    made.fault(to_s=None)
    summary = judge(made.read(killed=True))
    assert (summary.exit_code, summary.ending) == (ExitCode.UNHEALED, Ending.KILLED)
    (fault,) = summary.faults
    assert (fault.name, fault.target, fault.healed, fault.proven) == ("kill", "volume-r1-1", False, False)
    assert "maul heal" in fault.undo


def test_killed_before_anything_was_written(tmp_path):
    writer = RunWriter.create(tmp_path / "runs", PLAN.run_id)
    writer._close_files()
    with pytest.raises(CampaignError, match=r"no plan\.json"):
        judge(RunReader.open(writer.path))
    writer.write_text("plan.json", to_json(PLAN))
    summary = judge(RunReader.open(writer.path))
    assert (summary.ending, summary.exit_code, summary.phases) == (Ending.KILLED, ExitCode.UNKNOWN, [])
    assert (summary.began_ns, summary.ended_ns) == (0, 0)


def test_a_read_of_a_write_that_the_kill_took_from_the_record_is_no_phantom(tmp_path):
    made = Made(tmp_path)
    keys = np.arange(KEYS)
    made.phase("fill", "prepare", 1, 3, at(script(KEYS, op=Op.PUT, key=keys, version=keys + 1), 1))
    made.phase("calm", "load", 4, None, at(script(1, key=5, version=999), 4))
    summary = judge(made.read(killed=True))
    assert verdicts(summary)["reads-true"] is Verdict.PASS

    other = Made(tmp_path / "closed")
    other.phase("fill", "prepare", 1, 3, at(script(KEYS, op=Op.PUT, key=keys, version=keys + 1), 1))
    other.phase("calm", "load", 4, 5, at(script(1, key=5, version=999), 4))
    other.end()
    assert verdicts(judge(other.read()))["reads-true"] is Verdict.FAIL, "here nothing is missing from the record"


def test_lost_records_make_the_audit_doubtful(tmp_path):
    made = Made(tmp_path)
    made.load()
    made.audit()
    made.phase("late", "load", 28, 29, at(script(1), 28), records_lost=3)
    made.cleaned()
    made.end()
    summary = judge(made.read())
    assert verdicts(summary)["durability"] is Verdict.UNKNOWN
    assert verdicts(summary)["generator-honest"] is Verdict.UNKNOWN
    assert "3 operations are missing" in summary.audit.says


def test_unhealed_weighs_more_than_all_else(tmp_path):
    made = Made(tmp_path)
    made.load()
    made.fault(healed=False)
    made.audit(lose=(1,))
    made.end(Ending.GUARD, "too many errors")
    summary = judge(made.read())
    assert (summary.exit_code, summary.verdict) == (ExitCode.UNHEALED, Verdict.FAIL)


def test_a_fault_that_was_not_due_is_unknown_and_healed(tmp_path):
    made = Made(tmp_path)
    made.load()
    made.note(24, EventKind.FAULT, Edge.INSTANT, "kill", "the phase ended before it was due")
    made.audit()
    made.cleaned()
    made.end()
    summary = judge(made.read())
    assert (summary.faults, summary.exit_code) == ([], ExitCode.UNKNOWN)
    assert verdicts(summary)["healed"] is Verdict.PASS


@pytest.mark.parametrize(
    ("gap_ms", "at_s", "undo", "verdict"),
    [
        (5000, 15.0, "restart: back", Verdict.PASS),  # a second after it came back
        (5000, 13.9, "restart: back", Verdict.PASS),  # it was started at 14 - proof, so the gap had begun
        (5000, 20.0, "restart: back", Verdict.FAIL),
        (5000, 10.0, "restart: back", Verdict.FAIL),  # while it was down, a 404 is a lie all the same
        (0, 15.0, "restart: back", Verdict.FAIL),
        (5000, 15.0, "reverse: sent SIGCONT", Verdict.FAIL),  # nothing was restarted
    ],
)
def test_after_a_restart_the_declared_gap_excuses_what_is_missing(tmp_path, gap_ms, at_s, undo, verdict):
    plan = PLAN.model_copy(update={"restart_gap_ms": gap_ms})
    held = plan.faults[0].model_copy(update={"hold_s": 4.0})
    made = Made(tmp_path, plan.model_copy(update={"faults": (held,)}))
    keys = np.arange(KEYS)
    made.phase("fill", "prepare", 1, 3, at(script(KEYS, op=Op.PUT, key=keys, version=keys + 1), 1))
    missing = script(1, key=5, outcome=Outcome.FAIL, error_class=ErrorClass.NO_SUCH_KEY)
    made.phase("calm", "load", 4, 24, at(missing, at_s))
    made.fault(from_s=9.0, to_s=14.0, undo=undo)
    made.end()
    assert verdicts(judge(made.read()))["reads-true"] is verdict


def test_last_words_speak_for_what_the_tables_could_not_take(tmp_path):
    made = Made(tmp_path)
    made.load()
    made.fault(to_s=None)
    words = LastWords(
        ending=Ending.FAILED,
        says="no room is left on this disk",
        exit_code=ExitCode.ENVIRONMENT,
        faults=(FaultSummary.model_validate(told(9, 14, healed=True)),),
    )
    made.writer.write_text(Text.LAST_WORDS, words.model_dump_json())
    summary = judge(made.read())
    assert (summary.ending, summary.exit_code) == (Ending.FAILED, ExitCode.ENVIRONMENT)
    assert summary.faults[0].healed and "no room is left" in summary.headline


@pytest.mark.parametrize("lose", [(), (1,)])
def test_a_lab_that_did_not_go_is_unhealed_whatever_the_run_was(tmp_path, lose):
    made = Made(tmp_path)
    made.load()
    made.audit(lose=lose)
    made.end()
    words = LastWords(ending=Ending.FAILED, says="the lab is not down", exit_code=ExitCode.UNHEALED)
    made.writer.write_text(Text.LAST_WORDS, words.model_dump_json())
    summary = judge(made.read())
    assert summary.exit_code == ExitCode.UNHEALED and "the lab is not down" in summary.headline


def test_a_run_that_still_goes_is_not_judged(tmp_path):
    made = Made(tmp_path)
    made.load()
    made.writer.flush()
    with pytest.raises(CampaignError, match="still going"):
        judge(RunReader.open(made.writer.path))
    made.writer.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plan.json", "{}"),
        ("plan.json", "not json"),
        ("plan.json", '{"version": 2}'),
        ("listings.json", "[{}]"),
        ("listings.json", "{"),
        ("listings.json", '[{"through": "a", "names": "text", "complete": true}]'),
        ("listings.json", "7"),
        (
            "listings.json",
            '[{"through": "a", "names": [], "complete": true}, {"through": "b", "names": [], "complete": 1}]',
        ),
        ("last-words.json", "{}"),
    ],
)
def test_a_damaged_text_is_told_with_its_file(tmp_path, name, text):
    made = Made(tmp_path)
    made.whole()
    made.end()
    run = made.read()
    (run.path / name).write_text(text)
    with pytest.raises(CampaignError) as caught:
        judge(run)
    assert name in caught.value.message and caught.value.cure


def test_a_damaged_plan_is_not_taken_for_another(tmp_path):
    made = Made(tmp_path)
    made.whole()
    made.end()
    run = made.read()
    plan = json.loads((run.path / "plan.json").read_text())
    plan["phases"][0]["kind"] = "dance"
    (run.path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(CampaignError, match=r"phases\.0\.kind"):
        judge(run)


def test_events_keep_their_order_in_the_notes(tmp_path):
    made = Made(tmp_path)
    made.note(3, EventKind.GUARD, Edge.INSTANT, "gave-way", "second")
    made.note(2, EventKind.NOTE, Edge.INSTANT, "left", "first")
    made.note(4, EventKind.NOTE, Edge.INSTANT, "quiet", "")
    made.note(5, EventKind.GAP, Edge.BEGAN, "disk", "not readable")
    made.end()
    summary = judge(made.read())
    assert (summary.notes, summary.gaps) == (["first", "second"], ["disk, from 5 s to the end: not readable"])
    assert len(events_of(made.writer.path)) == 6


@pytest.mark.parametrize(("ignored", "verdict", "exit_code"), [(0, Verdict.PASS, 0), (1, Verdict.FAIL, 1)])
def test_one_ignored_condition_in_the_record_fails_the_run(tmp_path, ignored, verdict, exit_code):
    plan = make_plan(
        ("  - {name: rising, kind: load, steps: {from: 10/s, to: 30/s, count: 3, each: 2s}}\n", ""),
        ("mix: {get: 3, put: 2, delete: 1}", "mix: {get: 3, put_if_none_match: 1}"),
        consistency="strong",
        list_lag_ms=0,
        restart_gap_ms=0,
    )
    made = Made(tmp_path, plan)
    keys = np.arange(KEYS)
    made.phase("fill", "prepare", 1, 3, at(script(KEYS, op=Op.PUT, key=keys, version=keys + 1), 1))
    asked = script(200, seconds=19.0, op=Op.PUT_IF_NONE_MATCH, key=np.arange(200) % KEYS, status=412)
    if ignored:
        asked["outcome"][7], asked["error_class"][7] = Outcome.UNKNOWN, ErrorClass.CONDITION_IGNORED
        asked["version"][7], asked["status"][7] = KEYS + 1, 200
    made.phase("calm", "load", 4, 24, at(asked, 4))
    made.fault()
    made.audit()
    made.cleaned()
    made.end()
    summary = judge(made.read())
    assert verdicts(summary)["conditions-kept"] is verdict
    if ignored:
        assert (summary.verdict, summary.exit_code) == (verdict, exit_code)
