"""Undoing: look at what is there, decide purely, act. Every step is idempotent: undoing twice is harmless.

Undo happens on the machine where the harm was done, so files are looked at directly; processes go through
`Host`.
"""

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from maul.core.clock import Clock
from maul.core.errors import MachineError, MaulError
from maul.hosts.enter import GONE_WORDS, enter_argv
from maul.hosts.holders import living_holders
from maul.hosts.host import Host, ProcessId, SpawnSpec
from maul.hosts.journal import Entry, UndoJournal
from maul.hosts.namespace import dwellers
from maul.hosts.pidfile import Pidfile, parse_pidfile, read_pidfile
from maul.hosts.undo_kinds import (
    SingleUndo,
    Undo,
    UndoKill,
    UndoRemove,
    UndoRun,
    UndoSeries,
    UndoSignal,
    UndoSpawn,
    UndoVacate,
)

POLL_S = 0.02
SETTLE_S = 0.5  # a program that cannot run (port taken, bad option) is gone by then
RUN_LIMIT_S = 10.0
KILL_WAIT_S = 5.0  # after SIGKILL; only a process stuck in the kernel (state D) takes longer


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found.

    `living` and `dead` are the services whose pidfiles were read; `unreadable` names the others. `dwellers` live in
    namespaces that are ours. `signal_target_lives`: also of the holder with which a command is run.
    """

    living: tuple[Pidfile, ...] = ()
    dead: tuple[Pidfile, ...] = ()
    unreadable: tuple[str, ...] = ()
    dwellers: tuple[ProcessId, ...] = ()
    signal_target_lives: bool = False
    marked: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """It is as it was already."""

    says: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Acting could hurt somebody else."""

    says: str


@dataclass(frozen=True, slots=True)
class Watch:
    """It lives; make sure that it is not just dying (SIGKILL returns before its victim is gone)."""

    named: Pidfile


@dataclass(frozen=True, slots=True)
class Start:
    """Start this process again."""

    spec: SpawnSpec


@dataclass(frozen=True, slots=True)
class Send:
    """Send a signal."""

    process: ProcessId
    signal_number: int


@dataclass(frozen=True, slots=True)
class End:
    """Ask these processes to end, then kill them.

    `problems`: what could not be understood; then it is not done.
    """

    processes: tuple[ProcessId, ...]
    grace_s: float
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clear:
    """Remove these names from a directory, in this order; then the directory, if it is empty."""

    directory: Path
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enter:
    """Run a command in the namespaces of a holder."""

    holder: ProcessId
    argv: tuple[str, ...]


Action = Nothing | Refuse | Watch | Start | Send | End | Clear | Enter


@dataclass(frozen=True, slots=True)
class Undone:
    """What became of one entry."""

    entry: Entry
    done: bool
    says: str


def decide(undo: SingleUndo, facts: Facts) -> Action:  # noqa: PLR0911 — one for each kind
    """What has to be done to undo, given what was found. Pure."""
    match undo:
        case UndoSpawn(pidfile):
            return _decide_spawn(pidfile, facts)
        case UndoSignal(process, number):
            if not facts.signal_target_lives:
                return Nothing(f"process {process.pid} is gone: there is nothing to signal")
            return Send(process, number)
        case UndoKill(_, grace_s):
            if not facts.living and not facts.unreadable:
                return Nothing("no process is left")
            problems = tuple(f"{name} cannot be read" for name in facts.unreadable)
            return End(tuple(named.process for named in facts.living), grace_s, problems)
        case UndoVacate(_, grace_s):
            return _decide_vacate(grace_s, facts)
        case UndoRun(holder, argv):
            if not facts.signal_target_lives:
                return Nothing(f"process {holder.pid} is gone, and with it the namespaces that it held")
            return Enter(holder, argv)
        case UndoRemove(directory, marker, names):
            return _decide_remove(directory, marker, names, facts)
        case _:
            assert_never(undo)


def _decide_spawn(pidfile: Path, facts: Facts) -> Action:
    if facts.living:
        return Watch(facts.living[0])
    if facts.unreadable:
        return Refuse(f"{pidfile} cannot be read: it is not known what to start")
    if not facts.dead:
        return Nothing(f"{pidfile.stem} was taken down since: its pidfile is gone")
    return Start(facts.dead[0].spec)


def _decide_vacate(grace_s: float, facts: Facts) -> Action:
    if not facts.living and not facts.dwellers and not facts.unreadable:
        return Nothing("nobody holds a namespace")
    # The holders last: while one lives, whoever is left in its namespace can be found again.
    holders = tuple(named.process for named in facts.living)
    others = tuple(process for process in facts.dwellers if process not in holders)
    return End((*others, *holders), grace_s, tuple(f"{name} cannot be read" for name in facts.unreadable))


def _decide_remove(directory: Path, marker: str, names: tuple[str, ...], facts: Facts) -> Action:
    if facts.marked:
        return Clear(directory, (*names, marker))
    left = sorted(set(names) & set(facts.names))
    if left:
        return Refuse(f"{directory} holds {', '.join(left)} but no {marker}: it may not be ours, so it stays")
    return Nothing(f"{directory} is removed already")


def look(host: Host, undo: SingleUndo) -> Facts:
    """Find out what `decide` needs to know. Changes nothing."""
    match undo:
        case UndoSpawn(pidfile):
            return _look_at_pidfiles(host, [pidfile])
        case UndoSignal(process, _) | UndoRun(process, _):
            return Facts(signal_target_lives=host.process(process) is not None)
        case UndoKill(pidfiles, _):
            return _look_at_pidfiles(host, sorted(pidfiles.glob("*.json")))
        case UndoVacate(holders, _):
            inodes = frozenset(holder.net for holder in living_holders(host, holders))
            found = _look_at_pidfiles(host, sorted(holders.glob("*.json")))
            return replace(found, dwellers=dwellers(inodes) if inodes else ())
        case UndoRemove(directory, marker, _):
            if directory.is_symlink() or not directory.is_dir():
                return Facts()
            return Facts(
                marked=(directory / marker).is_file(),
                names=tuple(path.name for path in directory.iterdir()),
            )
        case _:
            assert_never(undo)


def _look_at_pidfiles(host: Host, paths: list[Path]) -> Facts:
    living: list[Pidfile] = []
    dead: list[Pidfile] = []
    unreadable: list[str] = []
    for path in paths:
        content = host.read_bytes(path)
        if content is None:
            continue
        try:
            named = parse_pidfile(path, content)
        except MachineError:
            unreadable.append(str(path))
            continue
        (dead if host.process(named.process) is None else living).append(named)
    return Facts(tuple(living), tuple(dead), tuple(unreadable))


def act(host: Host, clock: Clock, action: Action) -> tuple[bool, str]:  # noqa: PLR0911 — one for each kind
    """Do it. Whether it is undone now, and one line that says so. Bounded in time."""
    match action:
        case Nothing(says) | Refuse(says):
            return isinstance(action, Nothing), says
        case Watch(named):
            return _watch(host, clock, named)
        case Start(spec):
            return _start(host, clock, spec)
        case Send(process, number):
            sent = host.signal(process, number)
            return True, f"sent {signal.Signals(number).name}" if sent else "the process is gone"
        case End(processes, grace_s, problems):
            return _end(host, clock, processes, grace_s, problems)
        case Clear(directory, names):
            return _clear(directory, names)
        case Enter(holder, argv):
            return _enter(host, holder, argv)
        case _:
            assert_never(action)


def _start(host: Host, clock: Clock, spec: SpawnSpec) -> tuple[bool, str]:
    process = host.spawn(spec)
    if not _stays(host, clock, process):
        return False, f"{spec.argv[0]} ended at once after its restart; its log is {spec.log}"
    return True, f"started again as process {process.pid}"


def _watch(host: Host, clock: Clock, named: Pidfile) -> tuple[bool, str]:
    if _stays(host, clock, named.process):
        return True, f"{named.path.stem} runs already (process {named.process.pid})"
    return _start(host, clock, named.spec)


def _stays(host: Host, clock: Clock, process: ProcessId) -> bool:
    for _ in range(round(SETTLE_S / POLL_S)):
        clock.wait(POLL_S)
        if host.process(process) is None:
            return False
    return True


def _end(
    host: Host, clock: Clock, processes: tuple[ProcessId, ...], grace_s: float, problems: tuple[str, ...]
) -> tuple[bool, str]:
    for process in processes:
        host.signal(process, signal.SIGTERM)
    _wait_gone(host, clock, processes, grace_s)
    for process in processes:
        host.signal(process, signal.SIGKILL)  # does nothing to those that are gone
    left = _wait_gone(host, clock, processes, KILL_WAIT_S)
    troubles = [*problems, *(f"process {process.pid} does not die" for process in left)]
    return not troubles, "; ".join(troubles) or f"ended {len(processes)} processes"


def _wait_gone(host: Host, clock: Clock, processes: tuple[ProcessId, ...], limit_s: float) -> list[ProcessId]:
    left = list(processes)
    for _ in range(max(1, round(limit_s / POLL_S))):
        left = [process for process in left if host.process(process) is not None]
        if not left:
            break
        clock.wait(POLL_S)
    return left


def _clear(directory: Path, names: tuple[str, ...]) -> tuple[bool, str]:
    try:
        for name in names:
            path = directory / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if not any(directory.iterdir()):
            directory.rmdir()
    except OSError as error:
        return False, f"cannot remove {error.filename}: {error.strerror}"
    return True, f"removed {directory}"


def _enter(host: Host, holder: ProcessId, argv: tuple[str, ...]) -> tuple[bool, str]:
    done = host.run(enter_argv(holder, Path("/"), argv), RUN_LIMIT_S)
    if done.code == 0 or GONE_WORDS.encode() in done.stderr:
        return True, f"ran {argv[0]} in there"
    says = done.stderr.decode(errors="replace").strip()[-300:]
    return False, f"{' '.join(argv)[:200]}: {says or f'ended with {done.code}'}"


def perform(host: Host, clock: Clock, undo: Undo) -> tuple[bool, str]:
    """Look, decide, act. Whether it is undone now, and one line that says so."""
    singles = undo.undos if isinstance(undo, UndoSeries) else (undo,)
    said = []
    for single in singles:
        done, says = act(host, clock, decide(single, look(host, single)))
        if not done:
            return False, says
        said.append(says)
    return True, "; ".join(said)


def undo_pending(
    journal: UndoJournal,
    host: Host,
    clock: Clock,
    budget_s: float,
    due: Callable[[Entry], bool] | None = None,
) -> list[Undone]:
    """Undo every pending entry that is `due`, newest first, within `budget_s`; write what is done into the
    journal.

    An older entry of a target waits for the newer ones of that target: a directory is not removed while a
    process that runs in it could not be ended. Never raises for one entry: what failed is in the answer and
    stays pending.
    """
    until_ns = clock.now_ns() + int(budget_s * 1e9)
    results: list[Undone] = []
    blocked: set[str] = set()
    for entry in reversed(journal.pending()):
        if due is not None and not due(entry):
            continue
        if entry.target in blocked:
            result = Undone(entry, False, "waits for a later harm to the same target, which is not undone")
        elif clock.now_ns() >= until_ns:
            result = Undone(entry, False, f"no time left ({budget_s:g} s)")
        else:
            result = undo_one(journal, entry, host, clock, (until_ns - clock.now_ns()) / 1e9)
        if not result.done:
            blocked.add(entry.target)
        results.append(result)
    return results


def undo_one(journal: UndoJournal, entry: Entry, host: Host, clock: Clock, lock_timeout_s: float) -> Undone:
    """Undo one entry under the journal's lock, unless somebody else did meanwhile.

    Never raises MaulError or OSError.
    """
    try:
        with journal.lock(lock_timeout_s):
            if entry not in journal.pending():  # also when the whole journal was done with, and removed
                return Undone(entry, True, "undone already")
            done, says = perform(host, clock, entry.undo)
            if done:
                journal.done(entry.id, says)
            return Undone(entry, done, says)
    except MaulError as error:
        return Undone(entry, False, error.message)
    except OSError as error:
        return Undone(entry, False, str(error))


def pidfiles_in(host: Host, directory: Path) -> Iterator[Pidfile]:
    """Every readable pidfile of a directory, by name."""
    for path in sorted(directory.glob("*.json")):
        try:
            found = read_pidfile(host, path)
        except MachineError:
            continue
        if found is not None:
            yield found
