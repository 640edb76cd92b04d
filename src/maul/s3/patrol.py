"""Knocks from a host of the site for a conductor elsewhere: the other half of `probes.host_lookout`.

Only the standard library (3.9 on), Linux, relative imports: sent there with `doorstep` and `tcp_line`, and run as a
program of its own. It reads its orders from one file and prints a line of JSON for each attempt. It ends by itself, and
takes its folder with it: after its time, or when nobody has touched the orders for the length of its lease.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from .doorstep import PACE_S, due_s, knock, last_sent
from .tcp_line import Gate

ORDERS, JOB = "orders.json", "job.json"
_LOOK_S = 0.1
_TOLD_BYTES_MAX = 64 * 2**20


def words_of(gate: Gate) -> dict[str, Any]:
    """A gate as JSON."""
    names = ("address", "port", "host", "server_name", "source", "ca_pem")
    ports = None if gate.ports is None else sorted(gate.ports)
    return {"tls": gate.context is not None, "ports": ports, **{name: getattr(gate, name) for name in names}}


def gate_of(words: dict[str, Any]) -> Gate:
    """The reverse of `words_of`; verifies chain, name and dates as ever."""
    plain = {name: value for name, value in words.items() if name not in ("tls", "ports")}
    plain["ports"] = None if words["ports"] is None else frozenset(words["ports"])
    if not words["tls"]:
        return Gate(**plain)
    context = ssl.create_default_context(cadata=words["ca_pem"] or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return Gate(context=context, **plain)


class Orders:
    """What the conductor wants: `quiet`, and an `ask` with an `id`. The file's time says that it still lives."""

    def __init__(self, path: Path) -> None:
        """Not looked at yet."""
        self._path = path
        self._touched_ns = 0
        self.heard = time.monotonic()
        self.quiet = False
        self.asked: dict[str, Any] = {}

    def look(self) -> None:
        """Read again, if it was touched. A file that is not there, or is no order, changes nothing."""
        with contextlib.suppress(OSError, ValueError):
            touched_ns = os.stat(self._path).st_mtime_ns  # noqa: PTH116
            if touched_ns != self._touched_ns:
                self._touched_ns, self.heard = touched_ns, time.monotonic()
                found = json.loads(self._path.read_text(encoding="utf-8"))
                self.quiet, self.asked = bool(found["quiet"]), dict(found["ask"])


def patrol(folder: Path) -> None:
    """Until it is over."""
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    gates = {name: gate_of(words) for name, words in job["gates"].items()}
    routine, done = {"id": 0, "endpoint": job["endpoint"], "port": 0, "large": False}, 0
    orders, until, told = Orders(folder / ORDERS), time.monotonic() + job["for_s"], 0
    last = time.monotonic() - max(job["every_s"], PACE_S)
    while time.monotonic() < until and told < _TOLD_BYTES_MAX:
        orders.look()
        if time.monotonic() - orders.heard > job["lease_s"]:
            return
        asked = orders.asked.get("id", 0) > done and orders.asked.get("endpoint") in gates
        if due_s(time.monotonic(), last, job["every_s"], quiet=orders.quiet, asked=asked) > 0:
            time.sleep(_LOOK_S)
            continue
        question = orders.asked if asked else routine
        done = max(done, question["id"])
        began, at_ns = time.monotonic(), time.time_ns()
        seen = knock(gates[question["endpoint"]], question["port"], question["large"])
        last = last_sent(began, time.monotonic())
        told += sys.stdout.write(json.dumps({"id": question["id"], "at_ns": at_ns, **seen}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    try:
        patrol(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)
