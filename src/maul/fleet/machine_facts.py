"""What an agent finds out about its own machine before any load. Reads only; connects to what it is told, no more."""

import os
import resource
import shutil
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from maul import __version__
from maul.fleet.duty import Maker

REACH_TIMEOUT_S = 3.0
_AT_ONCE = 16
_OTHERS = 32_768, 60_999  # the kernel's own default, where /proc does not tell


def facts(
    name: str, maker: Maker, spool: Path, question: Mapping[str, Any], proc: Path = Path("/proc")
) -> dict[str, Any]:
    """Everything but the clock. `question`: {"addresses": [[host, port], …], "permit": hash}."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    addresses = [(str(host), int(port)) for host, port in question.get("addresses", ())]
    return {
        "name": name,
        "version": __version__,
        "engine_version": maker.engine_version,
        "cores": len(os.sched_getaffinity(0)),
        "descriptors": soft,
        "ports": local_ports(proc),
        "ceiling_per_s": maker.ceiling_per_s(),
        "spool_free_bytes": _free_bytes(spool),
        "permit": str(question.get("permit", "")),
        "reach": reach(addresses),
    }


def local_ports(proc: Path = Path("/proc")) -> int:
    """How many connections to one address and port this machine can open from one address of its own."""
    try:
        low, high = (proc / "sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
        return int(high) - int(low) + 1
    except (OSError, ValueError):
        return _OTHERS[1] - _OTHERS[0] + 1


def reach(addresses: Sequence[tuple[str, int]]) -> dict[str, str]:
    """What a TCP connection to each address met; empty: it stood. All at once, each bounded in time."""
    if not addresses:
        return {}
    with ThreadPoolExecutor(min(_AT_ONCE, len(addresses))) as pool:
        met = pool.map(_connect, addresses)
        return {f"{host}:{port}": says for (host, port), says in zip(addresses, met, strict=True)}


def _connect(address: tuple[str, int]) -> str:
    try:
        with socket.create_connection(address, REACH_TIMEOUT_S):
            return ""
    except TimeoutError:
        return f"no answer within {REACH_TIMEOUT_S:g} s"
    except OSError as error:
        return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error)


def _free_bytes(folder: Path) -> int:
    for place in (folder, *folder.parents):
        if place.is_dir():
            return shutil.disk_usage(place).free
    return 0
