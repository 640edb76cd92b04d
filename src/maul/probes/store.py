"""What SeaweedFS tells of itself: a handful of its Prometheus metrics per role."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from maul.core.sample import Sample
from maul.probes.contract import MetricsTarget
from maul.probes.exposition import Series, parse
from maul.probes.targets import PagesProbe


class _How(Enum):
    GAUGE = "the sum of the series now; no sample when there is none"
    RATE = "the increase of their sum per second; a counter that is not there yet stands at 0"
    MEAN_MS = "the mean of a timing family since the last reading; no sample without a request"


@dataclass(frozen=True, slots=True)
class StoreMetric:
    """How one of our metrics comes from one family: its series whose `labels` match (regular expressions)."""

    name: str
    family: str
    how: _How
    labels: Mapping[str, str] = field(default_factory=dict)

    def accepts(self, series: Series) -> bool:
        """Whether this series is part of the metric."""
        return all(re.fullmatch(wanted, series.labels.get(label, "")) for label, wanted in self.labels.items())

    @property
    def families(self) -> tuple[str, ...]:
        """The names to look for on the page."""
        return (f"{self.family}_sum", f"{self.family}_count") if self.how is _How.MEAN_MS else (self.family,)


_GAUGE, _RATE, _MEAN_MS = _How.GAUGE, _How.RATE, _How.MEAN_MS
_5XX = {"code": "5.."}
_HTTP = {"type": "GET|POST|PUT|DELETE|HEAD"}  # the family also counts internal steps
_TO_DISK, _BAD_CRC, _READ_ONLY = {"type": "writeToLocalDisk"}, {"type": "errorCRC"}, {"type": "IsReadOnly"}

EVERY_ROLE = (
    StoreMetric("cpu_ratio", "process_cpu_seconds_total", _RATE),
    StoreMetric("rss_bytes", "process_resident_memory_bytes", _GAUGE),
    StoreMetric("open_files", "process_open_fds", _GAUGE),
    StoreMetric("goroutines", "go_goroutines", _GAUGE),
)
ROLES: Mapping[str, tuple[StoreMetric, ...]] = {
    "master": (
        StoreMetric("is_leader", "SeaweedFS_master_is_leader", _GAUGE),
        StoreMetric("leader_changes_per_s", "SeaweedFS_master_leader_changes", _RATE),
        StoreMetric("under_replicated_volumes", "SeaweedFS_master_under_replicated_volumes", _GAUGE),
        StoreMetric("misplaced_volumes", "SeaweedFS_master_replica_placement_mismatch", _GAUGE),
        StoreMetric("writable_volumes", "SeaweedFS_master_volume_layout_writable", _GAUGE),
        StoreMetric("write_refusals_per_s", "SeaweedFS_master_pick_for_write_error", _RATE),
    ),
    "volume": (
        StoreMetric("requests_per_s", "SeaweedFS_volumeServer_request_total", _RATE, _HTTP),
        StoreMetric("http_5xx_per_s", "SeaweedFS_volumeServer_request_total", _RATE, _5XX),
        StoreMetric("read_ms", "SeaweedFS_volumeServer_request_seconds", _MEAN_MS, {"type": "GET"}),
        StoreMetric("write_ms", "SeaweedFS_volumeServer_request_seconds", _MEAN_MS, {"type": "POST"}),
        StoreMetric("disk_write_ms", "SeaweedFS_volumeServer_request_seconds", _MEAN_MS, _TO_DISK),
        StoreMetric("in_flight", "SeaweedFS_volumeServer_in_flight_requests", _GAUGE, _HTTP),
        StoreMetric("checksum_errors_per_s", "SeaweedFS_volumeServer_handler_total", _RATE, _BAD_CRC),
        StoreMetric("io_errors_per_s", "SeaweedFS_volumeServer_storage_io_error_total", _RATE),
        StoreMetric("bad_disks", "SeaweedFS_volumeServer_disk_error_status", _GAUGE),
        StoreMetric("volumes", "SeaweedFS_volumeServer_volumes", _GAUGE),
        StoreMetric("read_only_volumes", "SeaweedFS_volumeServer_read_only_volumes", _GAUGE, _READ_ONLY),
        StoreMetric("disk_available_bytes", "SeaweedFS_volumeServer_resource", _GAUGE, {"type": "avail"}),
    ),
    "filer": (
        StoreMetric("store_requests_per_s", "SeaweedFS_filerStore_request_total", _RATE),
        StoreMetric("store_find_ms", "SeaweedFS_filerStore_request_seconds", _MEAN_MS, {"type": "find"}),
        StoreMetric("store_insert_ms", "SeaweedFS_filerStore_request_seconds", _MEAN_MS, {"type": "insert"}),
        StoreMetric("uploads_in_flight", "SeaweedFS_filer_in_flight_upload_count", _GAUGE),
    ),
    "gateway": (
        StoreMetric("requests_per_s", "SeaweedFS_s3_request_total", _RATE),
        StoreMetric("http_5xx_per_s", "SeaweedFS_s3_request_total", _RATE, _5XX),
        StoreMetric("get_ms", "SeaweedFS_s3_request_seconds", _MEAN_MS, {"type": "GET"}),
        StoreMetric("put_ms", "SeaweedFS_s3_request_seconds", _MEAN_MS, {"type": "PUT"}),
        StoreMetric("in_flight", "SeaweedFS_s3_in_flight_requests", _GAUGE),
        StoreMetric("upload_errors_per_s", "SeaweedFS_upload_error_total", _RATE),
    ),
}  # fmt: skip


class StoreProbe(PagesProbe):
    """The metrics of `ROLES` for each service, by name. One that does not answer is a gap."""

    name = "store"

    def _page(self, target: MetricsTarget, at_ns: int, text: str) -> list[Sample]:
        metrics = EVERY_ROLE + ROLES.get(target.role, ())
        by_family: dict[str, list[Series]] = {family: [] for metric in metrics for family in metric.families}
        for series in parse(text, by_family):
            by_family[series.name].append(series)
        if not any(by_family.values()):
            # a page of something else must not read as a store at rest
            raise ValueError("the page holds none of the metrics of this role")
        samples: list[Sample] = []
        for metric in metrics:
            found = [[s for s in by_family[family] if metric.accepts(s)] for family in metric.families]
            value = self._value((target.subject, metric.name), metric.how, at_ns, found)
            if value is not None:
                samples.append(Sample(at_ns, self.name, metric.name, target.subject, value, target.host))
        return samples

    def _value(self, key: tuple[str, str], how: _How, at_ns: int, found: Sequence[Sequence[Series]]) -> float | None:
        if how is _How.GAUGE:
            return _sum(found[0]) if found[0] else None
        rates = [self._rates.per_second((key, n), at_ns, _sum(series)) for n, series in enumerate(found)]
        if how is _How.RATE:
            return rates[0]
        seconds_per_s, requests_per_s = rates
        return seconds_per_s / requests_per_s * 1000 if seconds_per_s is not None and requests_per_s else None


def _sum(series: Iterable[Series]) -> float:
    return sum(s.value for s in series)
