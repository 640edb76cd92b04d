"""One performance: a real `maul beat` with a standing fleet, a cause that is played meanwhile, and what came of it."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acts import Act, Load
from maul.conduct.mitigation_words import FROZEN, VANTAGE, VERDICT, VantageWords
from maul.core.errors import CampaignError
from maul.core.event import EventKind
from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.plays import Play
from maul.guard.mitigation.signals import Second
from maul.guard.mitigation.signals_text import from_lines
from maul.lab import border
from maul.lab.causes import PLAYS, Orders
from maul.record import RunReader
from net_lab import NetLab, Started
from waiting import wait_for

AGENTS = ("g41", "g51", "g61")
NS = 1_000_000_000
STEADY_S, LOAD_S, VERDICT_S, AFTER_S, END_S = 9.0, 60, 35.0, 6.0, 90.0
PHASE = "steady"

CAMPAIGN = """\
version: 1
name: NAME
site: SITE
target: {endpoints: [vip], bucket: BUCKET}
fleet: {agents: [AGENTS], trickle: 0, guard: watch}
workload: {objects: 60, size: SIZE, mix: MIX, connections: {CONNECTIONS}}
load: {request_timeout: 5s, connect_timeout: 2s, connections: SOCKETS, in_flight: SOCKETS}
limits: {duration: 5m, error_ratio: 100%, rate: 5000}
mitigation: {probe: 20s, hold_max: 1s, recovered_after: 5s}
phases:
  - {name: fill, kind: prepare, concurrency: 4}
  - PROFILE
checks: [generator-honest]
"""


@dataclass(frozen=True)
class Told:
    """An event of the vigil."""

    at_ns: int
    name: str
    says: str
    details: dict[str, Any]


@dataclass(frozen=True)
class Performance:
    """What came of it. `syns`: to public addresses, over the border, by when they were counted (Unix s → so far)."""

    run: Path
    played_ns: int
    ended_ns: int
    told: Sequence[Told]
    seconds: Sequence[Second]
    syns: Sequence[tuple[float, int]]
    terms: VantageWords

    def first(self, name: str) -> Told | None:
        """The first event of this name since it was played."""
        return next((one for one in self.told if one.name == name and one.at_ns >= self.played_ns), None)

    def last(self, name: str) -> Told | None:
        """The newest event of this name since it was played."""
        return next((one for one in reversed(self.told) if one.name == name and one.at_ns >= self.played_ns), None)

    @property
    def verdict(self) -> str:
        """What it was said to be, at last."""
        found = self.last(VERDICT)
        return str(found.details["cause"]) if found is not None else "nothing"

    def syns_per_s(self, since_ns: int, until_ns: int) -> float:
        """Over the border, on the average."""
        within = [(at, count) for at, count in self.syns if since_ns / NS <= at <= until_ns / NS]
        if len(within) < 2:
            return 0.0
        (began, first), (ended, last) = within[0], within[-1]
        return (last - first) / (ended - began)

    def play(self, cause: Cause | None, load: str, says: str) -> Play:
        """As it is recorded."""
        assert self.terms.terms is not None
        return Play(cause, load, self.terms.terms, self.played_ns, self.seconds, self.ended_ns, says)


@dataclass(frozen=True)
class Scene:
    """A lab with a border, its fleet, and the count of SYNs at the border."""

    net_lab: NetLab
    counter: Started

    def syns(self) -> list[tuple[float, int]]:
        """As counted since the scene was set."""
        found = []
        for line in self.counter.says().splitlines():
            when, _, count = line.partition(" ")
            if count.isdecimal():
                found.append((float(when), int(count)))
        return found

    def perform(self, act: Act, load: Load, orders: Orders) -> Performance:
        """Load, steadily; play; wait for the verdict; take back; let the run end."""
        steady = f"{{name: {PHASE}, kind: load, rate: {load.rate}/s, for: {LOAD_S}s}}"
        with self._beating(f"{act.cause}-{load.name}", load, steady) as (conductor, run):
            since_ns = _when_steady(run, conductor)
            assert wait_for(lambda: time.time_ns() >= since_ns + STEADY_S * NS, STEADY_S + 1)
            played_ns = time.time_ns()
            PLAYS[act.cause].begin(self.net_lab.directory, orders)
            try:
                judged = lambda: any(one.name == VERDICT and one.at_ns > played_ns for one in told_by(run))  # noqa: E731
                wait_for(lambda: judged() or conductor.process.poll() is not None, VERDICT_S)
            finally:
                PLAYS[act.cause].end(self.net_lab.directory)
            ended_ns = time.time_ns()
            self._let_end(conductor, run, ended_ns, played_ns)
        return self._seen(run, played_ns, ended_ns)

    def ramp(self, name: str, load: Load, to: int, seconds: int) -> Performance:
        """A clean ramp, up to where the target gives way by itself; nothing is played."""
        profile = f"{{name: {PHASE}, kind: load, ramp: {{from: {load.rate}/s, to: {to}/s, over: {seconds}s}}}}"
        with self._beating(name, load, profile) as (conductor, run):
            since_ns = _when_steady(run, conductor)
            conductor.wait(seconds + END_S)
        return self._seen(run, since_ns, time.time_ns())

    def _let_end(self, conductor: Started, run: Path, ended_ns: int, played_ns: int) -> None:
        """A stop is held until it is over; where there was none, some seconds more are recorded."""
        if not any(one.name == FROZEN and one.at_ns > played_ns for one in told_by(run)):
            over = lambda: time.time_ns() >= ended_ns + AFTER_S * NS  # noqa: E731
            wait_for(lambda: over() or conductor.process.poll() is not None, AFTER_S + 1)
            if conductor.process.poll() is None:
                conductor.process.send_signal(2)
        conductor.wait(END_S)

    def _seen(self, run: Path, played_ns: int, ended_ns: int) -> Performance:
        told = told_by(run)
        words = next(VantageWords.model_validate(one.details) for one in told if one.name == VANTAGE)
        seconds = tuple(from_lines((run / "signals.jsonl").read_text().splitlines()))
        return Performance(run, played_ns, ended_ns, told, seconds, self.syns(), words)

    @contextmanager
    def _beating(self, name: str, load: Load, profile: str) -> Iterator[tuple[Started, Path]]:
        lab, runs = self.net_lab, self.net_lab.folder / "runs"
        words = {
            "NAME": name, "SITE": json.dumps(str(lab.lab.site_path)), "BUCKET": "plays", "AGENTS": ", ".join(AGENTS),
            "SIZE": load.size, "MIX": load.mix, "SOCKETS": str(load.connections), "PROFILE": profile,
            "CONNECTIONS": f"requests_each: {load.requests_each}" if load.requests_each else "",
        }  # fmt: skip
        text = CAMPAIGN
        for word, value in words.items():
            text = text.replace(word, value)
        path = lab.folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        before = set(runs.glob("*")) if runs.is_dir() else set()
        with lab.started("ops", sys.executable, "-m", "maul", "beat", str(path), "--runs", str(runs)) as conductor:

            def begun() -> Path | None:
                assert conductor.process.poll() is None, conductor.says()
                return next((one for one in runs.glob("*") if one not in before and not one.is_symlink()), None)

            assert wait_for(begun, 60), conductor.says()
            run = begun()
            assert run is not None
            yield conductor, run


def told_by(run: Path, kind: EventKind = EventKind.MITIGATION) -> list[Told]:
    """Events of a run, also while it goes."""
    try:
        rows = RunReader.open(run).events().to_pylist()
    except (CampaignError, OSError):
        return []
    return [
        Told(int(row["at_ns"]), str(row["name"]), str(row["says"]), json.loads(row["details"]))
        for row in rows
        if row["kind"] == kind
    ]


def _when_steady(run: Path, conductor: Started) -> int:
    def began() -> int:
        assert conductor.process.poll() is None, conductor.says()
        return next((one.at_ns for one in told_by(run, EventKind.PHASE) if one.name == PHASE), 0)

    assert wait_for(began, 60), conductor.says()
    return began()


COUNT = f"""
nft add table inet maul_it
nft add counter inet maul_it syn
nft 'add chain inet maul_it public {{ type filter hook prerouting priority -400; }}'
nft add rule inet maul_it public ip daddr '{{ {border.PUBLIC}, {border.CONTROL_NETWORK} }}' \\
    tcp flags '& (syn | ack) == syn' counter name syn
trap 'nft delete table inet maul_it; exit 0' TERM INT
while :; do
    echo $(date +%s.%N) $(nft list counter inet maul_it syn | sed -n 's/.*packets \\([0-9]*\\).*/\\1/p')
    sleep 0.5
done
"""
