"""Agents on other machines, by SSH: its certificates there, its process, its end. Needs maul installed there."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM

from maul.core.clock import Clock
from maul.core.errors import MachineError
from maul.fleet.certificates import Folder, agent
from maul.fleet.place import AGENTS, CERTIFICATES, LOGS, RUN, RemoteAgent, Standing
from maul.hosts.host import Host, ProcessId, SpawnSpec
from maul.hosts.pidfile import parse_pidfile
from maul.hosts.ssh import SshAddress, SshHost
from maul.site.model import Host as SiteHost

AT_ONCE = 16
_RUN_S = 15.0
_GRACE_S = 2.0
_POLL_S = 0.1
_PLACE = ".local/state/maul/fleet"


@dataclass(frozen=True, slots=True)
class SshOptions:
    """What the user says about SSH; None and empty: as `ssh` itself does. `program`: how maul is called there."""

    known_hosts: Path | None = None
    keys: tuple[Path, ...] = ()
    program: str = "maul"
    python: str = "python3"


def lent(hosts: Iterable[SiteHost], names: Sequence[str] = ()) -> list[SiteHost]:
    """Hosts that may be borrowed and that SSH reaches; of `names`, if any; MachineError for one that is neither."""
    by_name = {host.name: host for host in hosts}
    for name in names:
        host = by_name.get(name)
        why = "it is not in the site" if host is None else None
        why = why or ("it is not lent (`borrow`)" if host is not None and host.borrow is None else None)
        why = why or ("nobody said how SSH reaches it (`ssh`)" if host is not None and host.ssh is None else None)
        if why:
            raise MachineError(f"{name} cannot carry an agent: {why}", cure="look into the site file")
    chosen = [by_name[name] for name in names] if names else list(by_name.values())
    return [host for host in chosen if host.borrow is not None and host.ssh is not None]


def planned(fleet: str, host: SiteHost) -> RemoteAgent:
    """The agent of a lent host; named as the host is."""
    assert host.ssh is not None
    directory = f"{_PLACE}/{fleet}"
    return RemoteAgent(host.name, host.ssh.address or host.address, host.ssh.port, host.ssh.user, directory)


def start_all(fleet: Standing, options: SshOptions, on_step: Callable[[str], None]) -> dict[str, str]:
    """Start every remote agent, some at a time; by name, why one could not be started."""

    def one(remote: RemoteAgent) -> str:
        on_step(f"starting the agent {remote.name} on {remote.address}")
        try:
            with reached(remote, options) as host:
                _start(fleet, remote, host, options)
        except MachineError as error:
            return error.message
        return ""

    return _each(fleet.remote, one)


def end_all(agents: Sequence[RemoteAgent], options: SshOptions, clock: Clock) -> dict[str, str]:
    """End every remote agent that `start_all` started, by pid and start time; by name, why one could not be ended."""

    def one(remote: RemoteAgent) -> str:
        try:
            with reached(remote, options) as host:
                return _end(remote, host, clock)
        except MachineError as error:
            return error.message

    return _each(agents, one)


@contextmanager
def reached(remote: RemoteAgent, options: SshOptions) -> Iterator[SshHost]:
    """The machine of an agent."""
    address = SshAddress(
        remote.address, remote.port, remote.user, options.known_hosts, options.keys, python=options.python
    )
    with SshHost(address) as host:
        yield host


def _each(agents: Sequence[RemoteAgent], act: Callable[[RemoteAgent], str]) -> dict[str, str]:
    if not agents:
        return {}
    with ThreadPoolExecutor(min(AT_ONCE, len(agents))) as pool:
        said: Mapping[str, str] = dict(zip([one.name for one in agents], pool.map(act, agents), strict=True))
    return {name: why for name, why in said.items() if why}


def _start(fleet: Standing, remote: RemoteAgent, host: Host, options: SshOptions) -> None:
    home = _ask(host, 'printf %s "$HOME"')
    place = Path(home) / remote.directory
    folders = (place / CERTIFICATES / AGENTS, place / RUN, place / LOGS, place / AGENTS / remote.name)
    made = host.run(("mkdir", "-p", "-m", "700", *(str(folder) for folder in folders)), _RUN_S)
    if made.code != 0:
        raise MachineError(made.stderr.decode(errors="replace").strip(), remote.name, "make room there")
    if _living(host, place / RUN / f"{remote.name}.json") is not None:
        raise MachineError("an agent runs there already", remote.name, "end it: maul fleet down")
    ours, theirs, who = Folder(fleet.certificates), Folder(place / CERTIFICATES), agent(remote.name)
    host.write_bytes(theirs.ca, ours.ca.read_bytes())
    host.write_bytes(theirs.certificate(who), ours.certificate(who).read_bytes())
    host.write_bytes(theirs.key(who), ours.key(who).read_bytes(), mode=0o600)
    program = _ask(host, 'command -v "$1" || exit 9', options.program)
    words = ("agent", "--join", fleet.address, "--name", remote.name)
    spec = SpawnSpec(
        argv=(program, *words, "--certificates", str(theirs.path), "--dir", str(place / AGENTS / remote.name)),
        cwd=place,
        log=place / LOGS / f"{remote.name}.log",
        env={"HOME": home, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        pidfile=place / RUN / f"{remote.name}.json",
    )
    host.spawn(spec)


def _end(remote: RemoteAgent, host: Host, clock: Clock) -> str:
    place = Path(_ask(host, 'printf %s "$HOME"')) / remote.directory
    pidfile = place / RUN / f"{remote.name}.json"
    process = _living(host, pidfile)
    if process is not None:
        for number in (SIGTERM, SIGKILL):
            host.signal(process, number)
            for _ in range(round(_GRACE_S / _POLL_S)):
                if host.process(process) is None:
                    break
                clock.wait(_POLL_S)
            if host.process(process) is None:
                break
        else:
            return f"process {process.pid} does not die"
    # Its key goes with it; results that nobody fetched stay.
    key = Folder(place / CERTIFICATES).key(agent(remote.name))
    host.run(("rm", "-f", str(pidfile), str(key)), _RUN_S)
    return ""


def _living(host: Host, pidfile: Path) -> ProcessId | None:
    content = host.read_bytes(pidfile)
    if content is None:
        return None
    process = parse_pidfile(pidfile, content).process
    return process if host.process(process) is not None else None


def _ask(host: Host, script: str, *words: str) -> str:
    done = host.run(("/bin/sh", "-c", script, "sh", *words), _RUN_S)
    if done.code != 0:
        raise MachineError(
            f"there is no {words[0] if words else 'HOME'} there", cure="install maul there, or --program"
        )
    return done.stdout.decode(errors="replace").strip()
