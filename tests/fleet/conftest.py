"""A real scheduler and real agents, one process each, shared by the tests of the fleet."""

import os
import signal
import subprocess  # noqa: TID251 — agents are processes
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from maul.fleet import certificates
from maul.fleet.connection import Fleet
from waiting import wait_for

HERE = Path(__file__).parent


@dataclass
class Town:
    """Where the processes of these tests live."""

    path: Path
    address: str = ""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def certificates(self) -> Path:
        return self.path / "certificates"

    @property
    def temporary(self) -> Path:
        """What all of them take for /tmp."""
        return self.path / "tmp"

    def log(self, name: str) -> Path:
        return self.path / f"{name}.log"

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.path.glob("*.log")))

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        self.temporary.mkdir(exist_ok=True)
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *words],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "TMPDIR": str(self.temporary)},
            )
        self.processes[name] = process
        return process

    def agent(self, name: str, *options: str, holds: str = "") -> subprocess.Popen[bytes]:
        """Start an agent; `holds`: whose certificate it has, if it is not its own."""
        certificates.init(self.certificates, [name])
        folder = str(self.path / "homes" / name)
        words = (str(HERE / "agent_process.py"), self.address, name, str(self.certificates), folder)
        return self.start(name, *words, *options)

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait(10)


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("town"))
    certificates.init(town.certificates, [])
    address = town.path / "address"
    words = ("--certificates", str(town.certificates), "--address-file", str(address))
    town.start("scheduler", "-m", "maul.fleet.scheduler", *words)
    assert wait_for(address.exists), town.logs()
    town.address = address.read_text().strip()
    os.environ.pop("DASK_CONFIG", None)
    for name in ("one", "two"):
        town.agent(name)
    with Fleet.connect(town.address, town.certificates) as fleet:
        assert not fleet.wait_for(["one", "two"], 20), town.logs()
    yield town
    for name in list(town.processes):
        town.end(name)
    assert list(town.temporary.iterdir()) == [], "who is killed leaves nothing behind"


@pytest.fixture
def fleet(town: Town) -> Iterator[Fleet]:
    with Fleet.connect(town.address, town.certificates) as connected:
        yield connected
