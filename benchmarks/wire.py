"""The engine against wrk on the same nginx, in the same run: CPU per request, or per byte, as a ratio. `make bench`.

The server has core 0, the clients core 1, and they take turns. Large bodies are compared by CPU per byte.
nginx reads the bodies of PUTs and throws them away; its files are maul bodies, fetched from the null server. wrk waits
for the body of a HEAD in vain, so a HEAD is held against its GET of an empty file.
"""

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import nginx
from frame import tell

from maul.core.calibration import Family
from maul.load import NullServer
from maul.plan.calibrating import OBJECTS, RUN, Cell, Trial, trial_plan
from maul.plan.engine_plan import Checksum, ChecksumName

ROUNDS = 5
SECONDS = 2
CONNECTIONS = 16
TURN = Path(__file__).resolve().parent / "engine_turn.py"
_UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}


@dataclass(frozen=True)
class Contest:
    """One operation, and how much more CPU than wrk's it may take."""

    op: Family
    size: int
    goal: float
    by_byte: bool = False
    trailer: ChecksumName | None = None
    """Bodies go in unsigned chunks with this checksum behind them; wrk's go as they are."""


CONTESTS = (
    Contest("get", 4096, 1.3),
    Contest("head", 4096, 1.3),
    Contest("put", 4096, 1.5),
    Contest("put", 4096, 1.5, trailer="crc32c"),
    Contest("put", 4096, 1.5, trailer="sha256"),
    Contest("get", 2**20, 1.25, by_byte=True),
    Contest("get-verified", 2**20, 1.25, by_byte=True),
    Contest("get-verified", 64 * 2**20, 1.25, by_byte=True),
)


def main() -> int:
    """Measure and print."""
    missing = [name for name in ("nginx", "wrk", "taskset") if shutil.which(name) is None]
    if missing or (os.cpu_count() or 1) < 2:
        sys.stderr.write(f"bench: needs two cores, nginx, wrk and taskset; missing: {', '.join(missing) or 'a core'}\n")
        return 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bodies(folder / "www")
        with nginx.serving(folder):
            for scheme, port in (("http", nginx.HTTP_PORT), ("https", nginx.HTTPS_PORT)):
                for contest in CONTESTS:
                    compare(contest, f"{scheme}://127.0.0.1:{port}", folder)
    return 0


def write_bodies(root: Path) -> None:
    """The objects that trials ask for, as maul would have written them."""
    with NullServer(run=RUN) as server:
        for size in sorted({contest.size for contest in CONTESTS}):
            for index in range(OBJECTS):
                path = f"null-{size}/maul/calibrate/b{index:012x}"
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                with urlopen(f"{server.url}/{path}", timeout=30) as answer:
                    (root / path).write_bytes(answer.read())


def compare(contest: Contest, base: str, folder: Path) -> None:
    """Take turns; print the medians and their ratio."""
    ours, theirs = [], []
    for turn in range(ROUNDS + 1):
        pair = (wrk(contest, base, folder), maul(contest, base, folder))
        if turn:  # the first round warms up
            theirs.append(pair[0])
            ours.append(pair[1])
    wrk_us, maul_us = statistics.median(theirs), statistics.median(ours)
    per = "MiB" if contest.by_byte else "request"
    size = f"{contest.size // 2**20} MiB" if contest.size >= 2**20 else f"{contest.size // 1024} KiB"
    ratio = maul_us / wrk_us
    trailer = f" with {contest.trailer} trailer" if contest.trailer else ""
    what = f"{base.partition(':')[0]} {contest.op} {size}{trailer}: wrk {wrk_us:.1f} µs/{per}"
    tell(what, f"maul {maul_us:.1f} µs, {ratio:.2f}×", f"<= {contest.goal:g}×", ratio <= contest.goal)


def connections(contest: Contest) -> int:
    """Fewer where bodies are large."""
    return CONNECTIONS if contest.size < 2**24 else 2


def wrk(contest: Contest, base: str, folder: Path) -> float:
    """CPU microseconds per request, or per MiB."""
    script = folder / "wrk.lua"
    method = "PUT" if contest.op == "put" else "GET"
    body = f'wrk.body = string.rep("x", {contest.size})\n' if contest.op == "put" else ""
    script.write_text(f'wrk.method = "{method}"\n{body}', encoding="ascii")
    url = f"{base}/empty" if contest.op == "head" else f"{base}/null-{contest.size}/maul/calibrate/b{0:012x}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    count = str(connections(contest))
    out = pinned(["wrk", "-t1", "-c", count, "-d", f"{SECONDS}s", "-s", str(script), url])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seen = re.search(r"(\d+) requests in [^,]+, ([0-9.]+)([KMG]?B) read", out)
    if seen is None or "Non-2xx" in out:
        raise SystemExit(f"bench: wrk said {out}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return each_us(contest, cpu, int(seen[1]), float(seen[2]) * _UNITS[seen[3]])


def maul(contest: Contest, base: str, folder: Path) -> float:
    """The same of the engine, signed."""
    cell = Cell(contest.op, contest.size, "https" if base.startswith("https") else "http")
    plan = trial_plan(Trial(cell, float(SECONDS), (1,), ()), base)
    many = connections(contest)
    limits = plan.limits.model_copy(update={"in_flight": many, "connections": many})
    arrivals = plan.arrivals.model_copy(update={"concurrency": many})
    s3 = plan.s3
    if contest.trailer:
        checksum = Checksum(algorithm=contest.trailer, place="trailer")
        s3 = s3.model_copy(update={"payload": "unsigned-trailer", "checksum": checksum})
    plan = plan.model_copy(update={"limits": limits, "arrivals": arrivals, "s3": s3})
    path = folder / "plan.json"
    path.write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")
    found = json.loads(pinned([sys.executable, str(TURN), str(path), str(folder / "ca.pem")]))
    if found["ok"] != found["completed"] or not found["ok"]:
        raise SystemExit(f"bench: {contest.op} was not answered well: {found['last_error']}")
    return each_us(contest, found["cpu_seconds"], found["ok"], found["bytes"])


def each_us(contest: Contest, cpu_seconds: float, requests: int, moved: float) -> float:
    """CPU microseconds for each request, or each MiB that came."""
    return cpu_seconds * 1e6 / (moved / 2**20 if contest.by_byte else requests)


def pinned(argv: list[str]) -> str:
    """Run on core 1; its standard output."""
    keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-secret"}
    done = subprocess.run(
        ["taskset", "-c", "1", *argv],
        capture_output=True,
        text=True,
        timeout=SECONDS * 10 + 30,
        env={**os.environ, **keys},
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(argv[:4])} failed: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
