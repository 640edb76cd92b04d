"""Load into a port whose packets vanish, then an abort; prints what was counted on the way into the dark, as JSON.

To be run in a network namespace of its own.
"""

import json
import signal
import subprocess  # noqa: TID251 — ip and nft
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from engine_plans import engine_plan
from maul.core.clock import SystemClock
from maul.load import NullServer, RustGenerator

CLOCK = SystemClock()
RUN = 7
PUTS = {
    "mix": [{"op": "put", "weight": 1.0}],
    "sizes": {"kind": "fixed", "bytes": 4 << 20},
    "keyspace": {"fixed_key": None},
    "limits": {"bytes_per_s": 1e11, "bytes": 10**12},
}
CLOSED = {"mode": "closed", "concurrency": 40, "seconds": 30.0, "requests": None, "think": None}
SYNS = {"connect_ms": 2000, "request_ms": 20_000}
RULES = """
table inet dark {{
    counter resets {{ }}
    counter others {{ }}
    chain way_in {{
        type filter hook input priority 0; policy accept;
        tcp dport {port} tcp flags & rst == rst counter name resets drop
        tcp dport {port} counter name others drop
        tcp sport {port} drop
    }}
}}
"""


def run(*words: str, given: str = "") -> str:
    return subprocess.run(words, input=given, text=True, check=True, capture_output=True, timeout=20).stdout


def counted() -> dict[str, int]:
    listed = json.loads(run("nft", "-j", "list", "counters", "table", "inet", "dark"))["nftables"]
    return {one["counter"]["name"]: int(one["counter"]["packets"]) for one in listed if "counter" in one}


def darken(port: int) -> None:
    run("nft", "-f", "-", given=RULES.format(port=port))


def begun(url: str, **changes: Any) -> RustGenerator:
    generator = RustGenerator(engine_plan(url, run=RUN, arrivals=CLOSED, timeouts=SYNS, lease_ms=None, **changes))
    generator.start()
    return generator


def abort() -> dict[str, dict[str, int]]:
    with NullServer(run=RUN) as server:
        generator = begun(server.url, **PUTS)
        CLOCK.wait(1.0)
        darken(int(server.url.rpartition(":")[2]))
        fresh = begun(server.url)  # its SYNs go into the dark, too
        CLOCK.wait(1.5)
        standing, knocking = generator.status(), fresh.status()
        found = {"dark": counted()}
        connecting = standing.connecting + knocking.connecting
        found["load"] = {"connections": standing.connections + knocking.connections, "connecting": connecting}
        generator.stop("dark", now=True)
        fresh.stop("dark", now=True)
        assert generator.join(3.0) and fresh.join(3.0)
        found["aborted"] = counted()
        CLOCK.wait(3.0)
        found["later"] = counted()
    run("nft", "delete", "table", "inet", "dark")
    return found


def stopped() -> dict[str, int]:
    """Packets into the dark of a child that is stopped right after it began."""
    with NullServer(run=RUN) as server:
        darken(int(server.url.rpartition(":")[2]))
        child = subprocess.Popen([sys.executable, __file__, server.url])
        try:
            for _ in range(500):
                if counted()["others"] >= CLOSED["concurrency"]:
                    break
                CLOCK.wait(0.02)
            child.send_signal(signal.SIGSTOP)
            found = {"begun": counted()["others"]}
            CLOCK.wait(SYNS["connect_ms"] / 1000 + 0.5)
            found["after_timeout"] = counted()["others"]
            CLOCK.wait(4.0)
            found["later"] = counted()["others"]
        finally:
            child.kill()
            child.wait(5)
    run("nft", "delete", "table", "inet", "dark")
    return found


if __name__ == "__main__":
    if len(sys.argv) > 1:
        begun(sys.argv[1]).join(20.0)
    else:
        run("ip", "link", "set", "lo", "up")
        print(json.dumps({**abort(), "stopped": stopped()}))
