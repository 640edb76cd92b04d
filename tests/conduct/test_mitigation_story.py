"""A whole story with the real wits: an address that is dropped upstream for a while, told from its record alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest
from conduct_stage import T0_NS, make_plan, make_stage
from vigil_world import S, black_hole_after, play

from maul.conduct.course import Course
from maul.conduct.earlier_runs import to_text
from maul.conduct.judge import judge
from maul.conduct.mitigation_story import mitigations, signals_of
from maul.conduct.mitigation_words import VantageWords
from maul.conduct.phases import run_phase
from maul.conduct.recorded import Text
from maul.conduct.vigil import Vigil
from maul.conduct.wits import Wits
from maul.core.clock import FakeClock
from maul.core.event import Edge, EventKind
from maul.core.mitigation_summary import BracketSummary
from maul.core.summary import Ending, FaultSummary
from maul.core.vantage import Attempt, Notice, Question, Reach, Vantage
from maul.core.verdict import Verdict
from maul.guard.mitigation.fingerprint import narrow
from maul.guard.mitigation.respond_terms import Asker, Terms
from maul.guard.mitigation.terms import ClassifyTerms
from maul.load import FakeGenerator
from maul.plan import MitigationPlan
from maul.record import RunReader

DROPPED_AT_S, FREE_AT_S = 22, 60
"""Of the run; calm, at 50/s, begins a moment after its beginning."""
PLACE = ClassifyTerms(
    generators={"local": ""},
    loaded=("vip",),
    control=("control",),
    lookouts={"ext": Vantage.EXTERNAL, "control": Vantage.CONTROL},
    addresses={"vip": "198.51.100.10", "control": "203.0.113.10"},
    sources={"local": "10.77.0.2"},
    port=8443,
)
DOORS = {Vantage.SENTINEL: "vip", Vantage.IDLE: "vip", Vantage.EXTERNAL: "vip", Vantage.CONTROL: "control"}
ROUTINE = [(Vantage.SENTINEL, "local"), (Vantage.EXTERNAL, "ext"), (Vantage.CONTROL, "control")]
ASKERS = (
    Asker(Vantage.IDLE, "local", "vip"),
    Asker(Vantage.EXTERNAL, "ext", "vip"),
    Asker(Vantage.CONTROL, "control", "control"),
)
WORDS = VantageWords(
    points={"sentinel": ("local",)}, terms=PLACE, targets=("vip 198.51.100.10:8443",), sources=("10.77.0.2",)
)
CAMPAIGN = (("rate: 50/s, for: 20s", "rate: 50/s, for: 40s"), ("limits: {requests: 10000}", "limits: {duration: 30m}"))


@dataclass
class Network:
    """Everybody who looks on: the loaded address is dropped for a while, all else is well."""

    clock: FakeClock
    dropped_at_s: float
    free_at_s: float
    taken_s: int = 0
    silent: bool = False
    asked: tuple[Question, ...] = ()

    @property
    def dropped(self) -> bool:
        return self.dropped_at_s * S <= self.clock.now_ns() - T0_NS < self.free_at_s * S

    def take(self) -> Sequence[Attempt | Notice]:
        now_s = int((self.clock.now_ns() - T0_NS) // S)
        seconds, self.taken_s = range(self.taken_s, now_s), now_s
        routine = (
            []
            if self.silent
            else [(Vantage.SENTINEL, "local"), (Vantage.EXTERNAL, "ext"), (Vantage.CONTROL, "control")]
        )
        felt = [
            self._attempt(T0_NS + at_s * S + S // 2, Question(vantage, who, DOORS[vantage]))
            for at_s in seconds
            for vantage, who in routine
        ]
        asked, self.asked = self.asked, ()
        return [*felt, *(self._attempt(self.clock.now_ns() - S // 2, one) for one in asked)]

    def _attempt(self, at_ns: int, question: Question) -> Attempt:
        if question.endpoint != "vip" or not self.dropped:
            return Attempt(at_ns, question, Reach.ANSWERED, 403, connect_ms=0.4, answer_ms=1.0)
        reach = Reach.STALLED if question.vantage is Vantage.SENTINEL else Reach.TIMEOUT
        return Attempt(at_ns, question, reach)

    def ask(self, question: Question) -> bool:
        self.asked = (*self.asked, question)
        return True

    def quiet(self, wanted: bool) -> None:
        self.silent = wanted

    def close(self) -> None:
        pass


def told(
    tmp_path,
    *,
    resume: float = 0.5,
    dropped_at_s: float = DROPPED_AT_S,
    free_at_s: float = FREE_AT_S,
    earlier: Sequence[BracketSummary] = (),
):
    """The stage, and the run's summary, judged from its record."""
    clock = FakeClock(T0_NS)
    network = Network(clock, dropped_at_s, free_at_s)
    gentle = {"recovered_after_s": 20.0, "hold_max_s": 400.0, "resume": resume}
    wished = MitigationPlan(act="freeze", sentinels=True, resume_s=4.0, **gentle)

    def generator(engine):
        operations = play(engine)
        if clock.now_ns() - T0_NS < dropped_at_s * S:
            operations = black_hole_after(operations, dropped_at_s - (clock.now_ns() - T0_NS) / S)
        return FakeGenerator(operations, clock)

    plan = make_plan(*CAMPAIGN).model_copy(update={"mitigation": wished, "faults": ()})
    stage = make_stage(tmp_path, plan, clock=clock, make_generator=generator)
    terms = Terms(loaded=("vip",), askers=ASKERS, endpoints=frozenset(PLACE.addresses), **gentle)
    stage.vigil = Vigil(stage, [network], Wits(PLACE, terms, lambda: True), WORDS)
    if earlier:
        stage.writer.write_text(Text.EARLIER, to_text(earlier))
    stage.note(EventKind.RUN, Edge.BEGAN, plan.run_id)
    Course(stage, lambda phase: run_phase(stage, phase)).follow()
    details = {"ending": stage.stop.ending, "exit_code": 0}
    stage.note(EventKind.RUN, Edge.ENDED, plan.run_id, stage.stop.reason, details)
    stage.writer.close()
    return stage, judge(RunReader.open(stage.writer.path))


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    return told(tmp_path_factory.mktemp("resumed"))


def test_it_is_told_what_it_was_when_and_what_was_done(resumed):
    summary = resumed[1]
    (one,) = summary.mitigations
    assert (one.cause, one.family) == ("vip-black-hole", "protection")
    onset_s = (one.onset_ns - T0_NS) / S
    assert DROPPED_AT_S - 1 <= onset_s <= DROPPED_AT_S + 1
    assert one.frozen_ns - (T0_NS + DROPPED_AT_S * S) <= 3.2 * S  # two seconds, seen at whole seconds
    assert one.frozen_ns < one.verdict_ns < one.recovered_ns <= one.resumed_ns
    assert FREE_AT_S - DROPPED_AT_S - 1 <= one.hold_s <= FREE_AT_S - DROPPED_AT_S + one.hold_quantum_s + 1
    assert one.resumed_part == 0.5
    assert one.suspects[0].evidence
    assert "Load test dropped: vip-black-hole" in one.ticket and "198.51.100.10:8443" in one.ticket


def test_the_bracket_is_that_of_the_load_before_it_and_never_of_the_silence(resumed):
    summary = resumed[1]
    requests = {one.window_s: one for one in summary.mitigations[0].brackets if one.dimension == "requests"}
    assert requests[1].dropped_at == pytest.approx(50, abs=3)
    assert requests[5].dropped_at == pytest.approx(50, abs=3)
    assert 60 not in requests  # nobody sent for a minute before it


def test_a_run_that_resumed_and_came_to_its_end_is_judged_by_its_checks(resumed):
    summary = resumed[1]
    assert summary.ending is Ending.COMPLETED
    (check,) = [one for one in summary.checks if one.name == "traffic-kept"]
    assert check.verdict is Verdict.FAIL
    assert check.says.startswith(summary.mitigations[0].says.rstrip("."))
    assert summary.exit_code == 1
    assert [phase.name for phase in summary.phases] == ["fill", "calm", "calm-resumed", "audit", "tidy"]


def test_what_was_written_after_it_resumed_is_in_the_ledger_too(resumed):
    summary = resumed[1]
    piece = next(phase for phase in summary.phases if phase.name == "calm-resumed")
    assert piece.kind == "load" and piece.ok == pytest.approx(90, abs=4)


def test_judged_again_it_says_the_same(resumed):
    stage, summary = resumed
    assert judge(RunReader.open(stage.writer.path)) == summary


def test_a_run_that_could_not_go_on_was_ended_by_the_guard(tmp_path):
    _, summary = told(tmp_path, resume=0.0)
    (one,) = summary.mitigations
    assert summary.ending is Ending.GUARD and summary.exit_code == 5
    assert one.resumed_ns is None and one.recovered_ns is not None
    assert [phase.name for phase in summary.phases] == ["fill", "calm", "audit", "tidy"]


def test_one_that_does_not_end_is_known_to_last_at_least_so_long(tmp_path):
    _, summary = told(tmp_path, free_at_s=10_000)
    (one,) = summary.mitigations
    assert (one.hold_s, one.recovered_ns) == (None, None)
    assert one.hold_at_least_s >= 400
    assert [phase.name for phase in summary.phases] == ["fill", "calm"]


def test_what_is_known_of_earlier_runs_narrows_it(tmp_path, resumed):
    own = {(one.dimension, one.window_s): one for one in resumed[1].mitigations[0].brackets}
    assert resumed[1].mitigations[0].narrowed == []
    lower = [own["requests", 5].model_copy(update={"dropped_at": 45.0, "survived": 30.0})]
    _, summary = told(tmp_path, earlier=lower)
    (one,) = summary.mitigations
    (expected,), _ = narrow(lower, [own["requests", 5]])
    (both,) = [each for each in one.narrowed if (each.dimension, each.window_s) == ("requests", 5)]
    assert (both.dropped_at, both.survived, both.runs) == (expected.dropped_at, expected.survived, 2)
    assert next(each for each in one.brackets if (each.dimension, each.window_s) == ("requests", 5)).runs == 1


def test_a_run_that_nobody_stopped_tells_what_was_borne(tmp_path):
    _, summary = told(tmp_path, dropped_at_s=10_000)
    assert summary.mitigations == []
    (check,) = [one for one in summary.checks if one.name == "traffic-kept"]
    assert check.verdict is Verdict.PASS and "sentinel (1)" in check.says
    borne = {one.window_s: one for one in summary.borne if one.dimension == "requests"}
    assert borne[5].survived == pytest.approx(50, abs=3)
    assert borne[5].dropped_at is None


def test_a_record_from_before_there_was_a_vigil_is_judged_as_ever(tmp_path):
    plan = make_plan(faults=())
    stage = make_stage(tmp_path, plan, make_generator=lambda engine: FakeGenerator(play(engine), stage.clock))
    Course(stage, lambda phase: run_phase(stage, phase)).follow()
    stage.writer.close()
    summary = judge(RunReader.open(stage.writer.path))
    assert summary.mitigations == []
    assert "traffic-kept" not in {check.name for check in summary.checks}


def test_a_verdict_during_our_own_fault_is_the_faults(resumed):
    stage, _ = resumed
    run = RunReader.open(stage.writer.path)
    rows = [row for row in run.events().to_pylist() if row["name"] in {"vantage", "verdict", "suspected"}]
    signals = signals_of(run, stage.plan, pa.Table.from_pylist(rows, run.events().schema), ())
    (only_told,) = mitigations(signals)
    assert (only_told.frozen_ns, only_told.family) == (None, "protection")
    at_ns = only_told.onset_ns
    fault = FaultSummary(
        name="kill", target="lb", began_ns=at_ns - S, healed_ns=at_ns, proven=True, healed=True, effect="", undo=""
    )
    assert mitigations(replace(signals, faults=[fault])) == []
