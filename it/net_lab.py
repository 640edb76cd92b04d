"""A lab with a network for demonstrations: commands in its hosts, a fleet over them, a watch on links and customers."""

import itertools
import json
import os
import signal
import subprocess  # noqa: TID251 — runs the command line, as a user does
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from maul.core.errors import MachineError
from maul.core.ports import PortCounters
from maul.hosts.enter import enter_argv
from maul.hosts.holders import HOLDERS, living_holders
from maul.hosts.host import ProcessId
from maul.hosts.local import LocalHost
from maul.hosts.namespace import dwellers
from maul.lab import cluster
from maul.lab.customers import report_file
from maul.lab.inside import environment_inside, lab_host
from maul.lab.net import LabNetwork
from waiting import wait_for

MACHINE = LocalHost()
Done = subprocess.CompletedProcess[str]
WATCH_S = 0.25
END_S = 15.0

_MAKE_BUCKET = """
import json, sys, boto3
from botocore.config import Config
url, ca, keys, bucket = sys.argv[1], sys.argv[2], json.load(open(sys.argv[3])), sys.argv[4]
boto3.client("s3", endpoint_url=url, verify=ca, region_name="us-east-1", aws_access_key_id=keys["access_key"],
    aws_secret_access_key=keys["secret_key"], config=Config(s3={"addressing_style": "path"})
    ).create_bucket(Bucket=bucket)
"""


@dataclass(frozen=True)
class NetLab:
    """`folder` is for what the tests write."""

    lab: cluster.Lab
    folder: Path

    @property
    def directory(self) -> Path:
        return self.lab.directory

    def words(self, host: str, *argv: str) -> list[str]:
        """The command line that runs `argv` in a host: what `maul lab exec` becomes, without starting maul for it."""
        return list(enter_argv(lab_host(self.directory, host).holder, Path.cwd(), argv))

    @property
    def environment(self) -> dict[str, str]:
        """As `maul lab exec` passes it on."""
        return environment_inside(environment(), self.directory)

    def run(self, host: str, *argv: str, timeout_s: float = 60.0, check: bool = True) -> Done:
        """A command in a host, to its end."""
        done = subprocess.run(
            self.words(host, *argv),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=self.environment,
        )
        assert done.returncode == 0 or not check, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def maul(self, host: str, *words: str, timeout_s: float = 120.0, check: bool = True) -> Done:
        """A verb of maul in a host, to its end."""
        return self.run(host, sys.executable, "-m", "maul", *words, timeout_s=timeout_s, check=check)

    @contextmanager
    def started(self, host: str, *argv: str) -> Iterator["Started"]:
        """A command in a host, ended with the block."""
        log = self.folder / f"{host}-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                self.words(host, *argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment
            )
        started = Started(process, log)
        try:
            yield started
        finally:
            started.end()

    def figure(self, line: str) -> None:
        """What was measured, for people: in `figures.txt` in the folder, and in the test's output (`-rP`)."""
        with (self.folder / "figures.txt").open("a", encoding="utf-8") as out:
            print(line, file=out)
        print(line)

    def make_bucket(self, bucket: str) -> None:
        conf = self.lab.layout.conf
        self.run(
            "ops", sys.executable, "-c", _MAKE_BUCKET, self.lab.url, str(conf / "ca.pem"),
            str(conf / "credentials.json"), bucket,
        )  # fmt: skip

    def hit(self, bucket: str, *options: str) -> tuple[str, ...]:
        """The words of `maul hit` on the VIP, as JSON."""
        conf = self.lab.layout.conf
        known = ("--ca", str(conf / "ca.pem"), "--credentials", str(conf / "credentials.json"), "--json")
        return (sys.executable, "-m", "maul", "hit", f"{self.lab.url}/{bucket}", *known, *options)

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        """Links and customers, four times a second, for the length of the block."""
        with LabNetwork(self.directory) as wires:
            watch = Watch(wires)
            thread = threading.Thread(target=watch.run, name="watch", daemon=True)
            thread.start()
            try:
                yield watch
            finally:
                watch.over.set()
                thread.join(5)

    @contextmanager
    def wires(self) -> Iterator[LabNetwork]:
        """The network; whatever was changed in the block is put back."""
        with LabNetwork(self.directory) as wires:
            try:
                yield wires
            finally:
                for cable in wires.wiring.cables:
                    if not all(wires.ports()[end].up for end in cable.ends):
                        wires.restore(cable.near[0])
                    if cable.shared:
                        wires.set_rate(cable.near[0])

    @contextmanager
    def fleet(self, *names: str) -> Iterator["LabFleet"]:
        """A scheduler in `ops`, and an agent in each of these hosts, all in."""
        self.maul("ops", "fleet", "init", *names)
        said = self.maul("ops", "fleet", "up", "--listen", "10.77.0.2").stdout
        address = next(word for word in said.split() if word.startswith("tls://"))
        certificates = next(line.split(": ", 1)[1] for line in said.splitlines() if "certificates: " in line)
        agents: dict[str, Started] = {}
        try:
            for name in names:
                words = ("agent", "--join", address, "--name", name, "--certificates", certificates)
                log = self.folder / f"agent-{name}.log"
                argv = self.words(name, sys.executable, "-m", "maul", *words)
                with log.open("wb") as out:
                    process = subprocess.Popen(
                        argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment
                    )
                agents[name] = Started(process, log)
            for agent in agents.values():
                assert wait_for(lambda agent=agent: "in the fleet" in agent.says(), 120), agent.says()
            yield LabFleet(address, certificates, agents)
        finally:
            for agent in agents.values():
                agent.end()
            self.maul("ops", "fleet", "down", check=False)

    def dwellers(self) -> frozenset[ProcessId]:
        """Every process in the lab's hosts and switches."""
        holders = living_holders(MACHINE, self.directory / HOLDERS)
        return frozenset(dwellers(frozenset(holder.net for holder in holders)))


@dataclass(frozen=True)
class Started:
    """A command that runs; its process is the command itself, not something that started it."""

    process: subprocess.Popen[bytes]
    log: Path

    def says(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        return self.process.wait(timeout_s)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(END_S)


@dataclass(frozen=True)
class LabFleet:
    """Where it is, and its agents' processes by host."""

    address: str
    certificates: str
    agents: dict[str, Started]


@dataclass
class Watch:
    """What was seen: ports as read, what canaries felt (each measurement once), and customers' streams."""

    wires: LabNetwork
    over: threading.Event = field(default_factory=threading.Event)
    ports: list[dict[str, PortCounters]] = field(default_factory=list)
    felt: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    streams: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def run(self) -> None:
        while not self.over.wait(WATCH_S):
            try:
                self.ports.append(dict(self.wires.ports()))
            except MachineError:
                return  # the lab was taken down
            for source, target in self.wires.wiring.pairs:
                name = f"{source.name}-{target.name}"
                self._take(self.felt.setdefault(name, []), self.wires.canary_file(name))
                self._take(self.streams.setdefault(source.name, []), report_file(self.wires.layout, source.name))

    def _take(self, found: list[dict[str, float]], path: Path) -> None:
        said = MACHINE.read_bytes(path)
        told = json.loads(said) if said else None
        if told is not None and (not found or found[-1]["at_ns"] < told["at_ns"]):
            found.append(told)

    def bits_per_s(self, port: str, since_ns: int = 0, until_ns: int = 2**63) -> list[tuple[int, float]]:
        """What a port sent, from reading to reading: (Unix ns of the later one, bits per second)."""
        series = [reading[port] for reading in self.ports if port in reading]
        return [
            (after.at_ns, (after.sent_bytes - before.sent_bytes) * 8e9 / (after.at_ns - before.at_ns))
            for before, after in itertools.pairwise(series)
            if since_ns <= before.at_ns and after.at_ns <= until_ns
        ]

    def mean_bps(self, port: str, since_ns: int = 0, until_ns: int = 2**63) -> float:
        rates = self.bits_per_s(port, since_ns, until_ns)
        return sum(rate for _, rate in rates) / max(1, len(rates))

    def discards(self, port: str) -> float:
        series = [reading[port].discards for reading in self.ports if port in reading]
        return series[-1] - series[0] if series else 0.0

    def p99_ms(self, canary: str, since_ns: int = 0, until_ns: int = 2**63) -> list[float]:
        """The 99th percentile of each second; infinity where nothing came back."""
        return [
            told["rtt_p99_ms"] if told["rtt_p99_ms"] is not None else float("inf")
            for told in self.felt.get(canary, [])
            if since_ns <= told["at_ns"] <= until_ns
        ]

    def p50_ms(self, canary: str, since_ns: int = 0, until_ns: int = 2**63) -> list[float]:
        """The median of each second; infinity where nothing came back."""
        return [
            told["rtt_p50_ms"] if told["rtt_p50_ms"] is not None else float("inf")
            for told in self.felt.get(canary, [])
            if since_ns <= told["at_ns"] <= until_ns
        ]

    def silent_from(self, port: str, below_bps: float, after_ns: int) -> int | None:
        """When a port fell silent for good: Unix ns; None: it did not."""
        rates = [(at_ns, rate) for at_ns, rate in self.bits_per_s(port) if at_ns > after_ns]
        loud = [at_ns for at_ns, rate in rates if rate >= below_bps]
        if not rates or (loud and loud[-1] == rates[-1][0]):
            return None
        return loud[-1] if loud else after_ns


def median(values: Sequence[float]) -> float:
    """The middle one; infinity of none."""
    return sorted(values)[len(values) // 2] if values else float("inf")


def environment() -> dict[str, str]:
    """Ours; compiled modules are kept, or every command would spend seconds on compiling them anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
