"""Whole block devices, from /proc/diskstats (the kernel's Documentation/admin-guide/iostats.rst)."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from maul.core.sample import Sample
from maul.probes.contract import ProbeError
from maul.probes.rates import Rates

_SECTOR_BYTES = 512  # always, whatever the device's own sector size
_COUNTERS = {
    "reads": 0, "read_sectors": 2, "read_ms": 3, "writes": 4, "written_sectors": 6, "write_ms": 7,
    "busy_ms": 9,
}  # fmt: skip
_DEPTH_MAX = 8  # of devices stacked on devices


class DiskProbe:
    """Throughput, operations, `busy_ratio` and `await_ms` (queue and service, per request) of each device.

    `await_ms` has no value in a second without requests: no sample, rather than a flattering zero.
    """

    name = "disk"

    def __init__(self, devices: Sequence[str], proc: Path = Path("/proc"), host: str = "local") -> None:
        """Watch these devices, by kernel name; see `devices_under`."""
        self._devices = tuple(devices)
        self._path = proc / "diskstats"
        self._host = host
        self._rates = Rates()
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """Devices that are no longer there."""
        return self._missing

    def read(self, now_ns: int) -> list[Sample]:
        """Rates since the last reading. Raises ProbeError when none of the devices is there."""
        found = _parse(self._path.read_text(encoding="ascii"), self._devices)
        if self._devices and not found:
            raise ProbeError(f"none of {', '.join(self._devices)} is in it", str(self._path))
        self._missing = {device: "the device is gone" for device in self._devices if device not in found}
        self._rates.keep_only({(device, counter) for device in found for counter in _COUNTERS})
        samples: list[Sample] = []
        for device, counters in found.items():
            rates = {c: self._rates.per_second((device, c), now_ns, value) for c, value in counters.items()}
            known = {c: rate for c, rate in rates.items() if rate is not None}
            if len(known) == len(counters):
                values = _metrics(known)
                samples += [Sample(now_ns, self.name, m, device, v, self._host) for m, v in values.items()]
        return samples


def _metrics(per_s: Mapping[str, float]) -> dict[str, float]:
    metrics = {
        "read_bytes_per_s": per_s["read_sectors"] * _SECTOR_BYTES,
        "write_bytes_per_s": per_s["written_sectors"] * _SECTOR_BYTES,
        "reads_per_s": per_s["reads"],
        "writes_per_s": per_s["writes"],
        "busy_ratio": min(1.0, per_s["busy_ms"] / 1000),
    }
    requests = per_s["reads"] + per_s["writes"]
    if requests > 0:
        metrics["await_ms"] = (per_s["read_ms"] + per_s["write_ms"]) / requests
    return metrics


def _parse(text: str, devices: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        _, _, name, *fields = line.split()
        if name in devices:
            found[name] = {counter: int(fields[position]) for counter, position in _COUNTERS.items()}
    return found


def devices_under(paths: Iterable[Path], sys: Path = Path("/sys")) -> tuple[list[str], dict[str, str]]:
    """The whole devices that carry these paths, and those below a mapped or RAID device, by kernel name.

    Also gives the paths that lie on no block device (tmpfs, NFS), and why nothing can be watched there.
    """
    devices: dict[str, None] = {}
    diskless: dict[str, str] = {}
    for path in paths:
        try:
            number = path.stat().st_dev
        except OSError as error:
            diskless[str(path)] = error.strerror or str(error)
            continue
        node = sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
        if node.exists():
            devices |= dict.fromkeys(_whole(node.resolve()))
        else:
            diskless[str(path)] = "it lies on no local block device"
    return list(devices), diskless


def _whole(node: Path, depth: int = 0) -> list[str]:
    """A device's own name (its disk's, if it is a partition) and those of the devices that it is made of."""
    if (node / "partition").exists():
        node = node.parent
    names = [node.name]
    slaves = node / "slaves"
    if depth < _DEPTH_MAX and slaves.is_dir():
        for below in sorted(slaves.iterdir()):
            names += _whole(below.resolve(), depth + 1)
    return names
