"""Where a play is played: the hosts of a lab that is up, and acts there, each with its undo made from what is found."""

import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maul.core.errors import CampaignError, MachineError
from maul.hosts.holders import living_holders
from maul.hosts.host import Host, ProcessId, SpawnSpec
from maul.hosts.local import LocalHost
from maul.hosts.namespace import NamespaceHost
from maul.hosts.pidfile import read_pidfile
from maul.hosts.undo_kinds import Undo, UndoKill, UndoRun, UndoSignal, UndoSpawn
from maul.lab import border
from maul.lab.health import NoAnswerError, ask_haproxy
from maul.lab.inside import wired_layout
from maul.lab.layout import LabLayout, Service
from maul.lab.net_build import queue
from maul.lab.net_preflight import PATH
from maul.lab.wiring import Wiring

_LIMIT_S = 10.0
_PYTHON = (sys.executable, "-I", "-S")  # isolated from the user's environment
_GRACE_S = 1.0
# To a unix socket, from wherever: standard library only. Silence is HAProxy's word for "done".
_TELL = """
import socket, sys
door = socket.socket(socket.AF_UNIX)
door.settimeout(3)
try:
    door.connect(sys.argv[1])
except (FileNotFoundError, ConnectionRefusedError):
    sys.exit(0)
door.sendall(sys.argv[2].encode() + b"\\n")
said = door.recv(4096).decode().strip()
sys.exit(said and "already" not in said and said or 0)
"""


@dataclass(frozen=True, slots=True)
class Act:
    """One change, and how to undo it. The undo is on disk before `do` is called, and may come without it."""

    undo: Undo
    do: Callable[[], None]


@dataclass(frozen=True)
class Stage:
    """A lab with a border. MachineError when a command fails or a host is gone."""

    layout: LabLayout
    machine: Host
    hosts: dict[str, NamespaceHost]

    @classmethod
    def of(cls, directory: Path) -> "Stage":
        """The lab in a directory. MachineError when none with a border is up there."""
        machine = LocalHost()
        layout = wired_layout(directory, machine)
        assert layout.wiring is not None
        if not layout.wiring.border:
            raise MachineError(
                "this lab has no border to play anything at",
                str(directory),
                "take it down, and bring up one that has: maul lab up --net --border",
            )
        held = living_holders(machine, layout.holders)
        return cls(layout, machine, {one.name: NamespaceHost(one.name, one.process) for one in held})

    @property
    def wiring(self) -> Wiring:
        """What is connected with what."""
        assert self.layout.wiring is not None
        return self.layout.wiring

    def host(self, name: str) -> NamespaceHost:
        """A living host or switch."""
        if name not in self.hosts:
            if name not in self.wiring.nodes:
                raise CampaignError(f"no host is named {name!r}", cure=f"there are {', '.join(self.wiring.nodes)}")
            raise MachineError(f"{name} is gone", str(self.layout.directory), "take the lab down, and bring it up anew")
        return self.hosts[name]

    def run(self, name: str, *argv: str) -> str:
        """A command in a host, to its end: what it said."""
        done = self.host(name).run(_with_path(argv), _LIMIT_S)
        if done.code != 0:
            says = done.stderr.decode(errors="replace").strip()[-300:]
            raise MachineError(f"{' '.join(argv)[:200]}: {says or f'ended with {done.code}'}", name)
        return done.stdout.decode(errors="replace")

    def command(self, name: str, argv: Sequence[str], undo: Sequence[str]) -> Act:
        """A command and the one that undoes it, which may run twice."""
        return Act(UndoRun(self.host(name).holder, _with_path(undo)), lambda: self._do(name, argv))

    def table(self, name: str, table: str, body: str) -> Act:
        """A table of nftables of our own."""
        text = f"table inet {table} {{\n{body}\n}}"
        return self.command(name, ("nft", text), ("nft", f"add table inet {table}; delete table inet {table}"))

    def route(self, kind: str, to: str, rest: str) -> Act:
        """A route of the border's, told apart from its own by its metric. `kind` as in ip-route(8), or empty."""
        words = (*((kind,) if kind else ()), to, *rest.split())
        again = ("ip", "route", "replace", *words)
        twice = f"{' '.join(again)}; ip route del {' '.join(words)}"
        return self.command(border.BORDER, again, ("sh", "-c", twice))

    def setting(self, name: str, path: str, value: str) -> Act:
        """A setting below /proc/sys; afterwards it is what it was."""
        found = " ".join(self.run(name, "cat", f"/proc/sys/{path}").split())
        script = f'echo "$0" > /proc/sys/{path}'
        return self.command(name, ("sh", "-c", script, value), ("sh", "-c", script, found))

    def rate(self, where: str, bits_per_s: float) -> Sequence[Act]:
        """Both directions of a cable; afterwards what was found."""
        cable, acts = self.wiring.cable(where), []
        for node, device in (cable.near, cable.far):
            shown = json.loads(self.run(node, "tc", "-j", "qdisc", "show", "dev", device))
            found_bps = next(one["options"]["rate"] * 8 for one in shown if one.get("root"))
            there = ("tc", *queue("change", device, bits_per_s, cable.queue_s).split())
            back = ("tc", *queue("change", device, found_bps, cable.queue_s).split())
            acts.append(self.command(node, there, back))
        return acts

    def cut(self, where: str) -> Act:
        """A cable, pulled out at the end nearer to the spine."""
        node, device = self.wiring.cable(where).far
        return self.command(node, ("ip", "link", "set", device, "down"), ("ip", "link", "set", device, "up"))

    def process(self, service: Service) -> ProcessId:
        """The living process of a role."""
        named = read_pidfile(self.machine, self.layout.pidfile(service))
        if named is None or self.machine.process(named.process) is None:
            raise MachineError(f"{service.name} does not run", str(self.layout.directory))
        return named.process

    def kill(self, service: Service) -> Act:
        """End a role's process at once; afterwards it is started as it was."""
        victim = self.process(service)
        return Act(UndoSpawn(self.layout.pidfile(service)), lambda: self._signal(victim, signal.SIGKILL))

    def stop(self, service: Service) -> Act:
        """Stop a role's process where it stands."""
        victim = self.process(service)
        return Act(UndoSignal(victim, signal.SIGCONT), lambda: self._signal(victim, signal.SIGSTOP))

    def wake(self, service: Service) -> Act:
        """Nothing yet; afterwards a role's process goes on, whoever stopped it."""
        return Act(UndoSignal(self.process(service), signal.SIGCONT), _nothing)

    def tell(self, balancer: Service, command: str, undo: str) -> Act:
        """A command to HAProxy's admin socket. When HAProxy is gone there is nothing to undo: it knows it no more."""
        door = str(self.layout.admin_socket(balancer))
        holder = self.host(balancer.host).holder
        return Act(UndoRun(holder, (*_PYTHON, "-c", _TELL, door, undo)), lambda: self._tell(balancer, command))

    def ask(self, balancer: Service, command: str) -> str:
        """What HAProxy answers on its admin socket."""
        try:
            return ask_haproxy(self.layout, balancer, command)
        except NoAnswerError as error:
            raise MachineError(f"{balancer.name}: {error}", str(self.layout.directory)) from error

    def helper(self, name: str, place: Path, program: Path, *words: str) -> Act:
        """A program of ours, a file, that runs in a host until it is ended. `place`: a directory for its pidfile."""
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        spec = SpawnSpec(
            argv=(*_PYTHON, str(program), *words),
            cwd=place,
            log=place / "log",
            env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
            pidfile=place / "helper.json",
        )
        return Act(UndoKill(place, _GRACE_S), lambda: self._spawn(name, spec))

    def _do(self, name: str, argv: Sequence[str]) -> None:
        self.run(name, *argv)

    def _signal(self, victim: ProcessId, number: int) -> None:
        if not self.machine.signal(victim, number):
            raise MachineError(f"process {victim.pid} is gone", str(self.layout.directory))

    def _tell(self, balancer: Service, command: str) -> None:
        said = self.ask(balancer, command).strip()
        if said:
            raise MachineError(f"{balancer.name} answers to {command!r}: {said[:200]}", str(self.layout.directory))

    def _spawn(self, name: str, spec: SpawnSpec) -> None:
        self.host(name).spawn(spec)


def _with_path(argv: Sequence[str]) -> tuple[str, ...]:
    return ("/usr/bin/env", f"PATH={PATH}", *argv)


def _nothing() -> None:
    """All of it is in the undo."""
