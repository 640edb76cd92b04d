"""The agent's own disk: batches stay there until the conductor says that it has them.

FOLDER/RUN/ENGINE/about.json    whose they are
FOLDER/RUN/ENGINE/17.batch      the 17th batch
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maul.core.errors import MachineError
from maul.core.generator import Drained
from maul.fleet.batch import encode

BYTES_MAX = 1 << 30
"""Of one engine. Operation records are given up first: what counts is in the histograms."""
_SLIM_PART = 0.8
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}")
_ABOUT = "about.json"


class EngineSpool:
    """The batches of one engine, numbered from 1."""

    def __init__(self, folder: Path, bytes_max: int = BYTES_MAX) -> None:
        """Continues what is there."""
        self.folder, self._bytes_max = folder, bytes_max
        self._sizes = {int(path.stem): path.stat().st_size for path in folder.glob("*.batch")}
        self.last = max(self._sizes, default=0)
        self.operations_lost = 0
        self.batches_lost = 0

    def put(self, drained: Drained) -> None:
        """Keep a batch; an empty one is none. A full disk costs results, never the agent."""
        if not (drained.latency or len(drained.operations) or drained.exhibits):
            return
        room = self._bytes_max - sum(self._sizes.values())
        content = encode(drained)
        if len(content) > room - (1 - _SLIM_PART) * self._bytes_max:
            content = encode(drained, operations=False)
            self.operations_lost += len(drained.operations)
        try:
            if len(content) > room:
                raise OSError("the spool is full")
            path = self._path(self.last + 1)
            temporary = path.with_suffix(".part")
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError:
            self.batches_lost += 1
            return
        self.last += 1
        self._sizes[self.last] = len(content)

    def after(self, acknowledged: int, bytes_max: int) -> list[tuple[int, bytes]]:
        """Batches behind that one, the oldest first, at least one and about so many bytes."""
        found: list[tuple[int, bytes]] = []
        size = 0
        for number in sorted(self._sizes):
            if number <= acknowledged:
                continue
            if found and size + self._sizes[number] > bytes_max:
                break
            found.append((number, self._path(number).read_bytes()))
            size += self._sizes[number]
        return found

    def forget(self, acknowledged: int) -> None:
        """Remove batches up to that one: the conductor has them."""
        for number in [number for number in self._sizes if number <= acknowledged]:
            self._path(number).unlink(missing_ok=True)
            del self._sizes[number]

    def holds(self, acknowledged: int = 0) -> bool:
        """Whether there is anything behind that one."""
        return any(number > acknowledged for number in self._sizes)

    def note(self, about: Mapping[str, Any]) -> None:
        """Write down whose they are."""
        (self.folder / _ABOUT).write_text(json.dumps(dict(about)), encoding="utf-8")

    def about(self) -> Mapping[str, Any]:
        """What was written when it began; empty when that cannot be read."""
        try:
            found = json.loads((self.folder / _ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.batch"


class Spool:
    """All engines' batches of one agent."""

    def __init__(self, folder: Path, bytes_max: int = BYTES_MAX) -> None:
        """`folder` is made when it is needed."""
        self.folder, self._bytes_max = folder, bytes_max

    def begin(self, run: str, engine: str, about: Mapping[str, Any]) -> EngineSpool:
        """A place for a new engine. MachineError when it cannot be made."""
        folder = self._place(run, engine)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = EngineSpool(folder, self._bytes_max)
            found.note(about)
        except OSError as error:
            raise MachineError(f"cannot keep results: {error.strerror}", str(folder), "make room there") from error
        return found

    def engine(self, run: str, engine: str) -> EngineSpool | None:
        """What is kept of that engine."""
        folder = self._place(run, engine)
        return EngineSpool(folder, self._bytes_max) if folder.is_dir() else None

    def runs(self) -> tuple[str, ...]:
        """Runs of which something is kept."""
        return tuple(sorted(path.name for path in self.folder.glob("*") if path.is_dir() and _holds_any(path)))

    def engines(self, run: str) -> tuple[str, ...]:
        """Engines of a run of which something is kept."""
        folder = self._place(run)
        return tuple(sorted(path.name for path in folder.glob("*") if path.is_dir()))

    def drop(self, run: str, engine: str) -> None:
        """Forget an engine: everything was fetched."""
        shutil.rmtree(self._place(run, engine), ignore_errors=True)
        folder = self._place(run)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def _place(self, *names: str) -> Path:
        """Only names inside the folder, whatever a conductor asks for."""
        if not all(_SAFE.fullmatch(name) for name in names):
            raise MachineError("this is no name of a run or an engine", repr(names))
        return self.folder.joinpath(*names)


def _holds_any(folder: Path) -> bool:
    return next(folder.glob("*/*.batch"), None) is not None
