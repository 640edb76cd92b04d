"""Plans for the agents of these tests, and somebody who counts what they send."""

import socket  # noqa: TID251 — counts what comes
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from maul.core.clock import SystemClock

CLOCK = SystemClock()


@dataclass
class Counted:
    """Datagrams by sender, and when the last one came (monotonic nanoseconds of this process' clock)."""

    port: int
    by_agent: Counter[str] = field(default_factory=Counter)
    last_ns: dict[str, int] = field(default_factory=dict)


@contextmanager
def counting() -> Iterator[Counted]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
        inbox.bind(("127.0.0.1", 0))
        inbox.settimeout(0.05)
        counted, ended = Counted(inbox.getsockname()[1]), threading.Event()

        def count() -> None:
            while not ended.is_set():
                try:
                    name = inbox.recv(100).decode()
                except TimeoutError:
                    continue
                counted.by_agent[name] += 1
                counted.last_ns[name] = CLOCK.now_ns()

        thread = threading.Thread(target=count)
        thread.start()
        try:
            yield counted
        finally:
            ended.set()
            thread.join(5)


def steady(agent: str, port: int, **changes: Any) -> dict[str, Any]:
    """A plan of agent_process.py."""
    return {"mode": "steady", "agent": agent, "port": port, "rate": 50, "seconds": 2.0, "lease_ms": 3000, **changes}
