"""What a lab remembers on disk: `lab.json`, its lock, its slot of addresses."""

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from maul.campaign.quantities import NAME_PATTERN
from maul.core.errors import CampaignError, MachineError
from maul.hosts.host import Host
from maul.hosts.places import state_directory
from maul.hosts.undo import pidfiles_in
from maul.lab.layout import MADE, MARKER, SOCKET_PATH_MAX, LabLayout, Programs
from maul.lab.placement import SLOT_MAX, SLOT_MIN, Loopback, Placement, Wired
from maul.lab.wiring import UPLINK_BPS_MAX, UPLINK_BPS_MIN, Wiring

STATE_VERSION = 3
SOCKETS, SOCKETS_MARKER = "s", "maul-lab"
_NAME = re.compile(NAME_PATTERN)
_CLAIM_PORT = 19_999
# SeaweedFS splits lists of directories at commas; HAProxy's configuration is quoted with '.
_MISREAD = set(",'")


def lab_directory(name: str, directory: Path | None = None) -> Path:
    """Where the lab of that name lives. CampaignError for a name or a directory that cannot be used."""
    if not _NAME.fullmatch(name):
        raise CampaignError(f"{name!r} is not a name for a lab", cure="use a-z 0-9 . _ -, at most 63 of them")
    chosen = Path(os.path.abspath(directory or state_directory() / "labs" / name))  # noqa: PTH100 — keeps symlinks
    if _MISREAD & set(str(chosen)) or not str(chosen).isprintable():
        raise CampaignError("a lab's directory must not hold commas, quotes or odd characters", repr(chosen))
    return chosen


def socket_directory(directory: Path) -> Path:
    """Where the lab's unix sockets are: with its pidfiles, or in a short private place when that path is too
    long.
    """
    if len(os.fsencode(directory / "run" / "gateway-r1-1.sock")) <= SOCKET_PATH_MAX:
        return directory / "run"
    return short_place(directory) / SOCKETS


def short_place(directory: Path) -> Path:
    """A directory with a short name that only this lab uses."""
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"maul-{os.getuid()}-{digest}"


def make_private(directory: Path) -> None:
    """A directory that is ours and nobody else can enter. MachineError when somebody else made it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()  # of a link, the mode is 0777
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise MachineError("this directory is not ours alone", str(directory), "remove it, or set another TMPDIR")


def save(host: Host, layout: LabLayout, is_up: bool) -> None:
    """Write `lab.json`."""
    content = {
        "version": STATE_VERSION,
        "name": layout.name,
        "placement": _placement_to_json(layout.placement),
        "state": "up" if is_up else "starting",
        "weed": layout.programs.weed,
        "haproxy": layout.programs.haproxy,
    }
    host.write_bytes(layout.directory / MARKER, (json.dumps(content, indent=1) + "\n").encode())


def load(host: Host, directory: Path) -> LabLayout | None:
    """The layout of the lab in a directory; None when there is no `lab.json`; MachineError when it is
    damaged.
    """
    content = host.read_bytes(directory / MARKER)
    if content is None:
        return None
    try:
        data = json.loads(content)
        if data["version"] != STATE_VERSION:
            raise ValueError("of another version")
        placement = _placement_from_json(data["placement"])
        programs = Programs(str(data["weed"]), str(data["haproxy"]))
        return LabLayout(str(data["name"]), placement, directory, socket_directory(directory), programs)
    except (ValueError, KeyError, TypeError) as error:
        raise MachineError(
            f"the lab's state is damaged ({error})",
            str(directory / MARKER),
            "run: maul lab down; then bring it up anew",
        ) from error


def _placement_to_json(placement: Placement) -> dict[str, float]:
    if isinstance(placement, Loopback):
        return {"slot": placement.slot}
    wiring = placement.wiring
    return {"uplink_bps": wiring.uplink_bps, "customers_bps": wiring.customers_bps, "border": wiring.border}


def _placement_from_json(data: dict[str, Any]) -> Placement:
    if "slot" in data:
        slot = int(data["slot"])
        if not SLOT_MIN <= slot <= SLOT_MAX:
            raise ValueError("slot")
        return Loopback(slot)
    wiring = Wiring(float(data["uplink_bps"]), float(data["customers_bps"]), bool(data["border"]))
    if not UPLINK_BPS_MIN <= wiring.uplink_bps <= UPLINK_BPS_MAX or not 0 <= wiring.customers_bps < wiring.uplink_bps:
        raise ValueError("rates")
    return Wired(wiring)


def remains(directory: Path) -> list[str]:
    """Names of a lab's own files that are there."""
    return [name for name in (MARKER, *MADE) if (directory / name).exists()]


def is_ours(host: Host, directory: Path) -> bool:
    """Whether a lab stands here, or what is left of one: other people have directories named `data`, too.

    A `lab.json` that can be read says so; so does a pidfile of a process that was started in here.
    """
    with contextlib.suppress(MachineError):
        if load(host, directory) is not None:
            return True
    return any(named.spec.cwd.is_relative_to(directory) for named in pidfiles_in(host, directory / "run"))


def is_free(layout: LabLayout) -> bool:
    """Whether every address and port of a slot can be listened on now."""
    return all(_can_listen(service.address, port) for service in layout.services for port in service.ports)


def _can_listen(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that are just closing do not matter
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise MachineError(
                f"cannot listen on {address}:{port}: {error.strerror}", cure="is the loopback interface up?"
            ) from error
    return True


def slots_of_neighbours(host: Host, directory: Path) -> set[int]:
    """Slots of the labs next to this one, alive or half dead: their processes may come back."""
    taken = set()
    for path in directory.parent.glob(f"*/{MARKER}"):
        with contextlib.suppress(MachineError):
            neighbour = load(host, path.parent)
            if neighbour is None or path.parent == directory:
                continue
            if isinstance(neighbour.placement, Loopback):
                taken.add(neighbour.placement.slot)
    return taken


@contextlib.contextmanager
def claimed_slot(host: Host, name: str, directory: Path, programs: Programs) -> Iterator[LabLayout]:
    """A free slot, held against every other `maul lab up` on this machine until the block ends.

    The claim is a bound socket of ours on the slot's own address: the kernel grants it to one, whoever
    the others are and wherever they keep their state, and takes it back when we die. After the block the
    lab's own listeners are the claim.
    """
    sockets = socket_directory(directory)
    neighbours = slots_of_neighbours(host, directory)
    for slot in range(SLOT_MIN, SLOT_MAX + 1):
        layout = LabLayout(name, Loopback(slot), directory, sockets, programs)
        claim = _claim(slot)
        if claim is None:
            continue
        with claim:
            if slot not in neighbours and is_free(layout):
                yield layout
                return
    raise MachineError(
        f"no free place for a lab: all of 127.{SLOT_MIN}.0.0 to 127.{SLOT_MAX}.0.0 are in use",
        cure="take a lab down: maul lab down NAME",
    )


def _claim(slot: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        claim.bind((f"127.{slot}.0.1", _CLAIM_PORT))
    except OSError:
        claim.close()
        return None
    return claim
