"""Calibrations are kept by machine, and only believed when they fit."""

from pathlib import Path

import pytest

from maul.core.calibration import Calibration, Machine
from maul.core.errors import MachineError
from maul.record.calibrations import calibration_path, read_calibration, write_calibration

MACHINE = Machine(cpu_model="Fast 9000", cores=64, kernel="6.1.0")


def calibration(machine: Machine = MACHINE, version: str = "0.1.0") -> Calibration:
    return Calibration(
        maul_version=version, at_ns=5, machine=machine, seconds=30.0, figures=(), scaling=None, open_loop=None
    )


def test_round_trip_by_machine(tmp_path: Path):
    other = MACHINE.model_copy(update={"cores": 8})
    write_calibration(tmp_path, calibration())
    assert read_calibration(tmp_path, MACHINE, "0.1.0") == calibration()
    assert read_calibration(tmp_path, other, "0.1.0") is None
    write_calibration(tmp_path, calibration(other))
    assert read_calibration(tmp_path, MACHINE, "0.1.0") == calibration(), "a shared home has room for both"


def test_another_maul_measured_another_engine(tmp_path: Path):
    write_calibration(tmp_path, calibration(version="0.0.9"))
    assert read_calibration(tmp_path, MACHINE, "0.1.0") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"schema_version": 2}', b"null"])
def test_what_is_damaged_is_as_good_as_none(tmp_path: Path, content: bytes):
    path = write_calibration(tmp_path, calibration())
    path.write_bytes(content)
    assert read_calibration(tmp_path, MACHINE, "0.1.0") is None


def test_a_copied_file_does_not_make_a_machine(tmp_path: Path):
    other = MACHINE.model_copy(update={"kernel": "6.2.0"})
    path = write_calibration(tmp_path, calibration())
    path.rename(calibration_path(tmp_path, other))
    assert read_calibration(tmp_path, other, "0.1.0") is None


def test_a_disk_that_refuses_is_told(tmp_path: Path):
    (tmp_path / "calibrations").write_text("a file in the way")
    with pytest.raises(MachineError):
        write_calibration(tmp_path, calibration())
