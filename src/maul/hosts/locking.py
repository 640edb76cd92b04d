"""One maul at a time in a directory. The lock is the directory itself: nothing to clean up, gone with its holder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from maul.core.errors import MachineError


@contextlib.contextmanager
def locked(directory: Path, whose: str) -> Iterator[None]:
    """Hold the directory of `whose` ("this lab") for the block. MachineError when it is held, or not there."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise MachineError(f"cannot open the directory of {whose}: {error.strerror}", str(directory)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(f"another maul is working on {whose}", str(directory), "wait for it") from None
        yield
    finally:
        os.close(descriptor)
