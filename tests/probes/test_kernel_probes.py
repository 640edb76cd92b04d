"""The probes that read the kernel: against files with known content, and against this very machine."""

import os
import shutil
import time
from pathlib import Path

import pytest
from machine import T0, S, of, values, write

from maul.probes.contract import Probe, ProbeError
from maul.probes.cpu import CpuProbe
from maul.probes.disk import DiskProbe, devices_under
from maul.probes.memory import MemoryProbe
from maul.probes.network import NetworkProbe
from maul.probes.pressure import PressureProbe
from maul.probes.process import ProcessProbe, own_process
from maul.probes.wiring import Watch, local_probes

# cpu


def cpu(*cores: tuple[int, ...]) -> str:
    lines = [f"cpu{n} {' '.join(map(str, fields))} 7 7" for n, fields in enumerate(cores)]
    total = [sum(fields) for fields in zip(*cores, strict=True)]
    return "\n".join([f"cpu  {' '.join(map(str, total))} 14 14", *lines, "intr 1 2 3", "cpufreq 1 2"]) + "\n"


def test_cpu_shares(tmp_path: Path) -> None:
    probe = CpuProbe(tmp_path)
    #                      user nice system idle iowait irq softirq steal
    write(tmp_path, stat=cpu((100, 0, 100, 1000, 0, 0, 0, 0), (0, 0, 0, 1000, 0, 0, 0, 0)))
    assert probe.read(T0) == []
    write(tmp_path, stat=cpu((130, 0, 120, 1010, 20, 5, 10, 5), (0, 0, 0, 1100, 0, 0, 0, 0)))
    samples = probe.read(T0 + S)
    assert of(samples, "core0") == pytest.approx(
        {"busy_ratio": 0.7, "iowait_ratio": 0.2, "softirq_ratio": 0.1, "steal_ratio": 0.05}
    )
    assert of(samples, "core1")["busy_ratio"] == 0
    assert of(samples, "all")["busy_ratio"] == pytest.approx(0.35)
    assert {(s.at_ns, s.probe, s.host) for s in samples} == {(T0 + S, "cpu", "local")}


def test_iowait_that_runs_backwards_is_clamped(tmp_path: Path) -> None:
    probe = CpuProbe(tmp_path)
    write(tmp_path, stat=cpu((0, 0, 0, 1000, 50, 0, 0, 0)))
    probe.read(T0)
    write(tmp_path, stat=cpu((50, 0, 0, 1050, 48, 0, 0, 0)))
    assert of(probe.read(T0 + S), "core0") == {
        "busy_ratio": 0.5, "iowait_ratio": 0.0, "softirq_ratio": 0.0, "steal_ratio": 0.0,
    }  # fmt: skip


def test_a_core_taken_offline_is_a_gap_until_it_is_back(tmp_path: Path) -> None:
    probe = CpuProbe(tmp_path)
    one, two = cpu((10,) * 8), cpu((10,) * 8, (10,) * 8)
    for second, (text, missing) in enumerate([(two, set()), (one, {"core1"}), (one, {"core1"}), (two, set())]):
        write(tmp_path, stat=text)
        probe.read(T0 + second * S)
        assert set(probe.missing) == missing


def test_no_share_over_a_long_gap(tmp_path: Path) -> None:
    probe = CpuProbe(tmp_path)
    write(tmp_path, stat=cpu((10,) * 8))
    probe.read(T0)
    write(tmp_path, stat=cpu((90,) * 8))
    assert probe.read(T0 + 60 * S) == []


@pytest.mark.parametrize("text", ["", "intr 5\n", "cpu 1 2 3\n"])
def test_cpu_without_a_cpu(tmp_path: Path, text: str) -> None:
    write(tmp_path, stat=text)
    with pytest.raises(ProbeError):
        CpuProbe(tmp_path).read(T0)


# memory


def test_memory(tmp_path: Path) -> None:
    write(tmp_path, meminfo="MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\nDirty: 8 kB\nHugePages_Total: 0\n")
    assert of(MemoryProbe(tmp_path).read(T0), "") == {
        "available_bytes": 256_000,
        "used_ratio": 0.75,
        "dirty_bytes": 8192,
    }


def test_memory_of_an_old_kernel(tmp_path: Path) -> None:
    write(tmp_path, meminfo="MemTotal: 1000 kB\n")
    with pytest.raises(ProbeError, match="MemAvailable"):
        MemoryProbe(tmp_path).read(T0)


# pressure


def psi(some: int, full: int = 0) -> str:
    return (
        f"some avg10=99.00 avg60=0.00 avg300=0.00 total={some}\nfull avg10=99.00 avg60=0.00 avg300=0.00 total={full}\n"
    )


def test_pressure_comes_from_the_totals(tmp_path: Path) -> None:
    probe = PressureProbe(tmp_path)
    write(tmp_path, pressure__cpu=psi(1000), pressure__io=psi(0, 0), pressure__memory=psi(5, 5))
    assert probe.read(T0) == []
    write(tmp_path, pressure__cpu=psi(501_000), pressure__io=psi(200_000, 100_000), pressure__memory=psi(5, 5))
    assert of(probe.read(T0 + S), "") == pytest.approx(
        {
            "cpu_some_ratio": 0.5,
            "io_some_ratio": 0.2,
            "io_full_ratio": 0.1,
            "memory_some_ratio": 0.0,
            "memory_full_ratio": 0.0,
        }
    )
    write(tmp_path, pressure__cpu=psi(9_501_000))
    assert of(probe.read(T0 + 2 * S), "")["cpu_some_ratio"] == 1.0


def test_a_kernel_without_psi(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="psi=1"):
        PressureProbe(tmp_path).read(T0)


# network


def net(lo: int = 0, eth: tuple[int, int] = (0, 0), retransmits: int = 0, drops: int = 0) -> dict[str, str]:
    head = "Inter-|   Receive   |  Transmit\n face |bytes    packets errs|bytes packets\n"
    return {
        "net__dev": head
        + f"    lo:{lo} 1 0 0 0 0 0 0 {lo} 1 0 0 0 0 0 0\n"
        + f"  eth0: {eth[0]} 1 0 0 0 0 0 0 {eth[1]} 1 0 0 0 0 0 0\n"
        + "  ifb0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        "net__snmp": f"Ip: Forwarding\nIp: 1\nTcp: MaxConn RetransSegs InErrs\nTcp: -1 {retransmits} 0\n",
        "net__netstat": f"TcpExt: ListenOverflows ListenDrops\nTcpExt: {drops} {drops}\nIpExt: A\nIpExt: 1\n",
    }


def test_network(tmp_path: Path) -> None:
    probe = NetworkProbe(tmp_path)
    write(tmp_path, **net(100, (10, 20)))
    assert probe.read(T0) == []
    write(tmp_path, **net(100 + 4096, (10 + 1000, 20 + 3000), 6, 2))
    assert values(probe.read(T0 + 2 * S)) == {
        ("lo", "received_bytes_per_s"): 2048,
        ("lo", "sent_bytes_per_s"): 2048,
        ("eth0", "received_bytes_per_s"): 500,
        ("eth0", "sent_bytes_per_s"): 1500,
        ("tcp", "retransmits_per_s"): 3,
        ("tcp", "listen_drops_per_s"): 1,
        ("tcp", "listen_overflows_per_s"): 1,
    }


def test_an_interface_whose_counters_start_anew_has_no_rate_once(tmp_path: Path) -> None:
    probe = NetworkProbe(tmp_path)
    rates = []
    for second, received in enumerate([1000, 2000, 500, 700]):
        write(tmp_path, **net(1, (received, 1)))
        rates.append(values(probe.read(T0 + second * S)).get(("eth0", "received_bytes_per_s")))
    assert rates == [None, 1000, None, 200]


def test_network_without_a_counter(tmp_path: Path) -> None:
    write(tmp_path, **net() | {"net__netstat": "TcpExt: A\nTcpExt: 1\n"})
    with pytest.raises(ProbeError, match="ListenDrops"):
        NetworkProbe(tmp_path).read(T0)


# disk


def disk(name: str, *fields: int) -> str:
    return f" 254       0 {name} {' '.join(map(str, fields))} 0 0 0 0 0 0\n"


def test_disk(tmp_path: Path) -> None:
    probe = DiskProbe(["vda"], tmp_path)
    #                      reads merged sectors ms writes merged sectors ms in_flight busy weighted
    write(tmp_path, diskstats=disk("loop0", *[0] * 11) + disk("vda", 10, 0, 100, 50, 10, 0, 100, 50, 0, 500, 900))
    assert probe.read(T0) == []
    write(tmp_path, diskstats=disk("vda", 30, 0, 500, 90, 90, 0, 900, 410, 3, 1500, 9999))
    assert of(probe.read(T0 + 2 * S), "vda") == {
        "read_bytes_per_s": 200 * 512,
        "write_bytes_per_s": 400 * 512,
        "reads_per_s": 10,
        "writes_per_s": 40,
        "busy_ratio": 0.5,
        "await_ms": 4.0,
    }


def test_a_disk_at_rest_has_no_latency(tmp_path: Path) -> None:
    probe = DiskProbe(["vda"], tmp_path)
    write(tmp_path, diskstats=disk("vda", *[5] * 11))
    probe.read(T0)
    at_rest = of(probe.read(T0 + S), "vda")
    assert "await_ms" not in at_rest
    assert at_rest["busy_ratio"] == 0


def test_a_disk_that_goes_away(tmp_path: Path) -> None:
    probe = DiskProbe(["vda", "vdb"], tmp_path)
    write(tmp_path, diskstats=disk("vda", *[5] * 11))
    probe.read(T0)
    assert probe.missing == {"vdb": "the device is gone"}
    write(tmp_path, diskstats="")
    with pytest.raises(ProbeError, match="vda, vdb"):
        probe.read(T0 + S)


def block_devices(tmp_path: Path) -> Path:
    """dm-0 on a partition of sda and on sdb; the numbers of the devices lead to them."""
    sys = tmp_path / "sys"
    for device in ("sda/sda1", "sdb", "dm-0/slaves"):
        (sys / "devices" / device).mkdir(parents=True)
    (sys / "devices/sda/sda1/partition").write_text("1", encoding="ascii")
    (sys / "devices/dm-0/slaves/sda1").symlink_to(sys / "devices/sda/sda1")
    (sys / "devices/dm-0/slaves/sdb").symlink_to(sys / "devices/sdb")
    (sys / "dev/block").mkdir(parents=True)
    return sys


@pytest.mark.parametrize(
    ("node", "devices"), [("sda/sda1", ["sda"]), ("sdb", ["sdb"]), ("dm-0", ["dm-0", "sda", "sdb"])]
)
def test_whole_devices_under_a_path(tmp_path: Path, node: str, devices: list[str]) -> None:
    sys = block_devices(tmp_path)
    number = tmp_path.stat().st_dev
    (sys / f"dev/block/{os.major(number)}:{os.minor(number)}").symlink_to(sys / "devices" / node)
    assert devices_under([tmp_path, tmp_path], sys) == (devices, {})


def test_paths_without_a_disk(tmp_path: Path) -> None:
    devices, diskless = devices_under([tmp_path, tmp_path / "nothing"], block_devices(tmp_path))
    assert devices == []
    assert diskless == {
        str(tmp_path): "it lies on no local block device",
        str(tmp_path / "nothing"): "No such file or directory",
    }


# all of them


def test_this_machine_answers_within_its_budget() -> None:
    probes = local_probes(Watch(paths=[Path.cwd()]))
    for probe in probes:
        probe.read(T0)
    took_s = []
    for again in range(1, 6):  # the quickest: on a busy machine others' work is counted in
        began = time.thread_time()
        samples = [sample for probe in probes for sample in probe.read(T0 + again * S)]
        took_s.append(time.thread_time() - began)
    assert min(took_s) < 0.02
    assert {probe.name for probe in probes} >= {"cpu", "memory", "network", "process"}
    assert {s.probe for s in samples} >= {"memory", "network", "process"}
    assert all(s.value >= 0 for s in samples)
    assert of([s for s in samples if s.probe == "process"], "maul")["rss_bytes"] > 1e6


@pytest.mark.parametrize(
    "probe",
    [
        CpuProbe(Path("/nowhere")),
        MemoryProbe(Path("/nowhere")),
        PressureProbe(Path("/nowhere")),
        NetworkProbe(Path("/nowhere")),
        DiskProbe(["vda"], Path("/nowhere")),
    ],
)
def test_without_proc_every_probe_raises_and_gives_nothing_old(probe: Probe) -> None:
    with pytest.raises((ProbeError, OSError)):
        probe.read(T0)


def test_after_a_failure_no_probe_gives_what_it_knew(tmp_path: Path) -> None:
    probe = MemoryProbe(tmp_path)
    write(tmp_path, meminfo="MemTotal: 1000 kB\nMemAvailable: 250 kB\nDirty: 8 kB\n")
    assert probe.read(T0)
    shutil.rmtree(tmp_path)
    with pytest.raises(OSError, match="meminfo"):
        probe.read(T0 + S)


def test_processes_are_read_without_the_permission_to_their_descriptors() -> None:
    assert ProcessProbe([own_process()]).read(T0)
