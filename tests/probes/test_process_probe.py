"""Processes by name: restarts are followed, death is a gap, a recycled pid is nobody's."""

import json
import os
from pathlib import Path

import pytest
from machine import T0, S, of, write

from maul.probes.contract import ProbeError, ProcessTarget
from maul.probes.process import ProcessProbe, own_process

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Machine:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.pidfile = root / "volume.pid"

    def run(self, pid: int, start: int, cpu: int = 0, state: str = "S", name: str = "weed") -> None:
        fields = [state, *["0"] * 10, str(cpu), str(cpu), *["0"] * 4, "9", "0", str(start), "0", "25"]
        write(self.root, **{f"{pid}__stat": f"{pid} ({name}) {' '.join(fields)} 1 2 3\n"})
        descriptors = self.root / str(pid) / "fd"
        descriptors.mkdir(exist_ok=True)
        for number in range(3):
            (descriptors / str(number)).touch()

    def die(self, pid: int) -> None:
        (self.root / str(pid) / "stat").unlink()

    def is_now(self, pid: int, start: int) -> None:
        self.pidfile.write_text(json.dumps({"pid": pid, "start_ticks": start, "argv": ["weed"]}), encoding="utf-8")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def probe(machine: Machine) -> ProcessProbe:
    return ProcessProbe([ProcessTarget("volume-1", pidfile=machine.pidfile)], machine.root)


def test_what_a_process_takes(machine: Machine, probe: ProcessProbe) -> None:
    machine.run(70, 500, cpu=1000)
    machine.is_now(70, 500)
    assert of(probe.read(T0), "volume-1") == {"rss_bytes": 25 * PAGE, "threads": 9, "open_files": 3}
    machine.run(70, 500, cpu=1000 + TICKS)  # user and system each
    assert of(probe.read(T0 + 2 * S), "volume-1")["cpu_ratio"] == 1.0
    assert probe.missing == {}


def test_a_command_with_parentheses_and_spaces(machine: Machine, probe: ProcessProbe) -> None:
    machine.run(70, 500, name="a) S 1 (b")
    machine.is_now(70, 500)
    assert of(probe.read(T0), "volume-1")["threads"] == 9


def test_a_restart_is_followed(machine: Machine, probe: ProcessProbe) -> None:
    machine.run(70, 500, cpu=100_000)
    machine.is_now(70, 500)
    probe.read(T0)
    machine.die(70)
    assert probe.read(T0 + S) == []
    assert probe.missing == {"volume-1": "process 70 is not running"}
    machine.run(80, 900, cpu=200_000)
    machine.is_now(80, 900)
    first = of(probe.read(T0 + 2 * S), "volume-1")
    assert "cpu_ratio" not in first, "another process's ticks say nothing"
    assert first["threads"] == 9
    assert probe.missing == {}
    machine.run(80, 900, cpu=200_000 + TICKS // 2)
    assert of(probe.read(T0 + 3 * S), "volume-1")["cpu_ratio"] == 1.0


def test_a_restart_between_two_readings_gives_no_rate(machine: Machine, probe: ProcessProbe) -> None:
    machine.run(70, 500, cpu=100)
    machine.is_now(70, 500)
    probe.read(T0)
    machine.run(80, 900, cpu=200_000)
    machine.is_now(80, 900)
    assert "cpu_ratio" not in of(probe.read(T0 + S), "volume-1")


def test_a_recycled_pid_is_somebody_else(machine: Machine, probe: ProcessProbe) -> None:
    machine.run(70, 501)
    machine.is_now(70, 500)
    assert probe.read(T0) == []
    assert probe.missing == {"volume-1": "process 70 is another one by now"}


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_zombie_is_dead(machine: Machine, probe: ProcessProbe, state: str) -> None:
    machine.run(70, 500, state=state)
    machine.is_now(70, 500)
    assert probe.read(T0) == []
    assert probe.missing == {"volume-1": "process 70 is dead"}


def test_a_stopped_process_still_counts(machine: Machine, probe: ProcessProbe) -> None:
    machine.run(70, 500, state="T")
    machine.is_now(70, 500)
    assert probe.read(T0)


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '{"pid": 70}', '{"pid": "x", "start_ticks": 1}', "x"])
def test_a_pid_file_half_written(machine: Machine, probe: ProcessProbe, content: str) -> None:
    machine.pidfile.write_text(content, encoding="utf-8")
    assert probe.read(T0) == []
    assert probe.missing == {"volume-1": "the pid file is not readable as one"}


def test_a_bare_number_is_a_pid_file(machine: Machine, probe: ProcessProbe) -> None:
    machine.run(70, 500)
    machine.pidfile.write_text("70\n", encoding="utf-8")
    assert probe.read(T0)


def test_no_pid_file(probe: ProcessProbe) -> None:
    assert probe.read(T0) == []
    assert probe.missing == {"volume-1": "no pid file (No such file or directory)"}


def test_one_dead_process_hides_no_other(machine: Machine) -> None:
    machine.run(70, 500)
    targets = [
        ProcessTarget("gone", identity=lambda: None),
        ProcessTarget("here", identity=lambda: (70, 500)),
    ]
    probe = ProcessProbe(targets, machine.root)
    assert {s.subject for s in probe.read(T0)} == {"here"}
    assert probe.missing == {"gone": "it is not running"}


def test_somebody_elses_descriptors(machine: Machine, probe: ProcessProbe) -> None:
    machine.run(70, 500)
    machine.is_now(70, 500)
    for descriptor in (machine.root / "70/fd").iterdir():
        descriptor.unlink()
    (machine.root / "70/fd").rmdir()
    assert set(of(probe.read(T0), "volume-1")) == {"rss_bytes", "threads"}
    assert set(probe.missing) == {"volume-1 open_files"}


def test_a_target_that_nobody_identifies() -> None:
    with pytest.raises(ProbeError, match="who"):
        ProcessProbe([ProcessTarget("who")]).read(T0)


def test_ourselves() -> None:
    samples = ProcessProbe([own_process()]).read(T0)
    assert of(samples, "maul")["threads"] >= 1
    assert of(samples, "maul")["open_files"] >= 3
