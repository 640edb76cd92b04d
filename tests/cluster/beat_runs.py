"""maul as a person runs it: a process of its own, its words in a file, and signals."""

import json
import os
import signal
import subprocess  # noqa: TID251 — the tests are the person at the keyboard
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from maul.cli.main import run
from maul.record import RunReader
from waiting import wait_for

MAUL = (sys.executable, "-m", "maul")

CAMPAIGN = """\
version: 1
name: short
site: lab
target: {endpoints: [vip], bucket: BUCKET}
workload: {objects: 120, size: 4KiB, keys: uniform, mix: {get: 60, put: 30, delete: 5, head: 5}}
load: {request_timeout: 2s, connect_timeout: 1s, connections: 32, in_flight: 32}
phases:
  - {name: fill, kind: prepare, concurrency: 8}
  - {name: hurt, kind: load, rate: 50/s, for: SECONDS}
  - {name: audit, kind: audit, concurrency: 8, list: true}
  - {name: tidy, kind: clean-up, concurrency: 8}
faults:
  - {name: kill-volume, fault: process.kill, role: volume, pick: 1, phase: hurt, after: 1s, hold: 3s}
objectives:
  - {name: available, phases: [hurt], errors_below: 50%}
seed: 7
"""


def campaign(path: Path, *changes: tuple[str, str], bucket: str = "maul-short", seconds: str = "8s") -> Path:
    """The short campaign in a file, with pieces of it replaced."""
    text = CAMPAIGN.replace("BUCKET", bucket).replace("SECONDS", seconds)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


class Beat:
    """`maul beat` in a folder of its own. Leaving the block ends it, whatever happened."""

    def __init__(
        self, folder: Path, *words: object, before: Callable[[], None] | None = None, verb: str = "beat"
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.words = folder, folder / "words"
        with self.words.open("wb") as words_file:
            self.process = subprocess.Popen(
                (*MAUL, verb, *map(str, words)),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=words_file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=before,  # noqa: PLW1509 — one thread only sets a limit there
            )

    def __enter__(self) -> "Beat":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    @property
    def said(self) -> str:
        return self.words.read_text(encoding="utf-8", errors="replace")

    def until(self, text: str, limit_s: float = 40.0) -> "Beat":
        """Wait until it has said this."""
        assert wait_for(lambda: text in self.said or self.process.poll() is not None, limit_s), self.said
        assert text in self.said, self.said
        return self

    def signal(self, number: int) -> int:
        """Send a signal; when that was, in Unix nanoseconds."""
        self.process.send_signal(number)
        return time.time_ns()

    def end(self, limit_s: float = 60.0) -> int:
        """Its exit code."""
        code = self.process.wait(limit_s)
        assert "Traceback" not in self.said, self.said
        return code

    @property
    def record(self) -> RunReader:
        return RunReader.open("latest", self.folder / "runs")


def maul(capsys, *words: object) -> tuple[int, str, str]:
    """One verb in this process: exit code, stdout, stderr."""
    capsys.readouterr()
    code = run([str(word) for word in words])
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


def keys_in(conf: Path) -> list[str]:
    """Every access and secret key of a lab."""
    found = [json.loads((conf / name).read_text()) for name in ("credentials.json", "credentials-reader.json")]
    return [value for one in found for value in (one["access_key"], one["secret_key"])]


def everything_in(run: RunReader) -> bytes:
    """Every byte of a run directory, and every row of its tables: Parquet packs them."""
    files = [path.read_bytes() for path in sorted(run.path.rglob("*")) if path.is_file()]
    tables = [json.dumps(table.to_pylist(), default=str) for table in (run.events(), run.samples())]
    return b"\n".join([*files, *(table.encode() for table in tables)])


def left_in_state() -> Sequence[str]:
    """Labs and journals that somebody left in maul's state, but for the shared lab's own."""
    state = Path(os.environ["MAUL_STATE"])
    return sorted(str(path) for folder in ("labs", "undo") for path in (state / folder).glob("*"))


INTERRUPT, KILL = signal.SIGINT, signal.SIGKILL
