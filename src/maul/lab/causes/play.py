"""One cause, played: what it does to the lab, and its life: begun, ended, and ended by whoever comes after a crash."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from maul.core.clock import SystemClock
from maul.core.errors import CampaignError, UnhealedError
from maul.hosts.deadman import DeadMan
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.undo import undo_pending
from maul.lab.causes.stage import Act, Stage

PLAYED = Path("run", "plays")
"""A journal for each play that is on, in the lab's directory."""
_BUDGET_S = 20.0


@dataclass(frozen=True, slots=True)
class Orders:
    """How to play it: `strength` in the unit of the play (0: its own), `where`: hosts or racks (none: its own)."""

    strength: float = 0.0
    where: tuple[str, ...] = ()
    variant: str = ""


Acts = Callable[[Stage, Orders], Iterable[Act]]
"""What is changed, one after the other; each looks at the lab when its turn comes."""


@dataclass(frozen=True)
class Play:
    """One cause. `unit` of its strength, empty: it has none; `variants`: the first is the default."""

    cause: str
    says: str
    acts: Acts
    unit: str = ""
    strength: float = 0.0
    where: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("",)

    def begin(self, directory: Path, orders: Orders = Orders()) -> None:
        """Play it in the lab in `directory`, until `end`. What is on already is ended before.

        Raises:
            CampaignError: an order that this play does not know.
            MachineError: no lab with a border is up there, or the kernel refused; then all of it is taken back.
            UnhealedError: taking back failed.
        """
        whole = self._whole(orders)
        self.end(directory)
        stage = Stage.of(directory)
        self._perform(UndoJournal(self._path(directory)), stage, whole)

    def end(self, directory: Path) -> bool:
        """Take back what was changed. Whether anything was on. UnhealedError when something cannot be taken back."""
        journal = UndoJournal(self._path(directory))
        was_on = bool(journal.pending())
        _take_back(journal)
        return was_on

    @contextmanager
    def held(self, directory: Path, orders: Orders = Orders()) -> Iterator[None]:
        """Played for the length of the block; also a kill -9 of this process ends it."""
        whole = self._whole(orders)
        self.end(directory)
        stage = Stage.of(directory)
        with DeadMan.arm(UndoJournal(self._path(directory))) as deadman:
            self._perform(deadman.journal, stage, whole)
            yield

    def _perform(self, journal: UndoJournal, stage: Stage, orders: Orders) -> None:
        try:
            for act in self.acts(stage, orders):
                journal.record(f"lab.play.{self.cause}", self.cause, act.undo)
                act.do()
        except BaseException:
            _take_back(journal)
            raise

    def _whole(self, orders: Orders) -> Orders:
        if orders.strength and not self.unit:
            raise CampaignError(f"{self.cause} has no strength")
        if orders.strength < 0:
            raise CampaignError(f"a strength of {orders.strength:g} cannot be", cure=f"{self.cause}: {self.unit}")
        if orders.where and not self.where:
            raise CampaignError(f"{self.cause} is always played at the same place")
        variant = orders.variant or self.variants[0]
        if variant not in self.variants:
            known = ", ".join(filter(None, self.variants))
            raise CampaignError(
                f"{self.cause} has no variant {orders.variant!r}", cure=f"there are {known}" if known else ""
            )
        return replace(
            orders, strength=orders.strength or self.strength, where=orders.where or self.where, variant=variant
        )

    def _path(self, directory: Path) -> Path:
        return directory / PLAYED / f"{self.cause}.jsonl"


def playing(directory: Path) -> Sequence[str]:
    """Causes that are on in a lab, or half begun."""
    paths = sorted((directory / PLAYED).glob("*.jsonl"))
    return tuple(path.stem for path in paths if UndoJournal(path).pending())


def end_all(directory: Path) -> Sequence[str]:
    """Take back everything that is on; which that were. UnhealedError when something cannot be taken back."""
    on = playing(directory)
    with contextlib.ExitStack() as stack:  # one that fails does not keep the others
        for cause in on:
            stack.callback(_take_back, UndoJournal(directory / PLAYED / f"{cause}.jsonl"))
    return on


def _take_back(journal: UndoJournal) -> None:
    results = undo_pending(journal, LocalHost(), SystemClock(), _BUDGET_S)
    left = [result.says for result in results if not result.done]
    if left:
        raise UnhealedError("; ".join(left), str(journal.path), "run: maul lab play --end; or take the lab down")
    journal.retire()
