"""`maul heal`: finish what a journal says is pending, at any time, after any crash."""

from dataclasses import dataclass
from pathlib import Path

from maul.core.clock import Clock
from maul.hosts.host import Host, ProcessId
from maul.hosts.journal import UndoJournal
from maul.hosts.undo import Undone, undo_pending


@dataclass(frozen=True, slots=True)
class HealReport:
    """What became of one journal.

    `in_use_by`: its owner lives and heals for itself, so nothing was touched.
    """

    journal: Path
    healed: tuple[Undone, ...]
    unhealed: tuple[Undone, ...]
    damaged_lines: int
    in_use_by: ProcessId | None = None

    @property
    def all_healed(self) -> bool:
        """Whether nothing is pending, as far as the journal can be read.

        A journal in use is not our business.
        """
        return not self.unhealed


def heal(journal_path: Path, host: Host, clock: Clock, budget_s: float = 60.0, force: bool = False) -> HealReport:
    """Undo everything pending in one journal, newest first.

    The journal is removed when nothing is left in it.

    A journal whose owner still lives is left alone unless `force`: healing would end the experiment under its
    feet, and an embedded lab with it. Raises MachineError only when the journal cannot be read at all.
    """
    journal = UndoJournal(journal_path, clock)
    contents = journal.contents()
    if contents.owner is not None and not force and host.process(contents.owner) is not None:
        return HealReport(journal_path, (), (), contents.damaged_lines, contents.owner)
    results = undo_pending(journal, host, clock, budget_s)
    healed = tuple(result for result in results if result.done)
    unhealed = tuple(result for result in results if not result.done)
    if not unhealed and not contents.damaged_lines:
        journal.retire()
    return HealReport(journal_path, healed, unhealed, contents.damaged_lines)


def journals_in(directory: Path) -> list[Path]:
    """Every journal of a directory, oldest name first; an absent directory has none."""
    return sorted(directory.glob("*.jsonl"))
