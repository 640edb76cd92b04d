"""The text of the files that a lab is made of. Pure."""

import json

from maul.lab.layout import COPIES, LabLayout, Service
from maul.lab.net_site import host_lines, network_lines
from maul.lab.placement import racks

# SeaweedFS makes this many volumes at once for a new bucket; each is a file per copy that starts empty. Eight
# of them leave room to write when one volume server (which holds a copy of about half of them) is gone.
MASTER_TOML = """\
[master.volume_growth]
copy_1 = 4
copy_2 = 8
copy_3 = 3
copy_other = 1
"""

_NOTES = (
    "Each filer has its own copy of the names and follows the other: for a moment, a LIST through one gateway "
    "may lack what was just acknowledged through the other.",
    "After a filer comes back, acknowledged objects may answer 404 for two or three seconds.",
    "There is one balancer: while it is down, only the gateways' own addresses answer.",
)

_SITE_HEAD = """\
# The lab as a campaign sees it. Written by `maul lab up`; `maul lab down` removes it.
version: 1
name: {name}
kind: lab
region: us-east-1
racks: [{racks}]
credentials:
  file: {credentials}
redundancy: {{copies: {copies}, survives: 1, across: rack}}
consistency:
  profile: eventual
  list_lag_ms: 1000
  restart_gap_ms: 5000
  notes: {notes}
"""


def s3_config(admin: tuple[str, str], reader: tuple[str, str]) -> str:
    """The gateways' identities: (access key, secret key) of one that may do everything and of one that may
    read.
    """
    identities = [
        _identity("maul-admin", admin, ["Admin", "Read", "Write", "List", "Tagging"]),
        _identity("maul-reader", reader, ["Read", "List"]),
    ]
    return json.dumps({"identities": identities}, indent=1) + "\n"


def _identity(name: str, keys: tuple[str, str], actions: list[str]) -> dict[str, object]:
    return {"name": name, "credentials": [{"accessKey": keys[0], "secretKey": keys[1]}], "actions": actions}


def credentials_file(keys: tuple[str, str]) -> str:
    """What a site's `credentials.file` points at."""
    return json.dumps({"access_key": keys[0], "secret_key": keys[1]}) + "\n"


def haproxy_config(layout: LabLayout, connections_max: int) -> str:
    """HTTPS for customers, health checks, an admin socket, Prometheus metrics."""
    servers = "\n".join(f"    server {gateway.name} {gateway.endpoint}" for gateway in layout.role("gateway"))
    balancer = layout.balancer
    return f"""\
global
    maxconn {connections_max}
    noreuseport
    stats socket {_quoted(str(layout.admin_socket))} mode 600 level admin
    stats timeout 10s
    ssl-default-bind-options ssl-min-ver TLSv1.2

defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout queue 5s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout check 1s
    retries 2
    option redispatch 1

frontend customers
    bind {balancer.endpoint} ssl crt {_quoted(str(layout.conf / "lab.pem"))} alpn http/1.1,h2
    default_backend gateways

backend gateways
    balance roundrobin
    option httpchk
    http-check send meth GET uri /healthz
    default-server check inter 500ms fall 2 rise 1
{servers}

frontend observers
    bind {balancer.address}:{balancer.metrics_port}
    monitor-uri /healthz
    http-request use-service prometheus-exporter if {{ path /metrics }}
    stats enable
    stats uri /stats
"""


def _quoted(text: str) -> str:
    """A word that HAProxy takes as it is; `check_directory` keeps quotes out of it."""
    return f"'{text}'"


def site_yaml(layout: LabLayout) -> str:
    """The site. Strings are quoted as JSON, which is YAML."""
    gateways = layout.role("gateway")
    lines = [
        _SITE_HEAD.format(
            name=layout.name,
            notes=_text(_NOTES),
            racks=", ".join(racks(layout.placement)),
            credentials=_text(str(layout.conf / "credentials.json")),
            copies=COPIES,
        ).rstrip(),
        "endpoints:",
        *_endpoint("vip", "balancer", layout.url, str(layout.ca_path), [gateway.name for gateway in gateways]),
    ]
    for gateway in gateways:
        lines += _endpoint(gateway.name, "gateway", f"http://{gateway.endpoint}", None, [gateway.name])
    lines += ["hosts:", *(host_lines(layout.wiring) if layout.wiring else _hosts(layout)), "services:"]
    for service in layout.services:
        lines += _service(layout, service)
    if layout.wiring:
        lines += network_lines(layout.wiring)
    return "\n".join(lines) + "\n"


def _hosts(layout: LabLayout) -> list[str]:
    hosts = {service.host: service for service in layout.services}
    return [f"  - {{name: {name}, address: {hosts[name].address}, rack: {hosts[name].rack}}}" for name in sorted(hosts)]


def _endpoint(name: str, kind: str, url: str, ca: str | None, serves: list[str]) -> list[str]:
    return [
        f"  - name: {name}",
        f"    kind: {kind}",
        f"    url: {_text(url)}",
        *([f"    ca: {_text(ca)}"] if ca else []),
        f"    serves: [{', '.join(serves)}]",
    ]


def _service(layout: LabLayout, service: Service) -> list[str]:
    data = layout.data(service)
    return [
        f"  - name: {service.name}",
        f"    role: {service.role}",
        f"    host: {service.host}",
        f"    health: {_text(service.health_url)}",
        f"    metrics: {_text(service.metrics_url)}",
        *([f"    data: [{_text(str(data))}]"] if data else []),
        *([f"    admin: {_text(str(layout.admin_socket))}"] if service.role == "balancer" else []),
        f"    process: {{pidfile: {_text(str(layout.pidfile(service)))}}}",
    ]


def _text(value: object) -> str:
    """JSON is YAML, as long as characters outside the first plane are not written as two escapes."""
    return json.dumps(value, ensure_ascii=False)
