"""What connections cost: memory of idle ones, how fast new ones come, how long local ports last.

The null server runs in a process of its own on core 0, the engine in this one on core 1.
Nothing but loopback is touched.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from maul.load.generator import GeneratorState, GeneratorStatus

from maul.load import NullServer, RustGenerator

WHOLE = {"first": 0, "width": 1, "wheel": 1}
RUN = 7
MIB = 2**20


@dataclass(frozen=True)
class Server:
    """The null server in its process."""

    process: subprocess.Popen[str]
    url: str
    ca_pem: str | None

    def stall(self, after_s: float, seconds: float) -> None:
        """Answer nothing for a while."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{after_s} {seconds}\n")
        self.process.stdin.flush()


def serve(pem_path: str) -> int:
    """The server's process: prints its URL, stalls as standard input says, ends with it."""
    pem = Path(pem_path).read_text(encoding="ascii") if pem_path != "-" else None
    with NullServer(run=RUN, certificate_pem=pem) as server:
        print(server.url, flush=True)
        for line in sys.stdin:
            after_s, seconds = line.split()
            server.stall(float(after_s), float(seconds))
    return 0


@contextmanager
def serving(folder: Path, encrypted: bool) -> Iterator[Server]:
    """A null server on core 0."""
    authority = trustme.CA()
    pem_path = folder / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem_path))
    argv = ["taskset", "-c", "0", sys.executable, __file__, "--serve", str(pem_path) if encrypted else "-"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdin is not None
    try:
        url = process.stdout.readline().strip()
        yield Server(process, url, authority.cert_pem.bytes().decode() if encrypted else None)
    finally:
        process.stdin.close()
        process.wait(20)


def plan(server: Server, op: str, rate: float, seconds: float, most: int, **changes: Any) -> dict[str, Any]:
    """An open loop on one core."""
    endpoint = {"name": "null", "url": server.url, "ca_pem": server.ca_pem, "server_name": None, "address": None}
    s3: dict[str, Any] = dict.fromkeys(("access_key", "secret_key"), "bench") | {"session_token": None}
    s3 |= {"bucket": "null-4096", "prefix": "maul/bench/", "region": "us-east-1", "payload": "unsigned"}
    s3 |= {"addressing": "path", "checksum": None, "encryption": None}
    keyspace = {"objects": 10**9, "choice": {"kind": "uniform"}, "region": "base", "start": 0, "ephemeral_start": 0}
    keyspace["ephemeral_lane"] = {"index": 0, "count": 1}
    profile = [{"kind": "constant", "rate": rate, "seconds": seconds}]
    limits = {"rate_per_s": 1e6, "bytes_per_s": 1e12, "requests": 10**9, "bytes": 10**15, "seconds": seconds + 60}
    made: dict[str, Any] = {
        "version": 3, "run": RUN, "seed": 1, "epoch": 1, "tenant": 0, "shards": 1, "pin": [1], "endpoints": [endpoint],
        "s3": s3, "keyspace": keyspace | {"delete_from": "ephemeral", "fixed_key": None},
        "sizes": {"kind": "fixed", "bytes": 4096}, "mix": [{"op": op, "weight": 1.0}], "multipart": None,
        "list": {"max_keys": 1, "delimiter": None, "pages": 1}, "range_bytes": 1, "multi_delete_keys": 1,
        "retention_s": 1, "slowest": 0, "slow": None, "lease_ms": None, "verify": True, "record_operations": False,
        "arrivals": {"mode": "open", "process": "even", "profile": profile, "share": WHOLE},
        "connections": {"requests_each": None, "resumption": 1.0}, "late_ms": 5.0,
        "timeouts": {"connect_ms": 10_000, "request_ms": 10_000},
        "limits": limits | {"in_flight": most, "connections": most},
    }  # fmt: skip
    return made | changes


def rss_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def watch(generator: RustGenerator, until_s: float) -> GeneratorStatus:
    """Drain it until so long after its start, or its end."""
    while True:
        status = generator.status()
        generator.drain()
        if status.state is GeneratorState.DONE or status.elapsed_s >= until_s:
            return status
        time.sleep(0.1)


def idle_memory(folder: Path, encrypted: bool, connections: int) -> dict[str, Any]:
    """Open so many connections at once (the server holds all answers back), let them rest, look at the memory."""
    with serving(folder, encrypted) as server:
        before = rss_bytes()
        # Arrivals during the stall: each needs a connection of its own.
        ramp_s = connections / 4000
        changes = {"mix": [{"op": "head", "weight": 1.0}], "verify": False}
        made = plan(server, "head", 4000.0, ramp_s + 8, connections, **changes)
        if encrypted:  # a stalled server shakes no hands: new connections by closing in time instead
            made["arrivals"]["profile"] = [{"kind": "constant", "rate": 1500.0, "seconds": connections / 1500 + 8}]
            ramp_s = connections / 1500
        generator = RustGenerator(made)
        server.stall(0.0, ramp_s + 1.5)
        generator.start()
        watch(generator, ramp_s + 4)
        rested = watch(generator, ramp_s + 6)
        after = rss_bytes()
        generator.stop("measured", now=True)
        generator.join(10)
        final = generator.status()
        return {
            "connections": rested.connections,
            "errors": {key.name: count for key, count in final.errors.items() if key.name != "STOPPED"},
            "examples": {key.name: text for key, text in final.error_examples.items() if key.name != "STOPPED"},
            "rss_mib": round(after / MIB, 1),
            "bytes_each": round((after - before) / max(rested.connections, 1)),
        }


def churn(folder: Path, encrypted: bool, rate: float, seconds: float, resumption: float) -> dict[str, Any]:
    """One request for each connection at this rate."""
    with serving(folder, encrypted) as server:
        changes = {"connections": {"requests_each": 1, "resumption": resumption}}
        generator = RustGenerator(plan(server, "get", rate, seconds, 20_000, **changes))
        generator.start()
        status = watch(generator, seconds + 30)
        return {
            "asked_per_s": rate,
            "seconds": seconds,
            "resumption": resumption,
            "opened_per_s": round(status.opened / status.elapsed_s, 1),
            "resumed": status.resumed,
            "ok": status.ok,
            "dropped": status.dropped,
            "ports_exhausted": status.ports_exhausted,
            "cpu_us_each": round(status.cpu_seconds / max(status.opened, 1) * 1e6, 1),
            "errors": {key.name: count for key, count in status.errors.items()},
        }


def key_space(folder: Path, seconds: float) -> dict[str, Any]:
    """A thousand connections over 10^9 keys: memory over time."""
    with serving(folder, False) as server:
        made = plan(server, "get", 1.0, seconds, 1000)
        made["arrivals"] = {"mode": "closed", "concurrency": 1000, "seconds": seconds, "requests": None, "think": None}
        generator = RustGenerator(made)
        generator.start()
        seen = [(watch(generator, seconds * part / 8).ok, round(rss_bytes() / MIB, 1)) for part in range(1, 9)]
        generator.join(20)
        return {"ok": seen[-1][0], "rss_mib": [rss for _, rss in seen]}


def allow_descriptors(wanted: int) -> None:
    """For this process and its children, as far as the system lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, wanted), max(hard, wanted)))
    except (OSError, ValueError):
        sys.stderr.write(f"bench: at most {hard} descriptors\n")


def main() -> int:
    """Measure what was asked for; one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", metavar="PEM", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each turn")
    parser.add_argument("--connections", type=int, default=20_000)
    parser.add_argument("--rates", type=float, nargs="*", default=[1000.0, 5000.0, 10_000.0])
    parser.add_argument("parts", nargs="*", default=["idle", "churn", "keys"])
    asked = parser.parse_args()
    if asked.serve:
        return serve(asked.serve)
    # A child of its own for each measurement: memory that one has touched stays with its process.
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"maul-connections-{os.getpid()}"
    folder.mkdir()
    allow_descriptors(asked.connections + 1000)
    try:
        turns = {
            "idle": [(idle_memory, encrypted, asked.connections) for encrypted in (False, True)],
            "churn": [
                (churn, encrypted, rate, asked.seconds, resumption)
                for encrypted, resumption in ((False, 1.0), (True, 0.0), (True, 1.0))
                for rate in asked.rates
            ],
            "keys": [(key_space, asked.seconds)],
        }
        for part in asked.parts:
            for measure, *options in turns[part]:
                child = os.fork()
                if child == 0:
                    try:
                        says = measure(folder, *options)  # type: ignore[operator]
                        print(json.dumps({"what": part, "https": options[0] is True} | says), flush=True)
                    finally:
                        os._exit(0)
                os.waitpid(child, 0)
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())
