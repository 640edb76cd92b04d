"""The agent's process put together: the fleet's agent with this machine's real engine."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maul import __version__
from maul.core.generator import Generator
from maul.fleet.agent import Join
from maul.fleet.agent import run as run_agent
from maul.fleet.duty import Maker
from maul.hosts.machine import this_machine
from maul.hosts.places import state_directory
from maul.load import RustGenerator
from maul.load.rust import engine_version
from maul.record.calibrations import read_calibration


def agent_maker() -> Maker:
    """Real engines, and the ceiling that `maul calibrate` found here."""
    return Maker(make=_make, engine_version=engine_version(), ceiling_per_s=_ceiling)


def serve(join: Join, say: Callable[[str], None]) -> None:
    """Be that agent until SIGTERM. MachineError when it cannot."""
    run_agent(join, agent_maker(), say)


def agent_directory(name: str) -> Path:
    """Where an agent keeps its files when it is not told."""
    return state_directory() / "agent" / name


def _make(plan: Mapping[str, Any], trace: bytes | None) -> Generator:
    return RustGenerator(plan, trace)


def _ceiling() -> float | None:
    """Requests per second of all cores, by the open loop of the calibration; None when it was never measured."""
    machine = this_machine()
    found = read_calibration(state_directory(), machine, __version__)
    if found is None or found.open_loop is None:
        return None
    return found.open_loop.per_s * machine.cores
