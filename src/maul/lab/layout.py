"""What runs where: names, addresses, ports, command lines. Pure: everything follows from placement and directory.

Three racks and an edge. The numbers are the last two parts of the address, 127.SLOT.RACK.NUMBER on loopback:

    edge 0.1   balancer (HTTPS for customers)
    r1   1.1   master-r1-1  volume-r1-1                               1.2   volume-r1-2  filer-r1-1
    gateway-r1-1 r2   2.1   master-r2-1  volume-r2-1  filer-r2-1  gateway-r2-1 r3   3.1   master-r3-1
    volume-r3-1

Every object has two copies, in two racks (replication 010). Any one rack can be lost: two masters of three
remain, and volume servers in two racks, so that new objects still find room for both copies. The balancer is
there once.
"""

from dataclasses import dataclass
from pathlib import Path

from maul.hosts.holders import HOLDERS
from maul.hosts.host import SpawnSpec
from maul.lab.border import ACTIVE, STANDBY
from maul.lab.border import PRIVATE as PRIVATE_ADDRESSES
from maul.lab.placement import Placement, Wired, address, balancer_address, customers_address, port_offset
from maul.lab.wiring import Wiring

# All are below 32768, where the kernel's ports for outgoing connections begin.
HTTP_BASE, METRICS_BASE, GRPC_OFFSET = 20_000, 22_000, 10_000
BALANCER_PORT, BALANCER_STATS_PORT = 8443, 8404
BALANCER_SERVICE, STANDBY_SERVICE = "balancer", "standby"
SOCKET_PATH_MAX = 80  # the kernel takes 107 bytes; HAProxy adds ".PID.tmp" while it starts
DATA_CENTER = "dc1"
REPLICATION = "010"
COPIES = 2
MADE = (
    "site.yaml",
    "conf",
    "data",
    "home",
    "run",
)  # everything that a lab makes, except lab.json and the logs
MARKER = "lab.json"
LOGS = "logs"
CANARIES = Path("run", "canaries")

_ROLES = (  # role, rack, number in the rack's address
    ("master", 1, 1),
    ("master", 2, 1),
    ("master", 3, 1),
    ("volume", 1, 1),
    ("volume", 1, 2),
    ("volume", 2, 1),
    ("volume", 3, 1),
    ("filer", 1, 2),
    ("filer", 2, 1),
    ("gateway", 1, 2),
    ("gateway", 2, 1),
)


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the two programs are."""

    weed: str
    haproxy: str


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the lab. `port` speaks HTTP(S); `metrics_port` speaks Prometheus' text format."""

    name: str
    role: str
    rack: str
    address: str
    port: int
    metrics_port: int

    @property
    def host(self) -> str:
        """The name of the machine that this address stands for: `s12` is number 2 in rack 1."""
        _, _, rack, number = self.address.split(".")
        if self.role == "balancer":
            return STANDBY if self.name == STANDBY_SERVICE else ACTIVE
        return f"s{rack}{number}"

    @property
    def endpoint(self) -> str:
        """Address and port."""
        return f"{self.address}:{self.port}"

    @property
    def health_url(self) -> str:
        """Answers 200 while the role is well."""
        if self.role == "balancer":
            return f"http://{self.address}:{self.metrics_port}/healthz"
        return f"http://{self.endpoint}/{'cluster/' if self.role == 'master' else ''}healthz"

    @property
    def metrics_url(self) -> str:
        """Prometheus' text format."""
        return f"http://{self.address}:{self.metrics_port}/metrics"

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port that it listens on."""
        if self.role == "balancer":
            return (self.port, self.metrics_port)
        return (self.port, self.port + GRPC_OFFSET, self.metrics_port)


@dataclass(frozen=True)
class LabLayout:
    """A lab on paper."""

    name: str
    placement: Placement
    directory: Path
    sockets: Path
    programs: Programs

    @property
    def services(self) -> tuple[Service, ...]:
        """Every process, in the order in which they are started."""
        counts: dict[tuple[str, int], int] = {}
        services = []
        for position, (role, rack, number) in enumerate(_ROLES):
            counts[role, rack] = counts.get((role, rack), 0) + 1
            offset = port_offset(self.placement) + position
            services.append(
                Service(
                    name=f"{role}-r{rack}-{counts[role, rack]}",
                    role=role,
                    rack=f"r{rack}",
                    address=address(self.placement, rack, number),
                    port=HTTP_BASE + offset,
                    metrics_port=METRICS_BASE + offset,
                )
            )
        return (*services, *self.balancers)

    @property
    def balancer(self) -> Service:
        """The one that customers talk to."""
        return self.balancers[0]

    @property
    def balancers(self) -> tuple[Service, ...]:
        """That one, and behind a border another one in reserve."""
        named = [(BALANCER_SERVICE, balancer_address(self.placement))]
        if self.wiring is not None and self.wiring.border:
            named.append((STANDBY_SERVICE, PRIVATE_ADDRESSES[STANDBY]))
        return tuple(
            Service(name, "balancer", "edge", front, BALANCER_PORT, BALANCER_STATS_PORT) for name, front in named
        )

    def role(self, role: str) -> tuple[Service, ...]:
        """Every service of a role."""
        return tuple(service for service in self.services if service.role == role)

    def service(self, name: str) -> Service:
        """One service by name; KeyError."""
        return {service.name: service for service in self.services}[name]

    @property
    def url(self) -> str:
        """The customers' endpoint."""
        return f"https://{customers_address(self.placement)}:{BALANCER_PORT}"

    @property
    def wiring(self) -> Wiring | None:
        """Its own network; None on loopback."""
        return self.placement.wiring if isinstance(self.placement, Wired) else None

    @property
    def holders(self) -> Path:
        """Who holds the namespaces of its hosts and switches."""
        return self.directory / HOLDERS

    @property
    def canaries(self) -> Path:
        """What customers feel of each other: one file each, replaced every second."""
        return self.directory / CANARIES

    @property
    def conf(self) -> Path:
        """Configuration, certificates, credentials."""
        return self.directory / "conf"

    @property
    def run(self) -> Path:
        """Pidfiles, and nothing else that ends in .json."""
        return self.directory / "run"

    @property
    def logs(self) -> Path:
        """What stays when the lab is taken down."""
        return self.directory / LOGS

    @property
    def site_path(self) -> Path:
        """How a campaign finds the lab."""
        return self.directory / "site.yaml"

    @property
    def ca_path(self) -> Path:
        """The certificate authority that signed the balancer's certificate."""
        return self.conf / "ca.pem"

    def admin_socket(self, balancer: Service) -> Path:
        """HAProxy's admin socket."""
        return self.sockets / f"{balancer.name}.sock"

    def balancer_config(self, balancer: Service) -> Path:
        """HAProxy's configuration."""
        return self.conf / f"{balancer.name}.cfg"

    @property
    def throttle_map(self) -> Path:
        """How many requests per second a balancer lets through: `most N`, 0 for all. Changed over its admin socket."""
        return self.conf / "throttle.map"

    def data(self, service: Service) -> Path | None:
        """Where a service keeps its data; None for those that keep none."""
        return self.directory / "data" / service.name if service.role in ("master", "volume", "filer") else None

    def home(self, service: Service) -> Path:
        """A service's working directory, home and temporary directory: SeaweedFS reads *.toml from there."""
        return self.directory / "home" / service.name

    def pidfile(self, service: Service) -> Path:
        """Who the process is and how to start it again."""
        return self.run / f"{service.name}.json"

    def spawn_spec(self, service: Service) -> SpawnSpec:
        """How to start a service.

        The environment is ours alone: no proxy, no credentials of the user get in.
        """
        home = self.home(service)
        return SpawnSpec(
            argv=self.argv(service),
            cwd=home,
            log=self.logs / f"{service.name}.log",
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home / "tmp"), "LC_ALL": "C"},
            pidfile=self.pidfile(service),
        )

    def argv(self, service: Service) -> tuple[str, ...]:
        """The command line of a service. No secret is ever in it."""
        if service.role == "balancer":
            return (self.programs.haproxy, "-db", "-f", str(self.balancer_config(service)))
        common = (
            f"-ip.bind={service.address}",
            f"-port={service.port}",
            f"-metricsPort={service.metrics_port}",
        )
        own = {"master": self._master, "volume": self._volume, "filer": self._filer, "gateway": self._gateway}
        return (self.programs.weed, "-logtostderr=true", *own[service.role](service, common))

    def _masters(self) -> str:
        return ",".join(master.endpoint for master in self.role("master"))

    def _master(self, service: Service, common: tuple[str, ...]) -> tuple[str, ...]:
        return (
            *(
                "master",
                f"-ip={service.address}",
                *common,
                f"-mdir={self.data(service)}",
                f"-peers={self._masters()}",
            ),
            *(f"-defaultReplication={REPLICATION}", "-volumeSizeLimitMB=64"),
            # The default raft makes outages of 25 s. With 2 s, two saturated cores elected a new leader under load.
            *("-raftHashicorp", "-electionTimeout=4s"),
            "-telemetry=false",  # by default it sends statistics to its makers
        )

    def _volume(self, service: Service, common: tuple[str, ...]) -> tuple[str, ...]:
        return (
            *("volume", f"-ip={service.address}", *common, f"-dir={self.data(service)}"),
            *(f"-master={self._masters()}", f"-dataCenter={DATA_CENTER}", f"-rack={service.rack}"),
            *("-max=60", "-minFreeSpace=20MiB", "-preStopSeconds=1"),
        )

    def _filer(self, service: Service, common: tuple[str, ...]) -> tuple[str, ...]:
        # No -rack: it would mean "write the first copy there", and fill one rack.
        return (
            *("filer", f"-ip={service.address}", *common, f"-defaultStoreDir={self.data(service)}"),
            *(f"-master={self._masters()}", f"-dataCenter={DATA_CENTER}"),
            f"-localSocket={self.sockets / service.name}.sock",
        )

    def _gateway(self, service: Service, common: tuple[str, ...]) -> tuple[str, ...]:
        filers = ",".join(filer.endpoint for filer in self.role("filer"))
        return (
            *("s3", *common, f"-filer={filers}", f"-config={self.conf / 's3.json'}"),
            f"-localSocket={self.sockets / service.name}.sock",
            *("-port.iceberg=0", "-port.lance=0", "-autoCreateBucket=false"),
        )
