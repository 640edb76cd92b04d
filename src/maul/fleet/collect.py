"""What agents kept of a run whose conductor is gone: fetched, to complete the run's record."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from maul.core.generator import Drained
from maul.fleet.batch import BatchError, decode
from maul.fleet.connection import Fleet
from maul.fleet.merge import merge

ROUNDS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Kept:
    """What one engine of one agent had that the record lacks, on the clock of the conductor that lost it.

    `first` and `last`: numbers of its batches. `complete`: nothing of it was damaged. Say `forget` when it is in the
    record; until then the agent keeps it, and `collect` gives it again.
    """

    agent: str
    engine: str
    first: int
    last: int
    complete: bool
    drained: Drained
    forget: Callable[[], None]


def collect(fleet: Fleet, run: str, progress: Mapping[str, int] | None = None) -> Iterator[Kept]:
    """Fetch from every agent that passed the pre-flight; engine by engine.

    `progress`: by engine, the last batch that the record has already (`FleetGenerator.progress`). MachineError when an
    agent does not answer; what was given before is good.
    """
    known = progress or {}
    for agent in fleet.ready():
        for engine, about in fleet.spooled(agent, run).items():
            ahead_ns = _whole(about.get("ahead_ns"))
            batches, complete = [], True
            first = last = known.get(engine, 0)
            for _ in range(ROUNDS_MAX):
                found = fleet.fetch(agent, run, engine, last)
                if not found:
                    break
                for number, content in found:
                    try:
                        batches.append((decode(content), ahead_ns))
                    except BatchError:
                        complete = False
                    complete &= number == last + 1 or last == 0
                    first, last = first or number, number
            if batches or not complete:
                yield Kept(agent, engine, first, last, complete, merge(batches), _forgetter(fleet, agent, run, engine))


def _forgetter(fleet: Fleet, agent: str, run: str, engine: str) -> Callable[[], None]:
    return lambda: fleet.forget(agent, run, engine)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
