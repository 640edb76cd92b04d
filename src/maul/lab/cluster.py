"""The lab as a whole: up, status, down, and an embedded lab that dies with maul."""

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from maul.core.clock import SystemClock
from maul.core.errors import CampaignError, MachineError, UnhealedError
from maul.hosts.deadman import DeadMan
from maul.hosts.holders import HOLDERS
from maul.hosts.journal import Entry, UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.locking import locked
from maul.hosts.own_place import own_place
from maul.hosts.places import journal_directory
from maul.hosts.undo import perform, pidfiles_in, undo_one
from maul.hosts.undo_kinds import SingleUndo, Undo, UndoKill, UndoRemove, UndoSeries, UndoVacate
from maul.lab import state
from maul.lab.bringup import Bringup, OnStep, check_config, check_room, write_files
from maul.lab.customers import customers_status, start_customers
from maul.lab.ground import standing
from maul.lab.health import RoleStatus, check_all
from maul.lab.layout import LOGS, MADE, MARKER, LabLayout, Programs
from maul.lab.net_build import NetBuild
from maul.lab.net_preflight import namespace_door
from maul.lab.placement import Wired
from maul.lab.programs import find_programs
from maul.lab.wiring import Wiring

GRACE_S = 1.5  # SeaweedFS' filer takes 15 s to end by itself; its data is thrown away, so it is not waited for
UNDO_LIMIT_S = 20.0
THIS_LAB = "this lab"


def _silent(says: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class DownReport:
    """What taking a lab down found and did."""

    directory: Path
    found: bool
    processes_ended: int
    says: str


@dataclass(frozen=True)
class Lab:
    """A lab that is up."""

    layout: LabLayout

    @property
    def directory(self) -> Path:
        """The lab's own directory."""
        return self.layout.directory

    @property
    def site_path(self) -> Path:
        """The site.yaml that describes this lab to a campaign."""
        return self.layout.site_path

    @property
    def url(self) -> str:
        """The customers' HTTPS endpoint."""
        return self.layout.url

    def status(self) -> list[RoleStatus]:
        """The health of every role, asked of the role itself."""
        return _status(self.layout)

    def down(self) -> DownReport:
        """End every process and remove every file but the logs."""
        return down(self.directory)


def up(
    name: str = "lab", directory: Path | None = None, on_step: OnStep = _silent, wiring: Wiring | None = None
) -> Lab:
    """Start a lab and wait until it takes writes: on loopback, or with `wiring` on a network of its own.

    When it fails, is interrupted or is killed (even by kill -9), what it started is ended and what it wrote
    is removed.

    Raises:
        CampaignError: the name or the directory cannot be used.
        MachineError: already up, a program is missing, no room, no free addresses, a role died (its last
        words are told), the machine does not allow namespaces.
    """
    journal = UndoJournal(journal_directory() / f"lab-{secrets.token_hex(6)}.jsonl")
    with DeadMan.arm(journal) as deadman:
        lab, entry = _bring_up(_Wanted(name, directory, wiring, keep_logs=True), on_step, deadman)
        journal.done(entry.id, "the lab is up and stays")
    return lab


@contextmanager
def embedded(
    name: str,
    directory: Path | None = None,
    on_step: OnStep = _silent,
    deadman: DeadMan | None = None,
    keep_logs: bool = False,
) -> Iterator[Lab]:
    """A lab for the length of a `with` block.

    When maul dies, even by kill -9, the dead-man helper takes it down.

    Pass the run's own armed `DeadMan` and faults and lab share one journal, which is undone newest first:
    what a fault hurt is healed before the lab is ended, and nothing comes back after it. Without one, it arms
    its own.

    Raises what `up` raises; UnhealedError when it could not be taken down.
    """
    with contextlib.ExitStack() as stack:
        if deadman is None:
            journal = UndoJournal(journal_directory() / f"lab-{secrets.token_hex(6)}.jsonl")
            deadman = stack.enter_context(DeadMan.arm(journal))
        lab, entry = _bring_up(_Wanted(name, directory, None, keep_logs), on_step, deadman)
        try:
            yield lab
            on_step("taking the lab down")
        finally:
            _take_back(deadman.journal, entry)


def status(directory: Path) -> list[RoleStatus]:
    """The health of every role of the lab in `directory`.

    MachineError when there is none, or its state is damaged.
    """
    host = LocalHost()
    layout = state.load(host, directory)
    if layout is None:
        raise MachineError("there is no lab here", str(directory), "bring one up: maul lab up")
    return _status(layout)


def _status(layout: LabLayout) -> list[RoleStatus]:
    with standing(layout) as ground:
        roles = check_all(layout, ground.machine, ground.dial)
        return roles + (customers_status(layout, ground.machine) if layout.wiring else [])


def down(directory: Path) -> DownReport:
    """Take down the lab in `directory`: whole, half dead, or with a damaged `lab.json` (its pidfiles are
    enough).

    Ends exactly the processes that its pidfiles name, by pid and start time, and whoever else lives in its namespaces;
    removes what the lab made except the logs. CampaignError from inside the lab. UnhealedError when a process cannot be
    ended: then its pidfile stays.
    """
    host, clock = LocalHost(), SystemClock()
    if not directory.is_dir() or not state.is_ours(host, directory):
        return DownReport(directory, False, 0, f"no lab runs in {directory}; there is nothing to take down")
    if own_place([directory]).host is not None:
        raise CampaignError(
            "this process runs in a host of that lab, and would end with it",
            str(directory),
            "take it down from outside: maul lab down",
        )
    with locked(directory, THIS_LAB):
        living = sum(host.process(named.process) is not None for named in pidfiles_in(host, directory / "run"))
        if not (directory / MARKER).exists():
            host.write_bytes(directory / MARKER, b"{}\n")  # somebody removed it; its pidfiles say that it is ours
        done, says = perform(host, clock, _undo(directory, keep_logs=True))
        if not done:
            raise UnhealedError(says, str(directory), "end that process by hand; then: maul lab down")
    says = f"took down {living} processes; the logs stay in {directory / LOGS}"
    return DownReport(directory, True, living, says)


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: str
    directory: Path | None
    wiring: Wiring | None
    keep_logs: bool


def _bring_up(wanted: _Wanted, on_step: OnStep, deadman: DeadMan) -> tuple[Lab, Entry]:
    host = LocalHost()
    place = state.lab_directory(wanted.name, wanted.directory)
    programs = find_programs()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with locked(place, THIS_LAB), _placed(host, wanted, place, programs) as layout:
            _refuse_remains(layout)
            return _bring_up_in(layout, host, on_step, deadman, wanted.keep_logs)
    except BaseException:
        with contextlib.suppress(OSError):  # it holds something: the logs, or what was there before
            place.rmdir()
        raise


@contextmanager
def _placed(host: LocalHost, wanted: _Wanted, place: Path, programs: Programs) -> Iterator[LabLayout]:
    if wanted.wiring is None:
        with state.claimed_slot(host, wanted.name, place, programs) as layout:
            yield layout
    else:  # its addresses are its own: nothing to claim
        yield LabLayout(wanted.name, Wired(wanted.wiring), place, state.socket_directory(place), programs)


def _bring_up_in(
    layout: LabLayout, host: LocalHost, on_step: OnStep, deadman: DeadMan, keep_logs: bool
) -> tuple[Lab, Entry]:
    check_room(layout.directory)
    if layout.wiring:
        namespace_door(host, layout.wiring.border)  # before anything is written
    entry = deadman.journal.record("lab", layout.name, _undo(layout.directory, keep_logs))
    try:
        state.save(host, layout, is_up=False)  # first: without it, nothing in the directory counts as ours
        on_step(f"writing the lab's files into {layout.directory}")
        write_files(layout, host)
        check_config(layout, host)
        if layout.wiring:
            on_step(f"making the network: {len(layout.wiring.nodes)} hosts and switches")
            NetBuild(layout, layout.wiring, host, SystemClock()).build()
        with standing(layout, host) as ground:
            Bringup(layout, ground, SystemClock(), on_step).start_roles()
            if layout.wiring:
                on_step("starting the customers")
                start_customers(layout, ground.hosts, host, SystemClock())
        state.save(host, layout, is_up=True)
    except BaseException:  # a role died, Ctrl-C, SIGTERM: whatever it is, nothing of the lab stays
        _take_back(deadman.journal, entry)
        raise
    on_step(f"the lab is up: {layout.url}")
    return Lab(layout), entry


def _refuse_remains(layout: LabLayout) -> None:
    there = state.remains(layout.directory)
    if MARKER in there:
        raise MachineError(
            "a lab is up here already, or what is left of one",
            str(layout.directory),
            "take it down: maul lab down; if that finds none, remove the directory",
        )
    if there:
        raise MachineError(
            f"this directory has other things in it ({', '.join(there)})",
            str(layout.directory),
            "choose another",
        )


def _undo(directory: Path, keep_logs: bool) -> Undo:
    """End the processes, then remove their files. Follows from the directory alone, not from `lab.json`."""
    undos: list[SingleUndo] = [UndoKill(directory / "run", GRACE_S), UndoVacate(directory / HOLDERS, GRACE_S)]
    if state.socket_directory(directory).parent != directory:
        undos.append(UndoRemove(state.short_place(directory), state.SOCKETS_MARKER, (state.SOCKETS,)))
    undos.append(UndoRemove(directory, MARKER, MADE if keep_logs else (*MADE, LOGS)))
    return UndoSeries(tuple(undos))


def _take_back(journal: UndoJournal, entry: Entry) -> None:
    """Undo our own entry. UnhealedError when it fails: `maul heal` goes on."""
    result = undo_one(journal, entry, LocalHost(), SystemClock(), UNDO_LIMIT_S)
    if not result.done:
        raise UnhealedError(f"the lab is not down: {result.says}", entry.target, "run: maul heal")
