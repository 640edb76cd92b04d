"""A machine made of namespaces: its own network and mounts, held open by one process of ours.

Kill the holder and whatever runs in there, and the kernel takes back the rest: links, addresses, queues, mounts.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from maul.core.errors import MachineError
from maul.hosts.enter import GONE_CODE, GONE_WORDS, enter_argv
from maul.hosts.host import Completed, ProcessId, ProcessState, SpawnSpec
from maul.hosts.local import LocalHost, read_process


@dataclass(frozen=True)
class NamespaceHost:
    """One host of a lab. Satisfies `Host`. `name` is for messages."""

    name: str
    holder: ProcessId
    _machine: LocalHost = field(default_factory=LocalHost, repr=False)

    def run(self, argv: tuple[str, ...], timeout_s: float) -> Completed:
        """Run a short command in there to its end; see `Host.run`."""
        if shutil.which(argv[0]) is None:
            raise MachineError(f"cannot run {argv[0]}: no such program", self.name, "is it installed?")
        done = self._machine.run(enter_argv(self.holder, Path("/"), argv), timeout_s)
        if done.code == GONE_CODE and GONE_WORDS.encode() in done.stderr:
            raise self._gone()
        return replace(done, argv=argv)

    def spawn(self, spec: SpawnSpec) -> ProcessId:
        """Start a long-lived process in there; see `Host.spawn`. Its pidfile says where, so any host can restart it."""
        return self._machine.spawn(replace(spec, inside=self.holder))

    def process(self, process: ProcessId) -> ProcessState | None:
        """See `Host.process`: processes are numbered as on the machine itself."""
        return self._machine.process(process)

    def signal(self, process: ProcessId, signal_number: int) -> bool:
        """See `Host.signal`."""
        return self._machine.signal(process, signal_number)

    def read_bytes(self, path: Path) -> bytes | None:
        """A whole file as it is seen in there: what is mounted there may hide the machine's own."""
        return self._machine.read_bytes(self._seen_from_here(path))

    def write_bytes(self, path: Path, content: bytes, mode: int = 0o644) -> None:
        """Replace a file as it is seen in there; see `Host.write_bytes`."""
        self._machine.write_bytes(self._seen_from_here(path), content, mode)

    def _seen_from_here(self, path: Path) -> Path:
        if self._machine.process(self.holder) is None:
            raise self._gone()
        return Path(f"/proc/{self.holder.pid}/root") / path.relative_to("/")

    def _gone(self) -> MachineError:
        return MachineError(f"host {self.name} is gone: {GONE_WORDS.removeprefix('maul: ')}", cure="bring its lab up")


def become(holder: ProcessId, argv: tuple[str, ...], env: Mapping[str, str]) -> NoReturn:
    """Replace this process by a command in the namespaces of `holder`, in the same working directory.

    MachineError when the program is missing.
    """
    if shutil.which(argv[0], path=env.get("PATH")) is None:
        raise MachineError(f"cannot run {argv[0]}: no such program", cure="is it installed, and in PATH?")
    entering = enter_argv(holder, Path.cwd(), argv)
    os.execve(entering[0], entering, dict(env))


def net_namespace(pid: int) -> int | None:
    """Inode of the network namespace that a process is in: unique while the namespace lives, reused after.

    None when the process is gone or not ours to look at.
    """
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def dwellers(inodes: frozenset[int]) -> tuple[ProcessId, ...]:
    """Every process whose network namespace is one of these."""
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit() or net_namespace(int(path.name)) not in inodes:
            continue
        state = read_process(int(path.name))
        # Looked at again after its start time is known: the pid may have changed hands in between.
        if state is not None and net_namespace(int(path.name)) in inodes:
            found.append(ProcessId(int(path.name), state[1]))
    return tuple(found)
