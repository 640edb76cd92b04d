"""Into a host of a lab with a network: run a command there in our place."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from maul.core.errors import CampaignError, MachineError
from maul.hosts.holders import living_holders
from maul.hosts.host import Host
from maul.hosts.local import LocalHost
from maul.hosts.namespace import NamespaceHost, become
from maul.hosts.places import LAB_VARIABLE, state_directory
from maul.lab import state
from maul.lab.layout import LabLayout

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def lab_host(directory: Path, name: str, machine: Host | None = None) -> NamespaceHost:
    """A living host or switch of the lab in `directory`. CampaignError for a name that it does not have."""
    machine = machine or LocalHost()
    layout = wired_layout(directory, machine)
    assert layout.wiring is not None
    held = {holder.name: holder.process for holder in living_holders(machine, layout.holders)}
    if name not in layout.wiring.nodes:
        raise CampaignError(f"no host is named {name!r}", cure=f"there are {', '.join(layout.wiring.nodes)}")
    if name not in held:
        raise MachineError(f"host {name} is gone", str(directory), "take the lab down, and bring it up anew")
    return NamespaceHost(name, held[name])


def wired_layout(directory: Path, machine: Host) -> LabLayout:
    """The layout of a lab with a network. MachineError when there is none here."""
    layout = state.load(machine, directory)
    if layout is None:
        raise MachineError("there is no lab here", str(directory), "bring one up: maul lab up --net")
    if layout.wiring is None:
        raise MachineError(
            "this lab stands on loopback: it has no hosts of its own",
            str(directory),
            "take it down, and bring up one with a network: maul lab up --net",
        )
    return layout


def environment_inside(env: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The caller's environment, and where maul's state and this lab are, as absolute paths."""
    path = env.get("PATH", "")
    return {
        **env,
        "PATH": f"{path}:{_SYSTEM_PATH}" if path else _SYSTEM_PATH,
        "MAUL_STATE": str(state_directory(env)),
        LAB_VARIABLE: str(directory),
    }


def become_in_host(directory: Path, name: str, argv: tuple[str, ...]) -> NoReturn:
    """Replace this process by a command in a host of the lab."""
    host = lab_host(directory, name)
    become(host.holder, argv, environment_inside(os.environ, directory))
