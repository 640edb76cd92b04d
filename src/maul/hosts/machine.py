"""Which machine this is: what a calibration is good for."""

import os
import platform
from pathlib import Path

from maul.core.calibration import Machine

_UNKNOWN = "unknown"


def this_machine(proc: Path = Path("/proc")) -> Machine:
    """Processor, cores and kernel of this machine."""
    return Machine(cpu_model=_cpu_model(proc / "cpuinfo"), cores=os.cpu_count() or 1, kernel=platform.release())


def usable_cores() -> tuple[int, ...]:
    """The processors that this process may run on."""
    return tuple(sorted(os.sched_getaffinity(0)))


def _cpu_model(path: Path) -> str:
    """Of the first processor; ARM kernels name a part instead of a model."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _UNKNOWN
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields.get("model name") or fields.get("CPU part") or _UNKNOWN
