"""One fault's life: a random walk over its transitions with injected errors, and the promises one by one."""

import random
from contextlib import nullcontext
from pathlib import Path

import pytest

from maul.core.clock import FakeClock
from maul.core.errors import CampaignError, InternalError, MachineError, MaulError, TargetError, UnhealedError
from maul.faults.fault import Proof, Target, UndoKind
from maul.faults.fault_run import LEGAL, FaultRun, State
from maul.hosts.host import ProcessId
from maul.hosts.journal import UndoJournal
from maul.hosts.undo_kinds import Undo, UndoSignal

TARGET = Target("volume-r1-1", Path("/run/v.json"), lambda: True)


class ScriptedFault:
    """Hurts one boolean. Fails when `fails(method)` says so: before the act, or after it (half done)."""

    name = "scripted"

    def __init__(self, fails=lambda method: None, undo_kind=UndoKind.REVERSE):
        self.fails, self.undo_kind = fails, undo_kind
        self.hurt = False
        self.cleaned = False

    def _maybe(self, method: str) -> str | None:
        outcome = self.fails(method)
        if outcome == "before":
            raise TargetError(f"{method} failed")
        return outcome

    def _after(self, outcome: str | None) -> None:
        if outcome == "after":
            raise OSError(5, "Input/output error")

    def prepare(self) -> Undo:
        self._after(self._maybe("prepare"))
        return UndoSignal(ProcessId(1, 1), 18)

    def inject(self) -> str:
        outcome = self._maybe("inject")
        self.hurt = True
        self._after(outcome)
        return "hurt"

    def prove_effect(self) -> Proof:
        outcome = self._maybe("prove_effect")
        self._after(outcome)
        return Proof(self.hurt and outcome != "no", "looked")

    def heal(self) -> str:
        outcome = self._maybe("heal")
        self.hurt = False
        self._after(outcome)
        return "healed"

    def prove_healed(self) -> Proof:
        outcome = self._maybe("prove_healed")
        self._after(outcome)
        return Proof(not self.hurt and outcome != "no", "looked")

    def clean(self) -> None:
        outcome = self._maybe("clean")
        self.cleaned = True
        self._after(outcome)


class MemoryJournal:
    """As `UndoJournal`, in memory and fast enough for ten thousand walks. `fails` as above."""

    path = Path("/undo/x.jsonl")

    def __init__(self, fails=lambda method: None):
        self.fails, self.entries, self.struck = fails, [], set()

    def _maybe(self, method):
        if self.fails(method):
            raise MachineError(f"{method}: no space left")

    def record(self, fault, target, undo, deadline_ns=None):
        self._maybe("record")
        entry = type("Entry", (), {"id": str(len(self.entries)), "deadline_ns": deadline_ns})()
        self.entries.append(entry)
        return entry

    def done(self, entry_id, says=""):
        self._maybe("done")
        self.struck.add(entry_id)

    def lock(self, timeout_s):
        self._maybe("lock")
        return nullcontext()

    @property
    def pending(self):
        return [entry for entry in self.entries if entry.id not in self.struck]


def step(run: FaultRun, act: str) -> None:
    run.inject(30.0) if act == "inject" else getattr(run, act)()


def check_promises(run: FaultRun, fault: ScriptedFault, journal: MemoryJournal) -> None:
    if fault.hurt:
        assert run.may_be_hurt, f"hurt, but the run is {run.state}"
        assert journal.pending, "hurt, and no undo is on disk"
    if run.state in (State.NEW, State.PREPARED):
        assert not fault.hurt and run.began_ns is None
    if run.state in (State.RESTORED, State.CLEAN):
        assert not fault.hurt and not run.may_be_hurt
        if run.began_ns is not None:
            assert run.healing.proven and run.healed_ns is not None
    if run.effect.proven:
        assert run.began_ns is not None
    run.summary()


def test_a_random_walk_of_ten_thousand_steps_never_forgets_a_harm():
    random_walk = random.Random(20261122)
    outcomes = ["before", "after", "no"]
    reached: set[State] = set()
    runs = 0
    walked = 0
    while walked < 10_000:
        runs += 1
        rate = random_walk.choice([0.0, 0.1, 0.5])
        roll = lambda method, rate=rate: random_walk.choice(outcomes) if random_walk.random() < rate else None  # noqa: E731
        fault, journal = (
            ScriptedFault(roll),
            MemoryJournal(lambda method, roll=roll: roll(method) is not None),
        )
        run = FaultRun(fault, TARGET, journal, FakeClock())
        for _ in range(random_walk.randint(1, 25)):
            walked += 1
            legal = [act for act, states in LEGAL.items() if run.state in states]
            act = (
                random_walk.choice(legal or ["heal"]) if random_walk.random() < 0.9 else random_walk.choice(list(LEGAL))
            )
            before = run.state
            try:
                step(run, act)
            except InternalError:
                assert before not in LEGAL[act], f"{act} is legal in {before}"
                assert run.state is before
            except (MaulError, OSError):
                pass
            else:
                assert before in LEGAL[act]
            reached.add(run.state)
            check_promises(run, fault, journal)
        end = run.finish()
        check_promises(run, fault, journal)
        assert end is run.state
        # When nothing fails any more, finishing always heals.
        fault.fails = journal.fails = lambda method: None
        assert run.finish() is State.CLEAN
        assert not fault.hurt
        check_promises(run, fault, journal)
    assert reached == set(State), f"the walk never reached {set(State) - reached}"
    assert runs > 300


def new_run(fails=lambda method: None, journal_fails=lambda method: None, **fault_options):
    fault, journal = ScriptedFault(fails, **fault_options), MemoryJournal(journal_fails)
    return FaultRun(fault, TARGET, journal, FakeClock()), fault, journal


def only(method: str, outcome: str):
    return lambda called: outcome if called == method else None


def test_the_whole_life_in_order():
    run, fault, journal = new_run()
    run.prepare()
    assert run.inject(30.0) == "hurt"
    assert journal.pending[0].deadline_ns == FakeClock().now_ns() + 30 * 10**9
    assert run.prove_effect().proven
    run.heal()
    assert journal.pending, "struck off before the healing was seen"
    assert run.prove_healed().proven
    assert not journal.pending
    run.clean()
    summary = run.summary()
    assert (summary.proven, summary.healed, fault.cleaned) == (True, True, True)
    assert summary.healed_ns is not None


def test_without_a_journal_there_is_no_harm():
    run, fault, _ = new_run(journal_fails=lambda method: method == "record")
    run.prepare()
    with pytest.raises(MachineError):
        run.inject(30.0)
    assert run.state is State.PREPARED and not fault.hurt
    assert run.finish() is State.CLEAN


@pytest.mark.parametrize("outcome", ["before", "after"])
def test_an_injection_that_fails_counts_as_harm_and_is_healed(outcome):
    run, fault, journal = new_run(only("inject", outcome))
    run.prepare()
    with pytest.raises((TargetError, OSError)):
        run.inject(30.0)
    assert run.state is State.HURT and journal.pending
    assert run.finish() is State.CLEAN
    assert not fault.hurt and not run.summary().proven


def test_an_effect_that_was_not_seen_is_not_proven_yet_healed():
    run, _, _ = new_run(only("prove_effect", "no"))
    run.prepare()
    run.inject(30.0)
    assert not run.prove_effect().proven
    assert run.finish() is State.CLEAN
    summary = run.summary()
    assert (summary.proven, summary.healed) == (False, True)


def test_an_effect_nobody_looked_at_is_not_proven():
    run, _, _ = new_run()
    run.prepare()
    run.inject(30.0)
    assert run.finish() is State.CLEAN
    assert not run.summary().proven and "not looked at" in run.summary().effect


def test_what_cannot_be_healed_stays_in_the_journal_and_is_exit_6():
    run, fault, journal = new_run(only("heal", "before"))
    run.prepare()
    run.inject(30.0)
    assert run.finish() is State.UNHEALED
    assert fault.hurt and journal.pending
    with pytest.raises(UnhealedError, match="maul heal"):
        run.require_healed()
    assert not run.summary().healed
    assert "heal failed" in run.summary().undo


def test_a_heal_that_failed_once_is_tried_again():
    attempts = []
    run, _, _ = new_run(
        lambda method: "before" if method == "heal" and not attempts.append(1) and len(attempts) < 3 else None
    )
    run.prepare()
    run.inject(30.0)
    assert run.finish(attempts=3) is State.CLEAN
    assert len(attempts) == 3


def test_a_healing_that_was_not_seen_is_unhealed():
    run, _, journal = new_run(only("prove_healed", "no"))
    run.prepare()
    run.inject(30.0)
    run.heal()
    assert not run.prove_healed().proven
    assert run.state is State.UNHEALED and journal.pending


def test_a_journal_that_cannot_be_told_does_not_make_a_healed_fault_unhealed():
    run, _, journal = new_run(journal_fails=lambda method: method == "done")
    run.prepare()
    run.inject(30.0)
    assert run.finish() is State.CLEAN
    assert journal.pending and "could not be told" in run.summary().undo


def test_an_irreversible_fault_wants_to_be_asked_for():
    run, _, _ = new_run(undo_kind=UndoKind.IRREVERSIBLE)
    with pytest.raises(CampaignError, match="cannot be undone"):
        run.prepare()
    assert run.state is State.NEW


def test_a_bug_in_a_fault_is_not_swallowed_and_the_harm_stays_known():
    run, fault, journal = new_run()
    run.prepare()
    run.inject(30.0)
    fault.heal = lambda: {}["bug"]
    with pytest.raises(KeyError):
        run.finish()
    assert run.may_be_hurt and journal.pending


@pytest.mark.parametrize("act", sorted(LEGAL))
def test_the_real_journal_satisfies_the_same_calls(act, tmp_path):
    """The memory journal above must not drift from the real one."""
    fault = ScriptedFault()
    run = FaultRun(fault, TARGET, UndoJournal(tmp_path / "j.jsonl", FakeClock()), FakeClock())
    for called in ("prepare", "inject", "prove_effect", "heal", "prove_healed", "clean"):
        step(run, called)
        if called == act:
            break
    assert run.finish() is State.CLEAN
    assert UndoJournal(tmp_path / "j.jsonl").pending() == ()
