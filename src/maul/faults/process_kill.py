"""Kill one service's process with SIGKILL: the crash that no handler softens. Healed by starting it again."""

import signal

from maul.core.clock import Clock
from maul.core.errors import TargetError, UnhealedError
from maul.faults.fault import Proof, Target, UndoKind
from maul.faults.waiting import wait_until
from maul.hosts.host import Host
from maul.hosts.pidfile import Pidfile, read_pidfile
from maul.hosts.undo import perform
from maul.hosts.undo_kinds import Undo, UndoSpawn

EFFECT_LIMIT_S = 5.0
HEALED_LIMIT_S = 30.0


class ProcessKill:
    """SIGKILL to the process that the pidfile names. Satisfies `Fault`."""

    name = "process.kill"
    undo_kind = UndoKind.RESTART

    def __init__(self, target: Target, host: Host, clock: Clock) -> None:
        """Nothing is looked at yet."""
        self._target, self._host, self._clock = target, host, clock
        self._found: Pidfile | None = None
        self._sent = False

    def prepare(self) -> Undo:
        """TargetError when the service does not run and answer: then a kill could be neither proven nor
        healed.
        """
        self._found = running_service(self._target, self._host)
        return UndoSpawn(self._target.pidfile)

    def inject(self) -> str:
        """Kill exactly the process that `prepare` found."""
        victim = self._prepared().process
        if not self._host.signal(victim, signal.SIGKILL):
            raise TargetError(f"process {victim.pid} was gone before it could be killed", self._target.service)
        self._sent = True
        return f"killed process {victim.pid}"

    def prove_effect(self) -> Proof:
        """The process is gone and the service's health does not answer any more."""
        victim = self._prepared().process

        def looks() -> Proof:
            gone = self._host.process(victim) is None
            silent = not self._target.answers()
            says = f"process {victim.pid} is {'gone' if gone else 'alive'}"
            return Proof(gone and silent, f"{says}, its health {'does not answer' if silent else 'answers'}")

        return wait_until(self._clock, EFFECT_LIMIT_S, looks)

    def heal(self) -> str:
        """Start it again as its pidfile tells, unless it runs."""
        if self._sent:  # a process that is just dying must not pass for one that needs no restart
            wait_until(self._clock, EFFECT_LIMIT_S, self._looks_gone)
        undo = UndoSpawn(self._target.pidfile)
        done, says = perform(self._host, self._clock, undo)
        if not done:
            raise UnhealedError(says, self._target.service, "start it by hand; its log says why it does not run")
        return says

    def prove_healed(self) -> Proof:
        """A process (another one, if one was killed) stands in the pidfile, lives, and the health answers."""
        victim = self._prepared().process

        def looks() -> Proof:
            now = read_pidfile(self._host, self._target.pidfile)
            if now is None or (self._sent and now.process == victim) or self._host.process(now.process) is None:
                return Proof(False, "no process runs in its place")
            if not self._target.answers():
                return Proof(False, f"process {now.process.pid} runs, its health does not answer")
            return Proof(True, f"process {now.process.pid} runs and its health answers")

        return wait_until(self._clock, HEALED_LIMIT_S, looks)

    def clean(self) -> None:
        """Nothing was made."""

    def _looks_gone(self) -> Proof:
        victim = self._prepared().process
        return Proof(self._host.process(victim) is None, f"process {victim.pid}")

    def _prepared(self) -> Pidfile:
        if self._found is None:
            raise TargetError("this fault was not prepared", self._target.service)
        return self._found


def running_service(target: Target, host: Host) -> Pidfile:
    """The service's pidfile, when its process lives and its health answers; else TargetError."""
    found = read_pidfile(host, target.pidfile)
    if found is None:
        raise TargetError("there is no pidfile: it is not known which process to hurt", str(target.pidfile))
    if host.process(found.process) is None:
        raise TargetError(
            f"{target.service} does not run (process {found.process.pid} is gone)",
            cure="hurting what is down already proves nothing; mend it first",
        )
    if not target.answers():
        raise TargetError(f"{target.service} runs but does not answer", cure="mend it first")
    return found
