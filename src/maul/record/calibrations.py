"""The calibrations of this user's machines: one small file each, below maul's state directory."""

import hashlib
from pathlib import Path

from pydantic import ValidationError

from maul.core.calibration import Calibration, Machine
from maul.record.files import disk_error, write_whole


def calibration_path(state: Path, machine: Machine) -> Path:
    """Where the calibration of a machine is kept; a home directory may be shared by many."""
    name = hashlib.sha256(machine.model_dump_json().encode()).hexdigest()[:16]
    return state / "calibrations" / f"{name}.json"


def write_calibration(state: Path, calibration: Calibration) -> Path:
    """Keep it, in place of an earlier one. MachineError when the disk refuses."""
    path = calibration_path(state, calibration.machine)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (calibration.model_dump_json(indent=2) + "\n").encode())
    except OSError as error:
        raise disk_error(error, path) from error
    return path


def read_calibration(state: Path, machine: Machine, maul_version: str) -> Calibration | None:
    """The calibration of this machine by this maul; None when there is none that can be believed.

    A file that is damaged, or of another maul (whose engine may cost more or less), is as good as none.
    """
    try:
        text = calibration_path(state, machine).read_text(encoding="utf-8")
        found = Calibration.model_validate_json(text)
    except (OSError, UnicodeDecodeError, ValidationError):
        return None
    return found if found.machine == machine and found.maul_version == maul_version else None
