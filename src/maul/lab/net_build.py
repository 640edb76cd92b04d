"""A lab's network, raised: a holder per host and switch, then the cables, addresses and rates.

Rootless where the kernel lets a user make a user namespace of his own: in there he may make links and queues. The first
holder makes it, the others join.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from maul.core.clock import Clock
from maul.core.errors import MachineError
from maul.hosts.holders import note_holder
from maul.hosts.host import Host, ProcessId, SpawnSpec
from maul.hosts.local import own_process_id
from maul.hosts.namespace import NamespaceHost, net_namespace
from maul.lab import border
from maul.lab.layout import LabLayout
from maul.lab.net_preflight import PATH, Door, namespace_door
from maul.lab.wiring import Cable, Wiring

HOLD = ("sleep", "2147483647")
POLL_S, HOLDERS_LIMIT_S, COMMAND_LIMIT_S = 0.01, 10.0, 10.0
AT_ONCE = 4

# BBR hardly minds a loss, and would hide from us what a full link does to customers. A namespace may choose only what
# the machine's owner allowed; reno is always among it.
_TUNE = """
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
echo cubic > /proc/sys/net/ipv4/tcp_congestion_control || echo reno > /proc/sys/net/ipv4/tcp_congestion_control
"""
_APPLY = f'{{ {_TUNE} }} 2>/dev/null; PATH={PATH}; ip -batch "$1" && tc -batch "$2"'
# Each line of the first file: a setting below /proc/sys, in which * stands for every device, and its value.
_SET = """
while read -r setting value; do
    for path in /proc/sys/$setting; do [ ! -e "$path" ] || echo "$value" > "$path" || exit 1; done
done < "$1"
PATH=%s; ip -batch "$2" && { [ ! -s "$3" ] || nft -f "$3"; }
"""


@dataclass(frozen=True)
class NetBuild:
    """One raising. Whoever calls has the undo in the journal already: killing the holders undoes all of it."""

    layout: LabLayout
    wiring: Wiring
    machine: Host
    clock: Clock

    def build(self) -> dict[str, NamespaceHost]:
        """Every host and switch by name. MachineError tells what the kernel refused."""
        door = namespace_door(self.machine, self.wiring.border)
        hosts = self._hold(door)
        self._each(
            self.wiring.nodes, lambda name: self._run(hosts[name], "links", _new_links(self.wiring, name, hosts))
        )
        self._each(self.wiring.nodes, lambda name: self._configure(hosts[name]))
        return hosts

    def _hold(self, door: Door) -> dict[str, NamespaceHost]:
        self.layout.holders.mkdir(mode=0o700)
        first, *others = self.wiring.nodes
        root = self._spawn_holder(first, door.first, None)
        self._wait_held({first: root})
        held = {first: root} | {name: self._spawn_holder(name, door.more, root) for name in others}
        self._wait_held(held)
        return {name: NamespaceHost(name, process) for name, process in held.items()}

    def _spawn_holder(self, name: str, unshare: tuple[str, ...], inside: ProcessId | None) -> ProcessId:
        layout = self.layout
        spec = SpawnSpec(
            argv=(*unshare, *HOLD),
            cwd=layout.run,
            log=layout.logs / f"net-{name}.log",
            env={"PATH": PATH, "LC_ALL": "C"},
            pidfile=layout.holders / f"{name}.json",
            inside=inside,
        )
        return self.machine.spawn(spec)

    def _wait_held(self, held: dict[str, ProcessId]) -> None:
        """Until every holder has a network namespace of its own: it says so by sleeping."""
        waiting, ours = dict(held), net_namespace(own_process_id().pid)
        for _ in range(round(HOLDERS_LIMIT_S / POLL_S)):
            for name, process in list(waiting.items()):
                state, net = self.machine.process(process), net_namespace(process.pid)
                if state is None:
                    raise MachineError(f"the namespace of {name} could not be made{self._log(name)}")
                if state.argv == HOLD and net is not None and net != ours:
                    note_holder(self.machine, self.layout.holders, name, net)
                    del waiting[name]
            if not waiting:
                return
            self.clock.wait(POLL_S)
        raise MachineError(f"the namespace of {next(iter(waiting))} was not there after {HOLDERS_LIMIT_S:g} s")

    def _log(self, name: str) -> str:
        says = self.machine.read_bytes(self.layout.logs / f"net-{name}.log") or b""
        return f": {says.decode(errors='replace').strip()[-300:]}" if says.strip() else ""

    def _each(self, names: Iterable[str], act: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="lab-net") as pool:
            list(pool.map(act, names))

    def _configure(self, host: NamespaceHost) -> None:
        self._run(host, "up", _configuration(self.wiring, host.name), _queues(self.wiring, host.name))
        behind_border = {name for switch in self.wiring.switches if (name := switch.name) != border.BORDER}
        if self.wiring.border and host.name not in behind_border:
            texts = {
                "sysctl": _lines(f"{setting} {value}" for setting, value in border.sysctls(host.name)),
                "ip": _lines(border.ip_lines(host.name)),
                "nft": border.nft_text(host.name),
            }
            self._apply(host, "border", _SET % PATH, texts)

    def _run(self, host: NamespaceHost, step: str, ip: list[str], tc: list[str] | None = None) -> None:
        self._apply(host, step, _APPLY, {"ip": _lines(ip), "tc": _lines(tc or [])})

    def _apply(self, host: NamespaceHost, step: str, script: str, texts: Mapping[str, str]) -> None:
        files = []
        for program, text in texts.items():
            files.append(self.layout.holders / f"{host.name}-{step}.{program}")
            self.machine.write_bytes(files[-1], text.encode())
        done = host.run(("/bin/sh", "-c", script, "maul", *map(str, files)), COMMAND_LIMIT_S)
        if done.code != 0:
            says = done.stderr.decode(errors="replace").strip()[-500:]
            raise MachineError(f"the kernel does not make the network of {host.name}: {says}", str(files[0]))


def _new_links(wiring: Wiring, name: str, hosts: dict[str, NamespaceHost]) -> list[str]:
    """Each cable is made once, from its end nearer to the spine."""
    return [
        f"link add {cable.far[1]} type veth peer name {cable.near[1]} netns {hosts[cable.near[0]].holder.pid}"
        for cable in wiring.cables
        if cable.far[0] == name
    ]


def _configuration(wiring: Wiring, name: str) -> list[str]:
    lines = ["link set lo up"]
    devices = [device for device, _ in _ports(wiring, name)]
    if name in {switch.name for switch in wiring.switches}:
        lines.append(f"link add {border.BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        lines += [f"link set {device} master {border.BRIDGE}" for device in devices if device != border.OUTSIDE_PORT]
        devices.append(border.BRIDGE)
    else:
        host = wiring.host(name)
        lines += [f"addr add {address}/{host.prefix} dev eth0" for address in (host.address, *host.more)]
    return [*lines, *(f"link set {device} up" for device in devices)]


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _queues(wiring: Wiring, name: str) -> list[str]:
    return [queue("add", device, cable.bits_per_s, cable.queue_s) for device, cable in _ports(wiring, name)]


def queue(verb: str, device: str, bits_per_s: float, queue_s: float) -> str:
    """The tc command that limits what a port sends. `verb` is add or change.

    >>> queue("add", "up0", 50e6, 0.05)
    'qdisc add dev up0 root tbf rate 50000000bit burst 32768b latency 50ms'
    """
    burst = max(32 * 1024, round(bits_per_s / 8 * 0.002))  # a timer that is late by 2 ms must not cost rate
    return (
        f"qdisc {verb} dev {device} root tbf rate {round(bits_per_s)}bit burst {burst}b latency {queue_s * 1e3:.0f}ms"
    )


def _ports(wiring: Wiring, name: str) -> list[tuple[str, Cable]]:
    """Devices of a node, and their cables."""
    return [(device, cable) for cable in wiring.cables for node, device in (cable.near, cable.far) if node == name]
