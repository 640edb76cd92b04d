"""Whether this machine lets us make a network of namespaces: tried out, in namespaces that are gone at once."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maul.core.errors import MachineError
from maul.hosts.host import Completed, Host

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2", "tc": "iproute2", "sleep": "coreutils"}
_LIMIT_S = 10.0
_REFUSALS = {
    "/proc/sys/user/max_user_namespaces": "0",
    "/proc/sys/user/max_net_namespaces": "0",
    "/proc/sys/kernel/unprivileged_userns_clone": "0",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
}
_CURES = {"apparmor_restrict_unprivileged_userns": "0", "unprivileged_userns_clone": "1"}

_STEPS = (
    ("veth", "CONFIG_VETH", "ip link add v0 type veth peer name v1"),
    ("bridge", "CONFIG_BRIDGE", "ip link add br0 type bridge && ip link set v1 master br0"),
    ("tbf", "CONFIG_NET_SCH_TBF", "tc qdisc add dev v0 root tbf rate 10mbit burst 32kb latency 50ms"),
)
_BORDER_PROGRAMS = {"nft": "nftables"}
_BORDER_STEPS = (
    (
        "nftables",
        "CONFIG_NF_TABLES_INET, CONFIG_NFT_CT",
        "nft 'add table inet t; add chain inet t c { type filter hook forward priority 0; }; "
        "add rule inet t c ct state new counter'",
    ),
)


@dataclass(frozen=True, slots=True)
class Door:
    """How namespaces are made: the command of the first holder, and of those that join it."""

    first: tuple[str, ...]
    more: tuple[str, ...]


_ROOTLESS = Door(
    first=("unshare", "--user", "--map-root-user", "--net", "--mount", "--propagation", "private"),
    more=("unshare", "--net", "--mount", "--propagation", "private"),
)
_AS_ROOT = Door(first=_ROOTLESS.more, more=_ROOTLESS.more)


def namespace_door(host: Host, border: bool = False) -> Door:
    """How namespaces can be made on this machine, also for a lab with a border. MachineError tells why they cannot, and
    what would help."""
    programs = _PROGRAMS | (_BORDER_PROGRAMS if border else {})
    missing = {name: package for name, package in programs.items() if shutil.which(name, path=PATH) is None}
    if missing:
        raise MachineError(
            f"a lab with a network needs the programs {', '.join(missing)}",
            cure=f"install {', '.join(sorted(set(missing.values())))}; or use the lab on loopback: maul lab up",
        )
    steps = _STEPS + (_BORDER_STEPS if border else ())
    tried = _try(host, _ROOTLESS, steps)
    if tried.code == 0:
        return _ROOTLESS
    if os.geteuid() == 0 and _try(host, _AS_ROOT, steps).code == 0:
        return _AS_ROOT
    settings = {path: Path(path).read_text().strip() for path in _REFUSALS if Path(path).exists()}
    raise explain(tried, settings)


def explain(tried: Completed, settings: Mapping[str, str]) -> MachineError:
    """Why it failed. `settings`: kernel settings that may forbid it, by path. Pure."""
    loopback = "or use the lab on loopback: maul lab up"
    says = (tried.stdout + tried.stderr).decode(errors="replace").strip().replace("\n", "; ")[-300:]
    for name, option, _ in (*_STEPS, *_BORDER_STEPS):
        if f"missing={name}".encode() in tried.stdout:
            cure = f"use a kernel with {option}, or load its module; {loopback}"
            return MachineError(f"this kernel cannot make a lab with a network: it lacks {name} ({says})", cure=cure)
    for path, value in settings.items():
        if value == _REFUSALS.get(path):
            name = path.rpartition("/")[2]
            setting = path.removeprefix("/proc/sys/").replace("/", ".")
            return MachineError(
                f"this machine forbids namespaces: {setting} is {value} ({says})",
                cure=f"as root: sysctl {setting}={_CURES.get(name, '10000')}; or run maul as root; {loopback}",
            )
    return MachineError(
        f"this machine forbids namespaces: {says or f'unshare ended with {tried.code}'}",
        cure=f"a container may forbid them (seccomp); or run maul as root; {loopback}",
    )


def _try(host: Host, door: Door, steps: Sequence[tuple[str, str, str]]) -> Completed:
    tries = (f"{{ {command}; }} || {{ echo missing={name}; exit 9; }}" for name, _, command in steps)
    return host.run((*door.first, "/bin/sh", "-c", "\n".join((f"PATH={PATH}", *tries))), _LIMIT_S)
