"""Traffic per interface and the health of TCP, from /proc/net (proc_net(5))."""

from collections.abc import Hashable, Mapping
from pathlib import Path

from maul.core.sample import Sample
from maul.hosts.machine_counters import proc_net_tables
from maul.probes.contract import ProbeError
from maul.probes.rates import Rates

_RECEIVED_BYTES, _SENT_BYTES = 0, 8  # fields of /proc/net/dev
_TCP = {
    "retransmits_per_s": ("snmp", "Tcp", "RetransSegs"),
    "listen_drops_per_s": ("netstat", "TcpExt", "ListenDrops"),  # every connection attempt that was dropped
    "listen_overflows_per_s": ("netstat", "TcpExt", "ListenOverflows"),  # of those: the accept queue was full
}


class NetworkProbe:
    """`received_bytes_per_s` and `sent_bytes_per_s` of each interface, and the health of TCP as `tcp`.

    An interface that never carried a byte is left out.
    """

    name = "network"

    def __init__(self, proc: Path = Path("/proc"), host: str = "local") -> None:
        """Watch the network namespace that this process is in."""
        self._root = proc / "net"
        self._host = host
        self._rates = Rates()

    @property
    def missing(self) -> Mapping[str, str]:
        """Nothing: it reads all or raises."""
        return {}

    def read(self, now_ns: int) -> list[Sample]:
        """Rates since the last reading. Raises ProbeError if a counter is not there."""
        counters = self._interfaces() | self._tcp()
        self._rates.keep_only(set[Hashable](counters))
        samples: list[Sample] = []
        for (subject, metric), value in counters.items():
            rate = self._rates.per_second((subject, metric), now_ns, value)
            if rate is not None:
                samples.append(Sample(now_ns, self.name, metric, subject, rate, self._host))
        return samples

    def _interfaces(self) -> dict[tuple[str, str], int]:
        counters: dict[tuple[str, str], int] = {}
        for line in (self._root / "dev").read_text(encoding="ascii").splitlines():
            name, colon, rest = line.partition(":")
            if not colon:
                continue  # the two lines of the heading
            fields = rest.split()
            received, sent = int(fields[_RECEIVED_BYTES]), int(fields[_SENT_BYTES])
            if received or sent:
                counters[name.strip(), "received_bytes_per_s"] = received
                counters[name.strip(), "sent_bytes_per_s"] = sent
        return counters

    def _tcp(self) -> dict[tuple[str, str], int]:
        files = ("snmp", "netstat")
        tables = {file: proc_net_tables((self._root / file).read_text(encoding="ascii")) for file in files}
        counters: dict[tuple[str, str], int] = {}
        for metric, (file, protocol, field) in _TCP.items():
            if field not in tables[file].get(protocol, {}):
                raise ProbeError(f"no counter {protocol} {field}", str(self._root / file))
            counters["tcp", metric] = tables[file][protocol][field]
        return counters
