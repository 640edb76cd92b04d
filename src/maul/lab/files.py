"""The text of the files that a lab is made of. Pure."""

import json

from maul.lab import border
from maul.lab.layout import BALANCER_PORT, COPIES, LabLayout, Service
from maul.lab.net_site import host_lines, network_lines, vantage_lines
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

THROTTLE_MAP = "most 0\n"
_NOTES = (
    "Each filer has its own copy of the names and follows the other: for a moment, a LIST through one gateway "
    "may lack what was just acknowledged through the other.",
    "After a filer comes back, acknowledged objects may answer 404 for two or three seconds.",
)
_ONE_BALANCER = "There is one balancer: while it is down, only the gateways' own addresses answer."
_TWO_BALANCERS = "There is a second balancer, but nobody moves the address to it by itself."

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


_LOOKED_AT = (
    ("control", "control", border.CONTROL),
    ("neighbour", "control", border.NEIGHBOUR),
    ("private", "private", border.PRIVATE[border.ACTIVE]),
)
"""Further endpoints of a lab with a border: name, kind, address."""
_BACKLOG = 128
_SLOW_DOWN = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


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


def balancer_addresses(layout: LabLayout) -> tuple[str, ...]:
    """Every address that a balancer answers on: all are in the certificate."""
    if layout.wiring is None or not layout.wiring.border:
        return (layout.balancer.address,)
    return (border.VIP, border.NEIGHBOUR, border.CONTROL, *(balancer.address for balancer in layout.balancers))


def haproxy_config(layout: LabLayout, balancer: Service, connections_max: int) -> str:
    """HTTPS for customers, health checks, an admin socket, Prometheus metrics."""
    servers = "\n".join(f"    server {gateway.name} {gateway.endpoint}" for gateway in layout.role("gateway"))
    return f"""\
global
    maxconn {connections_max}
    noreuseport
    stats socket {_quoted(str(layout.admin_socket(balancer)))} mode 600 level admin
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

{_doors(layout, balancer)}
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


def _doors(layout: LabLayout, balancer: Service) -> str:
    """Where customers come in."""
    tls = f"ssl crt {_quoted(str(layout.conf / 'lab.pem'))} alpn http/1.1,h2"
    if layout.wiring is None or not layout.wiring.border:
        return f"""\
frontend customers
    bind {balancer.endpoint} {tls}
    default_backend gateways
"""
    addresses = (border.VIP, border.NEIGHBOUR, border.CONTROL, balancer.address)
    doors = "\n".join(f"    bind {one}:{BALANCER_PORT} {tls} backlog {_BACKLOG}" for one in addresses)
    plain = "\n".join(f"    bind {one}:{border.PLAIN_PORT}" for one in addresses)
    # A share of what comes is declined, so that about `most` per second pass: a bucket would decline all or nothing.
    return f"""\
frontend customers
{doors}
    http-request set-var(txn.most) str(most),map_str_int({_quoted(str(layout.throttle_map))},0)
    http-request set-var(txn.rate) fe_req_rate
    acl throttled var(txn.most) -m int gt 0
    acl too_many rand(1000),mul(txn.rate),div(1000),sub(txn.most) -m int ge 0
    http-request return status 503 content-type application/xml hdr Retry-After 1 string {_quoted(_SLOW_DOWN)} \
        if throttled too_many
    default_backend gateways

frontend plain
{plain}
    http-request redirect prefix {layout.url} code 308
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
            notes=_text((*_NOTES, _ONE_BALANCER if len(layout.balancers) == 1 else _TWO_BALANCERS)),
            racks=", ".join(racks(layout.placement)),
            credentials=_text(str(layout.conf / "credentials.json")),
            copies=COPIES,
        ).rstrip(),
        "endpoints:",
        *_endpoint("vip", "balancer", layout.url, str(layout.ca_path), [gateway.name for gateway in gateways]),
    ]
    for gateway in gateways:
        lines += _endpoint(gateway.name, "gateway", f"http://{gateway.endpoint}", None, [gateway.name])
    if layout.wiring and layout.wiring.border:
        serves = [gateway.name for gateway in gateways]
        for name, kind, address in _LOOKED_AT:
            lines += _endpoint(name, kind, f"https://{address}:{BALANCER_PORT}", str(layout.ca_path), serves)
    lines += ["hosts:", *(host_lines(layout.wiring) if layout.wiring else _hosts(layout)), "services:"]
    for service in layout.services:
        lines += _service(layout, service)
    if layout.wiring:
        lines += [*network_lines(layout.wiring), *vantage_lines(layout)]
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
        *([f"    admin: {_text(str(layout.admin_socket(service)))}"] if service.role == "balancer" else []),
        f"    process: {{pidfile: {_text(str(layout.pidfile(service)))}}}",
    ]


def _text(value: object) -> str:
    """JSON is YAML, as long as characters outside the first plane are not written as two escapes."""
    return json.dumps(value, ensure_ascii=False)
