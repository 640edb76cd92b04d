"""What a lab with a network could leave behind on a machine, as sets that can be compared."""

import select
import subprocess  # noqa: TID251 — asks tc
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path

OURS = ("/weed", "haproxy", "maul.", "2147483647")


@dataclass(frozen=True)
class Traces:
    """`namespaces` are network namespaces that a process of ours to see is in; the rest speaks for itself."""

    processes: frozenset[str]
    namespaces: frozenset[str]
    mounts: frozenset[str]
    queues: frozenset[str]
    devices: frozenset[str]
    temporary: frozenset[str]


def traces() -> Traces:
    """As it is now."""
    processes, namespaces = set(), set()
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit():
            continue
        try:
            line = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            namespaces.add(str((proc / "ns" / "net").readlink()))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if any(word in line for word in OURS) and "pytest" not in line:
            processes.add(f"{proc.name}: {line}")
    queues = subprocess.run(["tc", "qdisc"], capture_output=True, text=True, check=False).stdout.splitlines()
    return Traces(
        processes=frozenset(processes),
        namespaces=frozenset(namespaces),
        mounts=frozenset(Path("/proc/self/mounts").read_text().splitlines()),
        queues=frozenset(queues),
        devices=frozenset(line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]),
        temporary=frozenset(
            path.name for path in Path(tempfile.gettempdir()).iterdir() if path.name.startswith(("maul", "seaweed"))
        ),
    )


def left_since(before: Traces, patience_s: float = 5.0) -> dict[str, list[str]]:
    """What is there now and was not before. The kernel takes back namespaces in its own time: look again."""
    until = time.monotonic() + patience_s
    while True:
        now = traces()
        left = {field.name: sorted(getattr(now, field.name) - getattr(before, field.name)) for field in fields(Traces)}
        left = {name: found for name, found in left.items() if found}
        if not left or time.monotonic() > until:
            return left
        select.select([], [], [], 0.1)
