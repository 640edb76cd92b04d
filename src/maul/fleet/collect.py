"""What agents kept of a run whose conductor is gone, to complete the run's record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from maul.core.generator import Drained
from maul.fleet.batch import BatchError, decode
from maul.fleet.merge import merge
from maul.fleet.spool import Spool

_ROUNDS_MAX = 100_000
_BYTES_AT_ONCE = 32 << 20


class Keeper(Protocol):
    """Where batches of one agent are kept: on its machine, behind a `Fleet`, or in a folder of this one."""

    def spooled(self, run: str) -> Mapping[str, Mapping[str, Any]]:
        """Engines of a run, and what is known about each."""
        ...

    def fetch(self, run: str, engine: str, after: int) -> list[tuple[int, bytes]]:
        """Some batches behind that one, by number; none: that was all."""
        ...

    def forget(self, run: str, engine: str) -> None:
        """They are in the record."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What one engine of one agent had that the conductor never acknowledged, on that conductor's clock.

    `about`: what the conductor said about the engine (`phase` …). `batches`: each is what a second or so brought;
    those that the conductor had received, but not acknowledged, are among them. `damaged`: batches that cannot be
    read. Say `forget` when all is in the record; until then it is kept, and given again.
    """

    agent: str
    engine: str
    about: Mapping[str, Any]
    batches: Sequence[Drained]
    damaged: int
    _keeper: Keeper
    _run: str

    def forget(self) -> None:
        """It is in the record."""
        self._keeper.forget(self._run, self.engine)


@dataclass(frozen=True, slots=True)
class FolderKeeper:
    """The files of an agent that was a process of this machine."""

    folder: Path

    def spooled(self, run: str) -> Mapping[str, Mapping[str, Any]]:
        """As `Keeper`."""
        spool = self._spool
        return {name: kept.about() for name in spool.engines(run) if (kept := spool.engine(run, name))}

    def fetch(self, run: str, engine: str, after: int) -> list[tuple[int, bytes]]:
        """As `Keeper`."""
        kept = self._spool.engine(run, engine)
        return kept.after(after, _BYTES_AT_ONCE) if kept is not None else []

    def forget(self, run: str, engine: str) -> None:
        """As `Keeper`."""
        self._spool.drop(run, engine)

    @property
    def _spool(self) -> Spool:
        return Spool(self.folder / "spool")


def collect(keepers: Mapping[str, Keeper], run: str) -> Iterator[Kept]:
    """Engine by engine, from each agent by name. MachineError when an agent does not answer."""
    for agent, keeper in keepers.items():
        for engine, about in keeper.spooled(run).items():
            batches: list[Drained] = []
            damaged = last = 0
            for _ in range(_ROUNDS_MAX):
                found = keeper.fetch(run, engine, last)
                if not found:
                    break
                for number, content in found:
                    last = number
                    try:
                        batches.append(merge([(decode(content), _whole(about.get("ahead_ns")))]))
                    except BatchError:
                        damaged += 1
            if batches or damaged:
                yield Kept(agent, engine, about, batches, damaged, keeper, run)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
