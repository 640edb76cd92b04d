"""The contract of a fault."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from maul.hosts.undo_kinds import Undo


class UndoKind(StrEnum):
    """What healing means for a kind of fault."""

    REVERSE = "reverse"  # take back exactly what was done: SIGCONT after SIGSTOP
    RESTART = "restart"  # start again what was ended
    HEAL_AND_VERIFY = "heal-and-verify"  # the cluster must repair itself; putting old bytes back would be a new fault
    IRREVERSIBLE = "irreversible"  # only when the author asked for it


@dataclass(frozen=True, slots=True)
class Target:
    """One service. `answers` asks its health once, within a second or so, and never raises."""

    service: str
    pidfile: Path
    answers: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether something was seen to be so, and the evidence in one line."""

    proven: bool
    says: str


class Fault(Protocol):
    """One harm to one target.

    A fault must not write the journal, decide when to heal, or hurt anything but its target: `FaultRun` and
    the conductor do. It must not call itself effective because its act returned: `prove_effect` looks from
    outside. Every method is bounded in time and may raise MaulError.
    """

    name: str
    undo_kind: UndoKind

    def prepare(self) -> Undo:
        """Look at the target, refuse what cannot work (MaulError), say how to put back what is found."""
        ...

    def inject(self) -> str:
        """Do the harm; one line of what was done. Called after the undo is on disk. May fail half done."""
        ...

    def prove_effect(self) -> Proof:
        """Look from outside whether the target is really hurt."""
        ...

    def heal(self) -> str:
        """Put back. Idempotent: it may have been healed by the dead-man helper already."""
        ...

    def prove_healed(self) -> Proof:
        """Look from outside whether the target is as it was found."""
        ...

    def clean(self) -> None:
        """Let go of what `prepare` made. Not of the target's own state."""
        ...
