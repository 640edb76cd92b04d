"""A text that grows line by line while a run goes, and never beyond a bound."""

import os
from pathlib import Path

from maul.record.files import write_all

BYTES_MAX = 256 << 20


class LineFile:
    """Each line is written at once and whole; what a kill leaves may end in half a line."""

    def __init__(self, path: Path, bytes_max: int = BYTES_MAX) -> None:
        """Open it to append. OSError."""
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._left = bytes_max - os.fstat(self._fd).st_size

    def add(self, line: str) -> bool:
        """One line; False when there is no room for it any more. OSError when the disk refuses."""
        data = line.encode() + b"\n"
        if self._fd < 0 or len(data) > self._left:
            self._left = 0  # a gap in the middle would be read as silence
            return False
        self._left -= len(data)
        write_all(self._fd, data)
        return True

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
