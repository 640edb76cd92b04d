"""Site: the place. Hosts, the services on them, the endpoints in front, and what the cluster promises."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, WithJsonSchema

from maul.campaign.part import Part
from maul.campaign.quantities import Name, Whole
from maul.campaign.yaml_source import YamlSource
from maul.site.model_network import Borrow, Network, Nic, Ssh
from maul.site.model_vantage import Vantages

Role = Literal["master", "volume", "filer", "gateway", "balancer"]


def _beside_the_file(value: str, info: ValidationInfo) -> str:
    """Paths are written relative to the site file; the loader says where that is."""
    folder = (info.context or {}).get("folder")
    return str(Path(folder) / value) if folder is not None and value else value


PathText = Annotated[
    str, Field(min_length=1, max_length=4096), AfterValidator(_beside_the_file), WithJsonSchema({"type": "string"})
]


def _http_url(value: str) -> str:
    """The message does not repeat the URL: it may carry a password."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("expected a URL such as https://10.0.0.1:8443") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("expected a URL such as https://10.0.0.1:8443")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not carry a user or password; use the credentials file")
    return value


Url = Annotated[str, AfterValidator(_http_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("an endpoint is scheme, host and port only; the bucket is named in the campaign")
    return value.rstrip("/")


class Host(Part):
    """One machine, or one address that plays one."""

    name: Name
    address: str = Field(min_length=1, max_length=253)
    """IP address or host name."""
    rack: Name
    """Which rack it stands in: a failure domain."""
    owner: str | None = Field(default=None, min_length=1, max_length=200)
    """Who lends it, or whose customers it serves."""
    runs: tuple[str, ...] = Field(default=(), max_length=100)
    """What else runs there, in words; the services of the site need not be named."""
    nics: tuple[Nic, ...] = Field(default=(), max_length=64)
    borrow: Borrow | None = None
    """It may be borrowed as a load server; None: never."""
    ssh: Ssh | None = None
    """How the fleet reaches it; None: it cannot, or an agent dials in from there."""


class Process(Part):
    """How a service's process is known, and started again."""

    pidfile: PathText
    """JSON file: pid, start_ticks, argv, cwd, env, log."""


class Service(Part):
    """One process of the cluster."""

    name: Name
    role: Role
    host: Name
    health: Url | None = None
    """Answers 200 when the service is well."""
    metrics: Url | None = None
    """Prometheus text."""
    admin: PathText | None = None
    """A balancer's admin socket."""
    data: tuple[PathText, ...] = ()
    """Directories that hold its data."""
    process: Process | None = None


class Endpoint(Part):
    """One door for S3 clients."""

    name: Name
    kind: Literal["balancer", "gateway", "control", "private"]
    """`control`: another public address of the balancers, `private`: their address within the cluster; both are only
    looked at, never loaded."""
    url: Annotated[Url, AfterValidator(_origin)]
    """Scheme, host and port."""
    ca: PathText | None = None
    """PEM file of the authority that signed its certificate; the system's authorities when absent."""
    server_name: str | None = Field(default=None, min_length=1, max_length=253)
    """The name that its certificate is checked against; the URL's host when absent."""
    serves: tuple[Name, ...] = Field(min_length=1)
    """Services that answer through it."""

    @property
    def host(self) -> str:
        """Host of the URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Port of the URL, or the scheme's own."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)


class CredentialsFile(Part):
    """Where the S3 credentials lie. The secret itself is in no model of ours."""

    file: PathText
    """JSON with access_key, secret_key and perhaps session_token, mode 0600."""


class Redundancy(Part):
    """What the cluster promises to survive."""

    copies: Whole = Field(ge=1, le=100)
    """Copies of every object."""
    survives: Whole = Field(ge=0, le=99)
    """How many failure domains may be lost at once."""
    across: Literal["rack", "host"] = "rack"
    """What a failure domain is."""


class Consistency(Part):
    """What a reader may see, and for how long it may be behind."""

    profile: Literal["strong", "lww", "eventual"] = "strong"
    """`strong`: read after write. `lww`: the last writer wins among concurrent ones. `eventual`: reads may lag."""
    list_lag_ms: Whole = Field(default=0, ge=0, le=3_600_000)
    """Listings may be this far behind."""
    restart_gap_ms: Whole = Field(default=0, ge=0, le=3_600_000)
    """After a restart, acknowledged objects may be unreadable for this long."""
    notes: tuple[str, ...] = ()
    """Known oddities, in words."""


class Site(Part):
    """The whole place, as one frozen value."""

    version: Literal[1]
    """The version of this format."""
    name: Name
    kind: Literal["lab", "real"]
    """`lab` is maul's own cluster, which it may start and stop."""
    racks: tuple[Name, ...] = Field(min_length=1)
    hosts: tuple[Host, ...] = Field(min_length=1, max_length=20_000)
    services: tuple[Service, ...] = Field(min_length=1, max_length=10_000)
    endpoints: tuple[Endpoint, ...] = Field(min_length=1, max_length=255)
    region: str = Field(default="us-east-1", min_length=1, max_length=64)
    """The region that signatures name."""
    credentials: CredentialsFile | None = None
    """None: requests are anonymous unless the campaign says otherwise."""
    redundancy: Redundancy | None = None
    """What it promises to survive; None: nobody said, so nothing may be hurt."""
    consistency: Consistency = Consistency()
    network: Network | None = None
    """How the hosts are wired; None: nobody said, so no link can be promised anything."""
    vantage: Vantages = Vantages()
    """From where else the target is looked at, so that it can be told who stopped our traffic."""

    _source: YamlSource | None = PrivateAttr(default=None)

    def where(self, *path: str | int) -> str:
        """`file:line:column` of a key, for messages; empty when the site was not read from a file."""
        return self._source.where(path) if self._source else ""

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of that name; KeyError."""
        return {endpoint.name: endpoint for endpoint in self.endpoints}[name]

    def service(self, name: str) -> Service:
        """The service of that name; KeyError."""
        return {service.name: service for service in self.services}[name]

    def host(self, name: str) -> Host:
        """The host of that name; KeyError."""
        return {host.name: host for host in self.hosts}[name]

    def services_of(self, role: str) -> tuple[Service, ...]:
        """Services of a role, in the order of the file."""
        return tuple(service for service in self.services if service.role == role)

    def gateways(self) -> tuple[Endpoint, ...]:
        """Endpoints that lead straight to one gateway."""
        return tuple(endpoint for endpoint in self.endpoints if endpoint.kind == "gateway")

    def failure_domain(self, service: Service) -> str:
        """The rack or host that falls together with this service, as the redundancy counts them."""
        host = self.host(service.host)
        return host.name if self.redundancy is not None and self.redundancy.across == "host" else host.rack

    def failure_domains(self, role: str) -> dict[str, tuple[Service, ...]]:
        """Services of a role by failure domain, in the order of the file."""
        domains: dict[str, tuple[Service, ...]] = {}
        for service in self.services_of(role):
            domain = self.failure_domain(service)
            domains[domain] = (*domains.get(domain, ()), service)
        return domains
