"""An agent whose generator can misbehave: `python agent_process.py ADDRESS NAME CERTIFICATES FOLDER [--wire N]`.

The plan says how, in its key `mode`:

    (none)      the real engine
    steady      plan["rate"] arrivals per second, each one datagram to plan["port"] of loopback, for plan["seconds"]
    hang        prepare never returns           sluggish    every status takes plan["seconds"]
    garbage     beats are answered with noise   liar        the clock jumps by plan["jump_s"] when the engine begins
    refuse      prepare fails with a text that holds the plan's secret key
    deaf        begin does nothing and confirms
"""

import argparse
import os
import socket  # noqa: TID251 — what it sends
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from maul.core.clock import SystemClock
from maul.core.generator import Drained, Generator, GeneratorState, GeneratorStatus
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.operation import OPERATION_DTYPE
from maul.fleet import actor
from maul.fleet.agent import Join, run
from maul.fleet.duty import Maker
from maul.load import RustGenerator

MODE: dict[str, Any] = {"name": "steady", "jump_ns": 0}


class JumpingClock(SystemClock):
    def now_ns(self) -> int:
        return super().now_ns() + MODE["jump_ns"]


class SteadyGenerator:
    """Python's own: one arrival every 1/rate, sent at once as a datagram, latency 1 ms. Keeps its lease itself."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._plan, self._clock = plan, SystemClock()
        self._zero_ns = self._lease_ns = 0
        self._sent = self._given = self._withheld = 0
        self._part, self._reason = 1.0, ""
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, at_ns: int | None = None) -> None:
        if self._plan["mode"] == "deaf":
            return
        self._zero_ns = at_ns or self._clock.now_ns()
        self._lease_ns = max(self._zero_ns, self._clock.now_ns()) + self._plan["lease_ms"] * 1_000_000
        self._thread.start()

    def _run(self) -> None:
        rate, seconds = self._plan["rate"], self._plan["seconds"]
        seen = max(0, round((self._clock.now_ns() - self._zero_ns) / 1e9 * rate))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self._done.is_set():
                now_ns = self._clock.now_ns()
                if now_ns > self._lease_ns:
                    self._reason = self._reason or "lease"
                elapsed_s = (now_ns - self._zero_ns) / 1e9
                if self._reason or elapsed_s > seconds:
                    break
                while seen < elapsed_s * rate:
                    seen += 1
                    if seen * self._part % 1 < self._part:
                        out.sendto(self._plan["agent"].encode(), ("127.0.0.1", self._plan["port"]))
                        with self._lock:
                            self._sent += 1
                    else:
                        with self._lock:
                            self._withheld += 1
                self._done.wait(0.01)
        self._reason = self._reason or "completed"
        self._done.set()

    def status(self) -> GeneratorStatus:
        if self._plan["mode"] == "sluggish":
            time.sleep(self._plan["seconds"])
        state = GeneratorState.READY
        if self._zero_ns:
            state = GeneratorState.DONE if self._done.is_set() else GeneratorState.RUNNING
        with self._lock:
            return GeneratorStatus(
                state,
                self._reason,
                offered=self._sent,
                started=self._sent,
                completed=self._sent,
                ok=self._sent,
                withheld=self._withheld,
                began_ns=self._zero_ns,
            )

    def drain(self) -> Drained:
        with self._lock:
            count, self._given = self._sent - self._given, self._sent
        if not count:
            return Drained([], np.empty(0, OPERATION_DTYPE))
        histogram = Histogram()
        histogram.record(1_000_000, count)
        second = self._clock.now_ns() // 10**9
        rows = [LatencyRow(second, 1, 0, LatencyKind.LATENCY, count, histogram.to_v2())]
        operations = np.zeros(count, OPERATION_DTYPE)
        operations["due_ns"] = self._clock.now_ns()
        operations["key"] = np.arange(self._given - count, self._given)
        return Drained(rows, operations)

    def renew(self, for_s: float | None = None) -> None:
        lease_s = self._plan["lease_ms"] / 1000
        self._lease_ns = max(self._lease_ns, self._clock.now_ns() + int(min(lease_s, for_s or lease_s) * 1e9))

    def throttle(self, part: float) -> None:
        self._part = part

    def stop(self, reason: str, *, now: bool = False) -> None:
        self._reason = self._reason or reason

    def join(self, timeout_s: float) -> bool:
        return bool(self._zero_ns) and self._done.wait(timeout_s)


def make(plan: Mapping[str, Any], trace: bytes | None) -> Generator:
    if "mode" not in plan:
        return RustGenerator(plan, trace)
    MODE["name"] = plan["mode"]
    if plan["mode"] == "hang":
        time.sleep(60)
    if plan["mode"] == "refuse":
        raise RuntimeError(f"cannot use {plan['s3']['secret_key']}")
    if plan["mode"] == "liar":
        threading.Timer(plan["after_s"], MODE.update, [{"jump_ns": int(plan["jump_s"] * 1e9)}]).start()
    return SteadyGenerator(plan)


def noisy_answer(answer: Any, honest: Any = actor.pack_answer) -> bytes:
    return os.urandom(2000) if MODE["name"] == "garbage" else honest(answer)


def make_clock() -> JumpingClock:
    MODE.update(name="steady", jump_ns=0)  # a new conductor: honest again
    return JumpingClock()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("address", "name", "certificates", "folder"):
        parser.add_argument(name)
    parser.add_argument("--wire", type=int)
    options = parser.parse_args()
    actor.pack_answer = noisy_answer
    join = Join(options.address, options.name, Path(options.certificates), Path(options.folder))
    if options.wire is not None:
        join = Join(join.address, join.name, join.certificates, join.folder, wire=options.wire)
    run(join, Maker(make, "test", clock=make_clock), lambda text: sys.stdout.write(text + "\n"))


if __name__ == "__main__":
    main()
