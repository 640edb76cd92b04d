"""The engine against wrk, on the same nginx, in the same run: CPU per request as a ratio. `make bench`.

The server is pinned to core 0 and each client to core 1; the two clients take turns, and the medians are compared.
Needs nginx, wrk and taskset. Nothing but loopback is touched; everything is removed at the end.
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
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import trustme

ROUNDS = 5
SECONDS = 2
CONNECTIONS = 16
HTTP_PORT, HTTPS_PORT = 18480, 18443
SIZES = {"4k": 4096, "1m": 2**20}

CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush on;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/cert.pem; root {folder}/www;
    client_max_body_size 0;
    if ($request_method = PUT) {{ return 200; }} # the body is read and thrown away
  }}
}}
"""


@dataclass(frozen=True)
class Run:
    """One client's turn."""

    requests: int
    cpu_seconds: float

    @property
    def cpu_us(self) -> float:
        """CPU microseconds per request."""
        return self.cpu_seconds / self.requests * 1e6


def main() -> int:
    """Measure and print a table."""
    missing = [name for name in ("nginx", "wrk", "taskset") if shutil.which(name) is None]
    if missing or (os.cpu_count() or 1) < 2:
        sys.stderr.write(f"bench: needs two cores, nginx, wrk and taskset; missing: {', '.join(missing) or 'a core'}\n")
        return 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = subprocess.Popen(["taskset", "-c", "0", "nginx", "-p", name, "-c", str(configure(folder))])
        try:
            wait_for_server()
            print(f"medians of {ROUNDS} turns, {CONNECTIONS} connections, CPU microseconds per request")
            print(f"{'GET':<12}{'wrk':>10}{'maul':>10}{'ratio':>8}")
            for scheme, port in (("http", HTTP_PORT), ("https", HTTPS_PORT)):
                for size in SIZES:
                    compare(f"{scheme} {size}", f"{scheme}://127.0.0.1:{port}", size, folder)
        finally:
            server.terminate()
            server.wait(10)
    return 0


def configure(folder: Path) -> Path:
    """Files, certificate and configuration of the server."""
    (folder / "www").mkdir()
    for name, size in SIZES.items():
        (folder / "www" / name).write_bytes(os.urandom(size))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "cert.pem"))
    os.chmod(folder, 0o755)
    text = CONFIG.format(folder=folder, http=HTTP_PORT, https=HTTPS_PORT)
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    return folder / "nginx.conf"


def wait_for_server() -> None:
    """At most five seconds."""
    for _ in range(50):
        try:
            urlopen(f"http://127.0.0.1:{HTTP_PORT}/4k", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("bench: nginx did not start")


def compare(label: str, base: str, name: str, folder: Path) -> None:
    """Take turns; print the medians and their ratio."""
    turns: dict[str, Callable[[], Run]] = {
        "wrk": lambda: wrk(f"{base}/{name}"),
        "maul": lambda: maul(base, name, folder / "ca.pem"),
    }
    seen: dict[str, list[float]] = {client: [] for client in turns}
    for turn in range(ROUNDS + 1):
        for client, run in turns.items():
            result = run()
            if turn:  # the first round warms up
                seen[client].append(result.cpu_us)
    ours, theirs = statistics.median(seen["maul"]), statistics.median(seen["wrk"])
    print(f"{label:<12}{theirs:>10.1f}{ours:>10.1f}{ours / theirs:>8.2f}", flush=True)


def wrk(url: str) -> Run:
    """One turn of wrk."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = pinned(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", url])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    requests = re.search(r"(\d+) requests in", out)
    if requests is None:
        raise SystemExit(f"bench: wrk said {out}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(int(requests[1]), cpu)


def maul(base: str, name: str, authority: Path) -> Run:
    """One turn of maul, signed."""
    options = ["--key", name, "--ca", str(authority), "--concurrency", str(CONNECTIONS), "--duration", f"{SECONDS}s"]
    out = pinned([sys.executable, "-m", "maul", "hit", base, "--op", "get", "--shards", "1", "--json", *options])
    result = json.loads(out)
    if result["ok"] != result["requests"]:
        raise SystemExit(f"bench: not every request was answered well: {result['errors']}")
    return Run(result["requests"], result["cpu_seconds"])


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
