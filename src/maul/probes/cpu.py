"""CPU time per core, from /proc/stat (proc_stat(5))."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from maul.core.sample import Sample
from maul.probes.contract import ProbeError
from maul.probes.rates import GAP_MAX_NS

_IDLE, _IOWAIT, _SOFTIRQ, _STEAL, _FIELDS = 3, 4, 6, 7, 8  # user nice system idle iowait irq softirq steal


class CpuProbe:
    """`busy_ratio`, `iowait_ratio`, `softirq_ratio`, `steal_ratio` of `core0` … and of `all` together.

    Busy is everything but idle and iowait, stolen time included: what the hypervisor took is not to be had.
    """

    name = "cpu"

    def __init__(self, proc: Path = Path("/proc"), host: str = "local") -> None:
        """Watch the cores of this kernel."""
        self._path = proc / "stat"
        self._host = host
        self._last: dict[str, list[int]] = {}
        self._last_ns = 0
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """Cores that were there and are gone (taken offline)."""
        return self._missing

    def read(self, now_ns: int) -> list[Sample]:
        """Shares of the time since the last reading. Raises ProbeError if /proc/stat tells of no CPU."""
        ticks = core_ticks(self._path.read_text(encoding="ascii"))
        if not ticks:
            raise ProbeError("no line of a CPU in it", str(self._path))
        fresh = now_ns - self._last_ns <= GAP_MAX_NS
        gone = [core for core in self._last if core not in ticks] if fresh else []
        self._missing = dict.fromkeys(gone, "the core is offline")
        samples: list[Sample] = []
        for core, now in ticks.items():
            last = self._last.get(core)
            if last is not None and fresh:
                samples += self._shares(core, last, now, now_ns)
        # a core that went offline stays known, so that its gap lasts until it is back
        self._last = {core: self._last[core] for core in self._missing} | ticks
        self._last_ns = now_ns
        return samples

    def _shares(self, core: str, last: list[int], now: list[int], now_ns: int) -> list[Sample]:
        shares = shares_of(last, now)
        return [Sample(now_ns, self.name, metric, core, share, self._host) for metric, share in shares.items()]


def shares_of(last: Sequence[int], now: Sequence[int]) -> dict[str, float]:
    """What a core did between two readings of its ticks: the metrics of `CpuProbe`. Empty when no tick went by."""
    # idle and iowait may run backwards by a tick (proc_stat(5)): clamp each field
    spent = [max(0, b - a) for a, b in zip(last, now, strict=True)]
    total = sum(spent)
    if total == 0:
        return {}
    return {
        "busy_ratio": (total - spent[_IDLE] - spent[_IOWAIT]) / total,
        "iowait_ratio": spent[_IOWAIT] / total,
        "softirq_ratio": spent[_SOFTIRQ] / total,
        "steal_ratio": spent[_STEAL] / total,
    }


def core_ticks(text: str) -> dict[str, list[int]]:
    """Ticks of each core (`core0` …) and of `all`, from the text of /proc/stat. ProbeError when it is another text."""
    ticks: dict[str, list[int]] = {}
    for line in text.splitlines():
        if not line.startswith("cpu"):
            break  # the CPU lines come first; the rest is long
        name, *fields = line.split()
        if len(fields) < _FIELDS:
            raise ProbeError(f"{len(fields)} fields of CPU time where {_FIELDS} were expected", "/proc/stat")
        # guest time (the fields after) is already part of user time
        ticks["all" if name == "cpu" else f"core{name[3:]}"] = [int(field) for field in fields[:_FIELDS]]
    return ticks
