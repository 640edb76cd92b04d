"""The pidfile: who a process is, and how to start it again.

JSON with exactly these keys: `{"pid", "start_ticks", "argv", "cwd", "env", "log"}`; and `"inside": {"pid",
"start_ticks"}` for a process in the namespaces that another one holds open.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maul.core.errors import MachineError
from maul.hosts.host import Host, ProcessId, SpawnSpec


@dataclass(frozen=True, slots=True)
class Pidfile:
    """The content of a pidfile, and where it is."""

    path: Path
    process: ProcessId
    spec: SpawnSpec


def pidfile_text(process: ProcessId, spec: SpawnSpec) -> str:
    """The JSON text of a pidfile."""
    content: dict[str, Any] = {
        "pid": process.pid,
        "start_ticks": process.start_ticks,
        "argv": list(spec.argv),
        "cwd": str(spec.cwd),
        "env": dict(spec.env),
        "log": str(spec.log),
    }
    if spec.inside is not None:
        content["inside"] = {"pid": spec.inside.pid, "start_ticks": spec.inside.start_ticks}
    return json.dumps(content, indent=1) + "\n"


def parse_pidfile(path: Path, content: bytes) -> Pidfile:
    """Raises MachineError when the content is not a pidfile: a guess could end up at a stranger's process."""
    try:
        data = json.loads(content)
        process = _process(data)
        spec = SpawnSpec(
            argv=tuple(str(word) for word in data["argv"]),
            cwd=Path(data["cwd"]),
            log=Path(data["log"]),
            env={str(name): str(value) for name, value in data["env"].items()},
            pidfile=path,
            inside=_process(data["inside"]) if "inside" in data else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MachineError(
            f"this pidfile cannot be read ({error})",
            str(path),
            "look which process it meant; then remove the file",
        ) from error
    return Pidfile(path, process, spec)


def read_pidfile(host: Host, path: Path) -> Pidfile | None:
    """None when there is no such file."""
    content = host.read_bytes(path)
    return None if content is None else parse_pidfile(path, content)


def _process(data: Any) -> ProcessId:
    return ProcessId(_whole(data["pid"]), _whole(data["start_ticks"]))


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{value!r} is not a process number")
    return value
