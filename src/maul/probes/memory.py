"""Memory of the whole machine, from /proc/meminfo (proc_meminfo(5))."""

from collections.abc import Mapping
from pathlib import Path

from maul.core.sample import Sample
from maul.probes.contract import ProbeError


class MemoryProbe:
    """`available_bytes`, `used_ratio` (what is not available), `dirty_bytes` (not yet written to disk)."""

    name = "memory"

    def __init__(self, proc: Path = Path("/proc"), host: str = "local") -> None:
        """Watch the memory of this kernel."""
        self._path = proc / "meminfo"
        self._host = host

    @property
    def missing(self) -> Mapping[str, str]:
        """Nothing: it reads all or raises."""
        return {}

    def read(self, now_ns: int) -> list[Sample]:
        """The state now. Raises ProbeError if a field is not there."""
        kib = _parse(self._path.read_text(encoding="ascii"))
        try:
            total, available, dirty = kib["MemTotal"], kib["MemAvailable"], kib["Dirty"]
        except KeyError as absent:
            raise ProbeError(f"no field {absent}", str(self._path)) from absent
        values = {
            "available_bytes": available * 1024,
            "used_ratio": 1 - available / total,
            "dirty_bytes": dirty * 1024,
        }
        return [Sample(now_ns, self.name, metric, "", value, self._host) for metric, value in values.items()]


def _parse(text: str) -> dict[str, int]:
    kib: dict[str, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        fields = rest.split()
        if fields and fields[0].isdigit():
            kib[name] = int(fields[0])
    return kib
