"""Pause one service's process with SIGSTOP: a gray failure.

The kernel still takes its connections; nobody answers.
"""

import signal

from maul.core.clock import Clock
from maul.core.errors import TargetError, UnhealedError
from maul.faults.fault import Proof, Target, UndoKind
from maul.faults.process_kill import running_service
from maul.faults.waiting import wait_until
from maul.hosts.host import Host, ProcessId
from maul.hosts.undo import perform
from maul.hosts.undo_kinds import Undo, UndoSignal

EFFECT_LIMIT_S = 5.0
HEALED_LIMIT_S = 30.0
STOPPED = frozenset("Tt")


class ProcessPause:
    """SIGSTOP to the process that the pidfile names, SIGCONT to the same process. Satisfies `Fault`."""

    name = "process.pause"
    undo_kind = UndoKind.REVERSE

    def __init__(self, target: Target, host: Host, clock: Clock) -> None:
        """Nothing is looked at yet."""
        self._target, self._host, self._clock = target, host, clock
        self._victim: ProcessId | None = None

    def prepare(self) -> Undo:
        """TargetError when the service does not run and answer, which a process that is stopped already does
        not.
        """
        self._victim = running_service(self._target, self._host).process
        return self._undo()

    def inject(self) -> str:
        """Stop exactly the process that `prepare` found."""
        victim = self._prepared()
        if not self._host.signal(victim, signal.SIGSTOP):
            raise TargetError(f"process {victim.pid} was gone before it could be stopped", self._target.service)
        return f"stopped process {victim.pid}"

    def prove_effect(self) -> Proof:
        """The kernel says that the process is stopped (state T)."""
        victim = self._prepared()

        def looks() -> Proof:
            state = self._host.process(victim)
            letter = "gone" if state is None else state.letter
            return Proof(letter in STOPPED, f"process {victim.pid} is in state {letter}")

        return wait_until(self._clock, EFFECT_LIMIT_S, looks)

    def heal(self) -> str:
        """Let it go on, if it still is the same process."""
        undo = self._undo()
        done, says = perform(self._host, self._clock, undo)
        if not done:
            raise UnhealedError(says, self._target.service, f"run: kill -CONT {undo.process.pid}")
        return says

    def prove_healed(self) -> Proof:
        """The same process runs, is not stopped, and the service's health answers."""
        victim = self._prepared()

        def looks() -> Proof:
            state = self._host.process(victim)
            if state is None:
                return Proof(False, f"process {victim.pid} is gone: it did not survive its pause")
            if state.letter in STOPPED:
                return Proof(False, f"process {victim.pid} is still stopped")
            if not self._target.answers():
                return Proof(False, f"process {victim.pid} runs, its health does not answer")
            return Proof(True, f"process {victim.pid} runs and its health answers")

        return wait_until(self._clock, HEALED_LIMIT_S, looks)

    def clean(self) -> None:
        """Nothing was made."""

    def _undo(self) -> UndoSignal:
        return UndoSignal(self._prepared(), signal.SIGCONT)

    def _prepared(self) -> ProcessId:
        if self._victim is None:
            raise TargetError("this fault was not prepared", self._target.service)
        return self._victim
