"""Runs in a network namespace of its own: a router and a server in two more, and knocks through every sad network.

Prints as JSON what each knock and the sentinel told.
"""

import json
import os
import signal
import socket  # noqa: TID251 — the server
import subprocess  # noqa: TID251 — namespaces, links, routes, filters
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from maul.core.clock import SystemClock
from maul.core.vantage import Attempt, Question, Vantage
from maul.s3.endpoint import Endpoint
from maul.s3.knock import gate, knock
from maul.s3.pulse import Sentinel

SERVER, PORT = "10.78.0.1", 8080
URL = f"http://{SERVER}:{PORT}"
ROUTER_RULES = """
table inet f {
    chain c {
        type filter hook forward priority 0
    }
}
"""
SYN_PROXY = f"""
table inet p {{
    chain pre {{
        type filter hook prerouting priority raw
        tcp dport {PORT} tcp flags syn notrack
    }}
    chain in {{
        type filter hook input priority 0
        tcp dport {PORT} ct state invalid,untracked synproxy mss 1300 sack-perm timestamp
        ct state invalid drop
    }}
}}
"""


class Handler(BaseHTTPRequestHandler):
    """Answers as a store does that is asked without a signature; names what was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"<Resource>{self.path}</Resource>".encode() * 2
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


def serve() -> None:
    """In the server's namespace."""

    class Threads(HTTPServer):
        def process_request(self, request: Any, client_address: Any) -> None:
            threading.Thread(target=self.finish_request, args=(request, client_address), daemon=True).start()

    Threads((SERVER, PORT), Handler).serve_forever()


class Ground:
    """Three namespaces in a row: this one, a router, a server."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.router, self.server = self._space(), self._space()
        run("ip link set lo up")
        run(f"ip link add c0 type veth peer name r0 netns {self.router}")
        run(f"ip link add c1 type veth peer name s0 netns {self.server}")
        run(f"ip link set c1 netns {self.router}")
        run("ip addr add 10.77.0.1/24 dev c0; ip link set c0 up; ip route add default via 10.77.0.254")
        self.at(self.router, "ip link set lo up; ip addr add 10.77.0.254/24 dev r0; ip link set r0 up")
        self.at(self.router, "ip addr add 10.78.0.254/24 dev c1; ip link set c1 up")
        self.at(self.router, "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self.at(self.router, "nft -f -", ROUTER_RULES)
        self.at(self.server, f"ip link set lo up; ip addr add {SERVER}/24 dev s0; ip link set s0 up")
        self.at(self.server, "ip route add default via 10.78.0.254")
        self.start("nsenter", "-t", str(self.server), "-n", sys.executable, __file__, "serve")
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with socket.socket() as tried:
                tried.settimeout(1)
                if tried.connect_ex((SERVER, PORT)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("the server did not come up")

    def _space(self) -> int:
        process = self.start("unshare", "--net", "sleep", "120")
        ours = Path("/proc/self/ns/net").readlink()
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if Path(f"/proc/{process.pid}/ns/net").readlink() != ours:
                return process.pid
            time.sleep(0.01)
        raise SystemExit("no namespace of our own")

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        self.started.append(subprocess.Popen(argv))
        return self.started[-1]

    def at(self, space: int, script: str, text: str = "") -> None:
        words = ["nsenter", "-t", str(space), "-n", "sh", "-ec", script]
        subprocess.run(words, input=text.encode(), check=True, timeout=20)

    @contextmanager
    def rule(self, rule: str) -> Iterator[None]:
        self.at(self.router, f"nft add rule inet f c {rule}")
        try:
            yield
        finally:
            self.at(self.router, "nft flush chain inet f c")

    @contextmanager
    def route(self, kind: str) -> Iterator[None]:
        self.at(self.router, f"ip route add {kind} {SERVER}/32")
        try:
            yield
        finally:
            self.at(self.router, f"ip route del {kind} {SERVER}/32")

    def end(self) -> None:
        for process in self.started:
            process.send_signal(signal.SIGKILL)
            process.wait(10)


def run(script: str) -> None:
    subprocess.run(["sh", "-ec", script], check=True, timeout=20)


def tried(address: str = SERVER, **question: Any) -> dict[str, Any]:
    where = gate(Endpoint("vip", URL), address, ports=None)
    attempt = knock(where, Question(Vantage.EXTERNAL, "ext", "vip", **question), SystemClock())
    return {**asdict(attempt), "question": None}


def knocks(ground: Ground) -> dict[str, Any]:
    found = {"open": tried(), "open large": tried(large=True), "other port": tried(port=81)}
    for kind in ("blackhole", "prohibit", "unreachable"):
        with ground.route(kind):
            found[kind] = tried()
        run(f"ip route add {kind} 10.90.0.1")
        found[f"{kind} here"] = tried("10.90.0.1")
        run(f"ip route del {kind} 10.90.0.1")
    found["nobody there"] = tried("10.78.0.77")
    for name, rule in {
        "reject": "tcp dport 8080 reject with icmp type admin-prohibited",
        "reject port": "tcp dport 8080 reject",
        "reject reset": "tcp dport 8080 reject with tcp reset",
        "flowspec": "tcp dport 8080 drop",
    }.items():
        with ground.rule(rule):
            found[name] = tried()
    with ground.rule("tcp dport 8080 drop"):
        found["flowspec, other port"] = tried(port=81)
    with ground.rule("'tcp flags & (syn|ack) == syn limit rate 1/hour burst 1 packets drop'"):
        found["first SYN dropped"] = tried()
    with ground.rule("meta length \\> 1200 drop"):
        found["hole"], found["hole large"] = tried(), tried(large=True)
    run("ip route del default")
    found["no route"] = tried("10.90.0.1")
    run("ip route add default via 10.77.0.254")
    return found


def pulses(ground: Ground) -> list[dict[str, Any]]:
    """Some seconds well, some in the dark, some well again; then a death by the network's word, and quiet."""
    told: list[dict[str, Any]] = []
    sentinel = Sentinel("g", "vip", {"vip": gate(Endpoint("vip", URL), SERVER)})

    def watch(seconds: float, name: str) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            told.extend({"when": name, **asdict(one)} for one in sentinel.take() if isinstance(one, Attempt))
            time.sleep(0.05)

    try:
        sentinel.stands(5)
        watch(2.5, "well")
        with ground.route("blackhole"):
            watch(3.5, "dark")
        watch(4.0, "again")
        with ground.route("prohibit"):
            watch(2.5, "prohibited")
        watch(3.0, "last")
        told.append({"when": "itself", **asdict(sentinel.punctuality)})
    finally:
        sentinel.close()
    return told


def main() -> None:
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    ground = Ground()
    try:
        found: dict[str, Any] = {"knocks": knocks(ground), "pulses": pulses(ground)}
        try:
            ground.at(ground.server, "nft -f -", SYN_PROXY)
        except subprocess.CalledProcessError:
            found["proxy"] = None  # this kernel has none
        else:
            ground.at(ground.server, "echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose")
            found["proxy"] = tried()
    finally:
        ground.end()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
