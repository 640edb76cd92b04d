"""Namespaces for tests: made, or the reason why this machine does not make them."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from maul.core.errors import MachineError
from maul.hosts.host import ProcessId, SpawnSpec
from maul.hosts.local import LocalHost
from maul.lab.net_preflight import PATH, namespace_door

MACHINE = LocalHost()


@contextmanager
def held_namespace(directory: Path) -> Iterator[ProcessId]:
    """A process that holds a network and a mount namespace of its own. Skips the test where that is forbidden."""
    try:
        door = namespace_door(MACHINE)
    except MachineError as error:
        pytest.skip(f"no namespaces here: {error.message}")
    argv = (*door.first, "sleep", "60")
    holder = MACHINE.spawn(SpawnSpec(argv, directory, directory / "holder.log", {"PATH": PATH}))
    try:
        for _ in range(100_000):
            state = MACHINE.process(holder)
            assert state is not None, (directory / "holder.log").read_text()
            if state.argv[:1] == ("sleep",):
                break
        yield holder
    finally:
        MACHINE.signal(holder, signal.SIGKILL)
