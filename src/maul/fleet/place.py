"""What a fleet remembers on the machine that brought it up: `fleet.json`, its lock, where its files are.

DIR/fleet.json          what was started, and where
DIR/certificates/       see `certificates`
DIR/run/*.json          pidfiles of the scheduler and of local agents
DIR/address             where the scheduler listens
DIR/logs/*.log          DIR/agents/NAME/     an agent's own files (results that nobody fetched)
"""

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from maul.campaign.quantities import NAME_PATTERN
from maul.core.errors import CampaignError, MachineError
from maul.hosts import locking
from maul.hosts.host import Host
from maul.hosts.places import state_directory

MARKER = "fleet.json"
RUN, LOGS, AGENTS, CERTIFICATES, ADDRESS = "run", "logs", "agents", "certificates", "address"
STATE_VERSION = 1
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class RemoteAgent:
    """An agent that was started by SSH: on which host of the site, reached how, and where its pidfile lies there."""

    name: str
    address: str
    port: int
    user: str | None
    directory: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A fleet that was brought up from this machine."""

    name: str
    directory: Path
    address: str
    local: tuple[str, ...] = ()
    remote: tuple[RemoteAgent, ...] = field(default_factory=tuple)

    @property
    def certificates(self) -> Path:
        """Its folder of certificates."""
        return self.directory / CERTIFICATES

    @property
    def agents(self) -> tuple[str, ...]:
        """Names of the agents that were started."""
        return (*self.local, *(agent.name for agent in self.remote))


def fleet_directory(name: str = "fleet", directory: Path | None = None) -> Path:
    """Where the fleet of that name has its files. CampaignError when it is no name."""
    if not _NAME.fullmatch(name):
        raise CampaignError(f"{name!r} is not a name for a fleet", cure="use a-z 0-9 . _ -, at most 63 of them")
    return Path(os.path.abspath(directory or state_directory() / "fleet" / name))  # noqa: PTH100 — keeps symlinks


def locked(directory: Path) -> contextlib.AbstractContextManager[None]:
    """One maul at a time brings a fleet up or down here; the directory is made when it is missing."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot use the fleet's directory: {error.strerror}", str(directory)) from error
    return locking.locked(directory, "this fleet")


def save(host: Host, fleet: Standing) -> None:
    """Write `fleet.json`."""
    content: dict[str, Any] = {
        "version": STATE_VERSION,
        "name": fleet.name,
        "address": fleet.address,
        "local": list(fleet.local),
        "remote": [asdict(agent) for agent in fleet.remote],
    }
    host.write_bytes(fleet.directory / MARKER, (json.dumps(content, indent=1) + "\n").encode(), mode=0o600)


def load(host: Host, directory: Path) -> Standing | None:
    """The fleet in that directory; None when there is none; MachineError when its state is damaged."""
    content = host.read_bytes(directory / MARKER)
    if content is None:
        return None
    try:
        data = json.loads(content)
        if data["version"] != STATE_VERSION:
            raise ValueError("version")
        remote = tuple(RemoteAgent(**one) for one in data["remote"])
        local = tuple(str(name) for name in data["local"])
        return Standing(str(data["name"]), directory, str(data["address"]), local, remote)
    except (ValueError, KeyError, TypeError) as error:
        raise MachineError(
            f"the fleet's state is damaged ({error})", str(directory / MARKER), "run: maul fleet down; then up"
        ) from error
