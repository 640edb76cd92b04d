"""A fleet as a whole: up, down, and an embedded one of local processes that dies with maul."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from maul.core.clock import Clock, SystemClock
from maul.core.errors import CampaignError, MachineError, UnhealedError
from maul.fleet import certificates, place, remote
from maul.fleet.dask_settings import SCRATCH
from maul.fleet.place import ADDRESS, AGENTS, CERTIFICATES, LOGS, MARKER, RUN, RemoteAgent, Standing
from maul.fleet.remote import SshOptions
from maul.hosts.deadman import DeadMan
from maul.hosts.host import Host, ProcessId, SpawnSpec
from maul.hosts.journal import Entry, UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.undo import perform, pidfiles_in, undo_one
from maul.hosts.undo_kinds import Undo, UndoKill, UndoRemove, UndoSeries
from maul.site.model import Host as SiteHost

OnStep = Callable[[str], None]
LOOPBACK = "127.0.0.1"
LOCAL_MAX = 64
_GRACE_S = 1.5  # an agent ends within a second
_START_LIMIT_S = 60.0
_UNDO_LIMIT_S = 20.0
_POLL_S = 0.02
_TAIL_LINES = 6


def local_names(count: int) -> tuple[str, ...]:
    """Names of agents that are processes of this machine. CampaignError for a number that makes no sense."""
    if not 1 <= count <= LOCAL_MAX:
        raise CampaignError(f"{count} local agents", cure=f"from 1 to {LOCAL_MAX}; one for each core is plenty")
    return tuple(f"local-{number}" for number in range(1, count + 1))


@dataclass(frozen=True, slots=True)
class DownReport:
    """What taking a fleet down found and did."""

    directory: Path
    found: bool
    ended: int
    says: str


def up(
    name: str = "fleet",
    directory: Path | None = None,
    *,
    local: int = 0,
    hosts: Sequence[SiteHost] = (),
    ssh: SshOptions = SshOptions(),  # noqa: B008 — frozen
    listen: str = LOOPBACK,
    on_step: OnStep = lambda _: None,
) -> Standing:
    """Start the scheduler and `local` agents on this machine, and an agent on each of `hosts` by SSH.

    Makes certificates where they are missing. MachineError when one is up already, or when something of this machine
    does not start: then nothing stays. A host whose agent does not start is told by `on_step`, and left out.
    """
    where = place.fleet_directory(name, directory)
    names = local_names(local) if local else ()
    host, clock = LocalHost(), SystemClock()
    with place.locked(where):
        if (where / MARKER).exists():
            raise MachineError("a fleet is up here already", str(where), "look at it: maul fleet status")
        remote_agents = tuple(remote.planned(name, host) for host in hosts)
        certificates.init(where / CERTIFICATES, (*names, *(one.name for one in remote_agents)))
        fleet = Standing(name, where, "", names, remote_agents)
        place.save(host, fleet)
        try:
            fleet = _start(fleet, listen, host, clock, on_step)
            for agent, why in remote.start_all(fleet, ssh, on_step).items():
                on_step(f"agent {agent} is left out: {why}")
            return fleet
        except BaseException:
            remote.end_all(fleet.remote, ssh, clock)
            perform(host, clock, _undo(where))
            raise


@contextmanager
def embedded(directory: Path, count: int, deadman: DeadMan, on_step: OnStep = lambda _: None) -> Iterator[Standing]:
    """A fleet of local processes for the length of a `with` block; when maul dies, the dead-man helper ends it.

    `directory` must not exist or be empty. Raises what `up` raises; UnhealedError when it could not be ended.
    Results that nobody acknowledged stay in `agents` of the directory, if the block ended by an error.
    """
    host, clock = LocalHost(), SystemClock()
    where = place.fleet_directory("embedded", directory)
    names = local_names(count)
    with place.locked(where):
        entry = deadman.journal.record("fleet", "embedded", _undo(where, everything=True))
        try:
            fleet = Standing("embedded", where, "", names)
            place.save(host, fleet)
            certificates.init(where / CERTIFICATES, names, days=1)
            yield _start(fleet, LOOPBACK, host, clock, on_step)
        finally:
            _take_back(deadman.journal, entry, host, clock)
            sweep(where)


def sweep(directory: Path) -> None:
    """Remove what an embedded fleet that is down left in its directory, but for results that nobody has."""
    if any((directory / AGENTS).glob("*/spool/*/*/*.batch")):
        return
    shutil.rmtree(directory / AGENTS, ignore_errors=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


def down(
    name: str = "fleet",
    directory: Path | None = None,
    ssh: SshOptions = SshOptions(),  # noqa: B008 — frozen
) -> DownReport:
    """End every process that `up` started, by pid and start time; nothing else. Certificates, logs and results stay.

    UnhealedError when a process cannot be ended, or a host cannot be reached: then its pidfile stays.
    """
    where = place.fleet_directory(name, directory)
    host, clock = LocalHost(), SystemClock()
    if not (where / MARKER).exists() and not any(pidfiles_in(host, where / RUN)):
        return DownReport(where, False, 0, f"no fleet stands in {where}; there is nothing to take down")
    with place.locked(where):
        left = remote.end_all(_remote_agents(host, where), ssh, clock)
        if left:
            says = "; ".join(f"{agent}: {why}" for agent, why in left.items())
            raise UnhealedError(f"agents of other machines may still run: {says}", str(where), "try: maul fleet down")
        living = sum(host.process(named.process) is not None for named in pidfiles_in(host, where / RUN))
        if not (where / MARKER).exists():
            host.write_bytes(where / MARKER, b"{}\n")  # somebody removed it; its pidfiles say that it is ours
        done, says = perform(host, clock, _undo(where))
        if not done:
            raise UnhealedError(says, str(where), "end that process by hand; then: maul fleet down")
    return DownReport(where, True, living, f"ended {living} processes; certificates and results stay in {where}")


def _remote_agents(host: Host, where: Path) -> tuple[RemoteAgent, ...]:
    """Those of a fleet whose `fleet.json` can be read; it is written before any is started."""
    try:
        fleet = place.load(host, where)
    except MachineError:
        return ()
    return fleet.remote if fleet is not None else ()


def _start(fleet: Standing, listen: str, host: Host, clock: Clock, on_step: OnStep) -> Standing:
    for folder in (RUN, LOGS, AGENTS):
        (fleet.directory / folder).mkdir(mode=0o700, exist_ok=True)
    (fleet.directory / ADDRESS).unlink(missing_ok=True)
    on_step(f"starting the scheduler on {listen}")
    words = ("-m", "maul.fleet.scheduler", "--certificates", str(fleet.certificates), "--host", listen, "--port", "0")
    address_file = fleet.directory / ADDRESS
    scheduler = _spawn(fleet, host, "scheduler", (*words, "--address-file", str(address_file)))
    address = _wait_for_address(fleet, host, clock, scheduler, address_file)
    fleet = replace(fleet, address=address)
    place.save(host, fleet)
    for name in fleet.local:
        on_step(f"starting the agent {name}")
        _spawn(fleet, host, name, ("-m", "maul", "agent", *agent_words(fleet, name)))
    _wait_for_agents(fleet, host, on_step)
    return fleet


def _wait_for_agents(fleet: Standing, host: Host, on_step: OnStep) -> None:
    """Until all local agents have dialled in. MachineError as soon as one is gone, or after the limit."""
    if not fleet.local:
        return
    from maul.fleet.connection import Fleet  # noqa: PLC0415 — dask takes a second to import

    on_step("waiting for the agents to dial in")
    missing: tuple[str, ...] = fleet.local
    with Fleet.connect(fleet.address, fleet.certificates) as connected:
        for _ in range(round(_START_LIMIT_S)):
            missing = connected.wait_for(fleet.local, 1.0)
            living = {one.path.stem for one in pidfiles_in(host, fleet.directory / RUN) if host.process(one.process)}
            dead = [name for name in missing if name not in living]
            if not missing or dead:
                missing = tuple(dead)
                break
    if missing:
        tail = log_tail(fleet.directory / LOGS / f"{missing[0]}.log")
        raise MachineError(f"{', '.join(missing)} did not join the fleet{tail}", str(fleet.directory / LOGS))


def agent_words(fleet: Standing, name: str) -> tuple[str, ...]:
    """The options of `maul agent` for an agent on this machine. No secret is among them."""
    home = fleet.directory / AGENTS / name
    return (
        *("--join", fleet.address, "--name", name),
        *("--certificates", str(fleet.certificates), "--dir", str(home)),
    )


def _spawn(fleet: Standing, host: Host, name: str, words: Sequence[str]) -> ProcessId:
    spec = SpawnSpec(
        argv=(sys.executable, *words),
        cwd=fleet.directory,
        log=fleet.directory / LOGS / f"{name}.log",
        env=environment(),
        pidfile=fleet.directory / RUN / f"{name}.json",
    )
    return host.spawn(spec)


def _wait_for_address(fleet: Standing, host: Host, clock: Clock, scheduler: ProcessId, path: Path) -> str:
    for _ in range(round(_START_LIMIT_S / _POLL_S)):
        content = host.read_bytes(path)
        if content:
            return content.decode().strip()
        if host.process(scheduler) is None:
            break
        clock.wait(_POLL_S)
    raise MachineError(f"the fleet's scheduler did not start{log_tail(fleet.directory / LOGS / 'scheduler.log')}")


def log_tail(path: Path) -> str:
    """The last lines of a log, indented; empty when there are none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_TAIL_LINES:]
    except OSError:
        return ""
    return "".join(f"\n    {line[:300]}" for line in lines)


def environment() -> dict[str, str]:
    """What the scheduler and agents need of ours, and nothing that could carry a secret."""
    wanted = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "HOME", "TMPDIR")
    return {name: os.environ[name] for name in (*wanted, "MAUL_STATE", "XDG_STATE_HOME") if name in os.environ}


def _undo(directory: Path, *, everything: bool = False) -> Undo:
    """End the processes, then remove their files. Follows from the directory alone."""
    names = (RUN, ADDRESS, SCRATCH, *((CERTIFICATES, LOGS) if everything else ()))
    return UndoSeries((UndoKill(directory / RUN, _GRACE_S), UndoRemove(directory, MARKER, names)))


def _take_back(journal: UndoJournal, entry: Entry, host: Host, clock: Clock) -> None:
    result = undo_one(journal, entry, host, clock, _UNDO_LIMIT_S)
    if not result.done:
        raise UnhealedError(f"the fleet is not down: {result.says}", entry.target, "run: maul heal")
