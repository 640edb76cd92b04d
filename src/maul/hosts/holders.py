"""Holders on disk: which processes keep a lab's namespaces open, and which namespaces these are.

`NAME.json` is the holder's pidfile; `NAME.net` is the inode of its network namespace, written when it has one of its
own. A holder without `NAME.net` may still be in the namespace of whoever started it, and says nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from maul.core.errors import MachineError
from maul.hosts.host import Host, ProcessId
from maul.hosts.namespace import net_namespace
from maul.hosts.pidfile import read_pidfile

HOLDERS = Path("run", "holders")
"""Where they are in a lab's directory."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A living holder. `net` is the inode of its own network namespace."""

    name: str
    process: ProcessId
    net: int


def note_holder(host: Host, directory: Path, name: str, net: int) -> None:
    """Write down that this holder has a network namespace of its own by now."""
    host.write_bytes(directory / f"{name}.net", f"{net}\n".encode(), mode=0o600)


def living_holders(host: Host, directory: Path) -> tuple[Holder, ...]:
    """Holders whose pidfiles are in `directory`, by name: alive, and in the namespace that was written down."""
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            named = read_pidfile(host, path)
        except MachineError:
            continue
        noted = host.read_bytes(path.with_suffix(".net"))
        if named is None or noted is None or not noted.strip().isdigit():
            continue
        net = net_namespace(named.process.pid)
        # Alive *after* the look: then it was this process that was looked at.
        if net == int(noted) and host.process(named.process) is not None:
            found.append(Holder(path.stem, named.process, net))
    return tuple(found)
