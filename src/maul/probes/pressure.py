"""Pressure stall information, from /proc/pressure (the kernel's Documentation/accounting/psi.rst)."""

from collections.abc import Mapping
from pathlib import Path

from maul.core.sample import Sample
from maul.probes.contract import ProbeError
from maul.probes.rates import Rates

# "cpu full" has no meaning for a whole machine: the kernel always reports 0
_WANTED = {"cpu": ("some",), "io": ("some", "full"), "memory": ("some", "full")}


class PressureProbe:
    """`<resource>_<some|full>_ratio`: the share of time in which some (all) tasks waited for cpu, io, memory.

    Taken from the running totals, not from avg10, which still tells of the last step of the load.
    """

    name = "pressure"

    def __init__(self, proc: Path = Path("/proc"), host: str = "local") -> None:
        """Watch the whole machine."""
        self._root = proc / "pressure"
        self._host = host
        self._rates = Rates()

    @property
    def missing(self) -> Mapping[str, str]:
        """Nothing: it reads all or raises."""
        return {}

    def read(self, now_ns: int) -> list[Sample]:
        """Shares of the time since the last reading. Raises ProbeError on a kernel without PSI."""
        samples: list[Sample] = []
        for resource, kinds in _WANTED.items():
            totals = self._totals(resource)
            for kind in kinds:
                if kind not in totals:
                    raise ProbeError(f"no line {kind!r}", str(self._root / resource))
                us_per_s = self._rates.per_second((resource, kind), now_ns, totals[kind])
                if us_per_s is not None:
                    metric, ratio = f"{resource}_{kind}_ratio", min(1.0, us_per_s / 1e6)
                    samples.append(Sample(now_ns, self.name, metric, "", ratio, self._host))
        return samples

    def _totals(self, resource: str) -> dict[str, int]:
        path = self._root / resource
        try:
            text = path.read_text(encoding="ascii")
        except OSError as error:
            # ENOENT: kernel built without PSI; EOPNOTSUPP: booted with psi=0
            raise ProbeError(
                f"the kernel does not tell its pressure stalls ({error.strerror})",
                str(path),
                "Boot with psi=1, or judge without this sense.",
            ) from error
        totals: dict[str, int] = {}
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            _, found, total = rest.rpartition("total=")
            if found:
                totals[kind] = int(total)
        return totals
