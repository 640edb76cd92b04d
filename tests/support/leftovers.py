"""What a lab with a network could leave behind on a machine, as sets that can be compared."""

import os
import select
import subprocess  # noqa: TID251 — asks tc
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Traces:
    """`processes`: those that run in `base` or name it. The rest is what a machine shows to everybody."""

    processes: frozenset[str]
    mounts: frozenset[str]
    queues: frozenset[str]
    devices: frozenset[str]
    temporary: frozenset[str]


def traces(base: Path) -> Traces:
    """As it is now. A namespace needs a process in it, a mount of it, or nothing: then it is gone."""
    queues = subprocess.run(["tc", "qdisc"], capture_output=True, text=True, check=False).stdout.splitlines()
    return Traces(
        processes=frozenset(_processes(str(base))),
        mounts=frozenset(Path("/proc/self/mounts").read_text().splitlines()),
        queues=frozenset(queues),
        devices=frozenset(line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]),
        temporary=frozenset(
            path.name for path in Path(tempfile.gettempdir()).iterdir() if path.name.startswith("seaweed")
        ),
    )


def _processes(base: str) -> Iterator[str]:
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit() or int(proc.name) == os.getpid():
            continue
        try:
            line = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            here = str((proc / "cwd").readlink())
            given = (proc / "environ").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if base in line or base in here or f"MAUL_STATE={base}" in given:
            yield f"{proc.name}: {line}"


def left_since(base: Path, before: Traces, patience_s: float = 5.0) -> dict[str, list[str]]:
    """What is there now and was not before. The kernel takes back namespaces in its own time: look again."""
    until = time.monotonic() + patience_s
    while True:
        now = traces(base)
        left = {field.name: sorted(getattr(now, field.name) - getattr(before, field.name)) for field in fields(Traces)}
        left = {name: found for name, found in left.items() if found}
        if not left or time.monotonic() > until:
            return left
        select.select([], [], [], 0.1)
