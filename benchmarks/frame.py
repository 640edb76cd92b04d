"""What the benches have in common: a line of figures, a goal beside it, and a null server in a process of its own.

A bench is a module with `main() -> int`. Every figure is printed with the goal that it is held against; a missed goal
makes no error, because a noisy machine is none.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maul.load import RustGenerator
from maul.plan import EnginePlan, with_secrets
from maul.plan.calibrating import RUN
from maul.s3.credentials import Credentials

KEYS = Credentials("bench", "bench-secret")


def tell(what: str, figure: str, goal: str = "", met: bool | None = None) -> None:
    """One line."""
    mark = {True: "met", False: "MISSED", None: ""}[met]
    print(f"{what:<46}{figure:>26}   {goal:<22}{mark}", flush=True)


def finished(plan: EnginePlan, patience_s: float = 30.0) -> tuple[Any, Any]:
    """Run an engine plan to its end: (status, latency rows)."""
    generator = RustGenerator(with_secrets(plan, KEYS, {}))
    generator.start()
    if not generator.join(plan.limits.seconds + patience_s):
        generator.stop("bench: overdue", now=True)
        generator.join(5.0)
    return generator.status(), generator.drain().latency


@contextmanager
def server_apart(cores: tuple[int, ...]) -> Iterator[str]:
    """The URL of a null server in a process of its own, so that its memory and its descriptors are not ours."""
    argv = [sys.executable, str(Path(__file__).resolve()), json.dumps(cores)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise SystemExit("bench: the server has no output")
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def rss_bytes() -> int:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def _serve(cores: tuple[int, ...]) -> None:
    from maul.load import NullServer  # noqa: PLC0415 - only where it is the server

    with NullServer(run=RUN, threads=len(cores), pin=cores) as server:
        print(server.url, flush=True)
        time.sleep(600)  # at most; whoever started it ends it


if __name__ == "__main__":
    _serve(tuple(json.loads(sys.argv[1])))
