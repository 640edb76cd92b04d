"""The server of the wire's bench: nginx on core 0, on loopback, over HTTP and HTTPS."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import trustme

HTTP_PORT, HTTPS_PORT = 18480, 18443

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


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    """What lies in `folder/www`, until the end of the block."""
    argv = ["taskset", "-c", "0", "nginx", "-p", str(folder), "-c", str(configure(folder))]
    server = subprocess.Popen(argv)
    try:
        wait_for_server()
        yield
    finally:
        server.terminate()
        server.wait(10)


def configure(folder: Path) -> Path:
    """Certificate and configuration."""
    (folder / "www").mkdir(exist_ok=True)
    (folder / "www" / "empty").touch()
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
            urlopen(f"http://127.0.0.1:{HTTP_PORT}/empty", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("bench: nginx did not start")
