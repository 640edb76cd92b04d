"""One fault through its life. The life-cycle is proven once here, for every fault (random walk in the tests).

      ┌─────┐ prepare ┌──────────┐ inject ┌──────┐ heal ┌────────┐ prove_healed ┌──────────┐ clean ┌───────┐
      │ NEW │────────▶│ PREPARED │───────▶│ HURT │─────▶│ HEALED │─────────────▶│ RESTORED │──────▶│ CLEAN │
      └──┬──┘         └────┬─────┘        └─┬──▲─┘      └─┬──▲───┘              └──────────┘       └───▲───┘
         │                 │                │  │prove_    │  │heal                                     │
         │                 │                │  └effect    │  │                                         │
         │                 │                │ heal    ┌───▼──┴───┐ not proven, or the heal failed:      │
         │                 │                └────────▶│ UNHEALED │ heal may be tried again              │
         │                 │                  failed  └──────────┘                                      │
         └─────────────────┴───────────────────────── clean ────────────────────────────────────────────┘

- The undo is on disk before `inject` runs. When the journal cannot be written, nothing is hurt and it stays
PREPARED.
- From the moment `inject` is called it is HURT, whatever `inject` raised: half a harm is a harm.
- The entry is struck from the journal only in RESTORED, when the healing was seen from outside.
- No proven effect: `proven` stays False and the verdict of the fault is UNKNOWN, although it is healed all
the same.
"""

from enum import Enum

from maul.core.clock import Clock
from maul.core.errors import CampaignError, InternalError, MaulError, UnhealedError
from maul.core.summary import FaultSummary
from maul.faults.fault import Fault, Proof, Target, UndoKind
from maul.hosts.journal import Entry, UndoJournal
from maul.hosts.undo_kinds import Undo


class State(Enum):
    """Where in its life a fault is."""

    NEW = "new"
    PREPARED = "prepared"
    HURT = "hurt"
    HEALED = "healed"  # the heal was done, not seen yet
    UNHEALED = "unhealed"
    RESTORED = "restored"
    CLEAN = "clean"


LEGAL: dict[str, frozenset[State]] = {
    "prepare": frozenset({State.NEW}),
    "inject": frozenset({State.PREPARED}),
    "prove_effect": frozenset({State.HURT}),
    "heal": frozenset({State.HURT, State.HEALED, State.UNHEALED}),
    "prove_healed": frozenset({State.HEALED}),
    "clean": frozenset({State.NEW, State.PREPARED, State.RESTORED}),
}
LOCK_LIMIT_S = 10.0
ERRORS = (MaulError, OSError)


class FaultRun:
    """Drives one fault through its life and remembers what happened.

    Not thread-safe: one thread drives one fault.
    """

    def __init__(
        self,
        fault: Fault,
        target: Target,
        journal: UndoJournal,
        clock: Clock,
        allow_irreversible: bool = False,
    ) -> None:
        """Nothing is touched yet."""
        self.fault, self.target = fault, target
        self.state = State.NEW
        self.effect = Proof(False, "not injected")
        self.healing = Proof(False, "not healed")
        self.began_ns: int | None = None
        self.healed_ns: int | None = None
        self._journal, self._clock, self._allow_irreversible = journal, clock, allow_irreversible
        self._entry: Entry | None = None
        self._undo: Undo | None = None

    @property
    def may_be_hurt(self) -> bool:
        """Whether something may be hurt right now."""
        return self.state in (State.HURT, State.HEALED, State.UNHEALED)

    def prepare(self) -> None:
        """NEW → PREPARED. Raises what the fault raises; then nothing was done."""
        self._must("prepare")
        if self.fault.undo_kind is UndoKind.IRREVERSIBLE and not self._allow_irreversible:
            raise CampaignError(
                f"{self.fault.name} cannot be undone",
                self.target.service,
                "say allow_irreversible if it is meant",
            )
        self._undo = self.fault.prepare()
        self.state = State.PREPARED

    def inject(self, hold_s_max: float) -> str:
        """PREPARED → HURT: undo to disk, then harm.

        `hold_s_max` from now on the dead-man helper heals by itself.

        Raises MachineError when the journal cannot be written (still PREPARED), or what the fault raises
        (HURT: heal).
        """
        self._must("inject")
        if self._undo is None:
            raise InternalError("inject without prepare")
        now_ns = self._clock.now_ns()
        deadline_ns = now_ns + int(hold_s_max * 1e9)
        self._entry = self._journal.record(self.fault.name, self.target.service, self._undo, deadline_ns)
        self.state, self.began_ns = State.HURT, now_ns
        self.effect = Proof(False, "the effect was not looked at")
        return self.fault.inject()

    def prove_effect(self) -> Proof:
        """HURT stays HURT. An error while looking is no proof, and says why."""
        self._must("prove_effect")
        try:
            self.effect = self.fault.prove_effect()
        except ERRORS as error:
            self.effect = Proof(False, f"could not look at the effect: {_says(error)}")
        return self.effect

    def heal(self) -> str:
        """HURT, HEALED or UNHEALED → HEALED.

        Raises what the fault raises (UNHEALED: try again, or `maul heal`).
        """
        self._must("heal")
        self.state = State.UNHEALED
        with self._journal.lock(LOCK_LIMIT_S):  # the dead-man helper may be healing it at this moment
            says = self.fault.heal()
        self.state = State.HEALED
        return says

    def prove_healed(self) -> Proof:
        """HEALED → RESTORED and struck from the journal; or UNHEALED, and it stays in the journal."""
        self._must("prove_healed")
        try:
            self.healing = self.fault.prove_healed()
        except ERRORS as error:
            self.healing = Proof(False, f"could not look whether it is healed: {_says(error)}")
        if not self.healing.proven:
            self.state = State.UNHEALED
            return self.healing
        self.state, self.healed_ns = State.RESTORED, self._clock.now_ns()
        if self._entry is not None:
            try:
                self._journal.done(self._entry.id, self.healing.says)
            except ERRORS as error:  # it is healed; undoing it once more would be harmless
                self.healing = Proof(True, f"{self.healing.says}; the journal could not be told: {_says(error)}")
        return self.healing

    def clean(self) -> None:
        """NEW, PREPARED or RESTORED → CLEAN."""
        self._must("clean")
        self.fault.clean()
        self.state = State.CLEAN

    def finish(self, attempts: int = 3) -> State:
        """From wherever it is to CLEAN, in at most `attempts` healings.

        For `finally`: raises nothing of ours.

        Answers CLEAN; or UNHEALED when it could not be healed (exit 6); or RESTORED when only the cleaning
        failed.
        """
        for _ in range(attempts):
            if not self.may_be_hurt:
                break
            try:
                if self.state is not State.HEALED:
                    self.heal()
                self.prove_healed()
            except ERRORS as error:
                self.healing = Proof(False, _says(error))
        if self.state in LEGAL["clean"]:
            try:
                self.clean()
            except ERRORS as error:
                self.healing = Proof(self.healing.proven, f"{self.healing.says}; not cleaned up: {_says(error)}")
        return self.state

    def require_healed(self) -> None:
        """UnhealedError when something may still be hurt."""
        if self.may_be_hurt:
            raise UnhealedError(
                f"{self.fault.name} of {self.target.service} is not healed: {self.healing.says}",
                str(self._journal.path),
                "run: maul heal",
            )

    def summary(self) -> FaultSummary:
        """For `summary.json`."""
        return FaultSummary(
            name=self.fault.name,
            target=self.target.service,
            began_ns=self.began_ns or self._clock.now_ns(),
            healed_ns=self.healed_ns,
            proven=self.effect.proven,
            healed=self.state in (State.RESTORED, State.CLEAN),
            effect=self.effect.says,
            undo=f"{self.fault.undo_kind}: {self.healing.says}",
        )

    def _must(self, act: str) -> None:
        if self.state not in LEGAL[act]:
            raise InternalError(f"{act} of a fault that is {self.state.value}", self.fault.name)


def _says(error: BaseException) -> str:
    return error.message.replace("\n  ", "; ") if isinstance(error, MaulError) else str(error)
