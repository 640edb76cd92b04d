"""One real lab for the whole session, and a check after every test that nothing was left running."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maul.lab import cluster
from maul.lab.cluster import Lab


@pytest.fixture(scope="session")
def lab_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where every lab and every state of these tests lives. The space in its name is meant."""
    base = tmp_path_factory.mktemp("labs of tests")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAUL_STATE", str(base / "state"))
        yield base


@pytest.fixture(scope="session")
def lab(lab_base: Path) -> Iterator[Lab]:
    """A lab that is up. Tests may hurt it if they heal it."""
    lab = cluster.up("shared", lab_base / "shared")
    yield lab
    lab.down()
    assert running_in(lab_base) == {}


@pytest.fixture(scope="session")
def look_for_leaks(lab_base: Path) -> Callable[[], dict[int, str]]:
    """Processes of ours that are not the shared lab's."""
    return lambda: {pid: line for pid, line in running_in(lab_base).items() if str(lab_base / "shared") not in line}


@pytest.fixture(autouse=True)
def nothing_leaks(look_for_leaks: Callable[[], dict[int, str]]) -> Iterator[None]:
    """Every test ends what it started."""
    yield
    assert look_for_leaks() == {}


def running_in(base: Path) -> dict[int, str]:
    """Processes whose working directory or command line lies under `base`: pid → both, for people."""
    found = {}
    for proc in Path("/proc").iterdir():
        if not proc.name.isdigit() or int(proc.name) == os.getpid():
            continue
        try:
            here = str((proc / "cwd").readlink())
            line = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(base) in here or str(base) in line:
            found[int(proc.name)] = f"{here}: {line}"
    return found
