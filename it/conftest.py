"""One lab with a network for all demonstrations, and a check after each that nothing was left in it, and of it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from leftovers import left_since, traces
from maul.core.errors import MachineError
from maul.lab import cluster
from maul.lab.net_preflight import namespace_door
from maul.lab.wiring import Wiring
from net_lab import MACHINE, NetLab
from waiting import wait_for

UPLINK_BPS, CUSTOMERS_BPS = 40e6, 4e6


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--plays DIR`: what is seen of every cause that is played is recorded there."""
    parser.addoption("--plays", type=Path, default=None, metavar="DIR", help="record every play of the causes there")


@pytest.fixture
def record_plays(request: pytest.FixtureRequest) -> Path | None:
    """Where plays are recorded; None: they are not."""
    found: Path | None = request.config.getoption("--plays")
    return found


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where all of it lives. Skips everything where the kernel allows no namespaces."""
    try:
        namespace_door(MACHINE)
    except MachineError as error:
        pytest.skip(f"no network of our own here: {error.message}")
    base = tmp_path_factory.mktemp("it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAUL_STATE", str(base / "state"))
        patch.setenv("PYTHONPYCACHEPREFIX", str(base / "compiled"))
        before = traces(base)
        yield base
        assert left_since(base, before, 10.0) == {}


@pytest.fixture(scope="session")
def standing(base: Path) -> Iterator[NetLab]:
    """The lab, up for the whole session."""
    lab = cluster.up("lab", wiring=Wiring(UPLINK_BPS, CUSTOMERS_BPS))
    folder = base / "files"
    folder.mkdir()
    try:
        yield NetLab(lab, folder)
    finally:
        lab.down()
        assert os.listdir(lab.directory) == ["logs"]  # noqa: PTH208


@pytest.fixture
def net_lab(standing: NetLab) -> Iterator[NetLab]:
    """The lab as it was built, every role and customer well; and nobody new lives in it afterwards."""
    assert wait_for(lambda: all(status.healthy for status in standing.lab.status()), 30), standing.lab.status()
    before = standing.dwellers()
    yield standing
    wait_for(lambda: standing.dwellers() <= before, 10)
    left = {process: MACHINE.process(process) for process in standing.dwellers() - before}
    for process in left:
        MACHINE.signal(process, signal.SIGKILL)
    assert not left, f"left in the lab: {left}"
