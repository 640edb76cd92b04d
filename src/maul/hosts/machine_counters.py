"""What this machine's kernel counted of TCP, and what this process cost: for the seconds of a generator.

Sources: /proc/net/snmp of our own network namespace (proc_net(5), RFC 4022), getrusage(2).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maul.hosts.machine import usable_cores


@dataclass(frozen=True, slots=True)
class MachineCounters:
    """Counters that only grow, except `cores`. Of the whole machine, whoever sent; loopback counts on both sides.

    None: the kernel did not tell. `sent_segments` has none of those that were sent again: `retransmits` has them.
    """

    sent_segments: int | None = None
    received_segments: int | None = None
    retransmits: int | None = None
    cpu_seconds: float = 0.0  # of this process, all of its threads
    cores: int = 1  # that it may use


def machine_counters(proc: Path = Path("/proc")) -> MachineCounters:
    """Now. Never raises: a counter that cannot be read is None."""
    try:
        tcp = proc_net_tables((proc / "net/snmp").read_text(encoding="ascii")).get("Tcp", {})
    except (OSError, ValueError):
        tcp = {}
    return MachineCounters(
        sent_segments=tcp.get("OutSegs"),
        received_segments=tcp.get("InSegs"),
        retransmits=tcp.get("RetransSegs"),
        cpu_seconds=time.process_time(),
        cores=len(usable_cores()),
    )


def proc_net_tables(text: str) -> Mapping[str, Mapping[str, int]]:
    """Of `snmp` and `netstat` in /proc/net, pairs of lines: `Tcp: name name`, `Tcp: value value`. Pure.

    >>> proc_net_tables("Tcp: InSegs OutSegs\\nTcp: 7 9\\n")
    {'Tcp': {'InSegs': 7, 'OutSegs': 9}}
    """
    lines = text.splitlines()
    tables: dict[str, dict[str, int]] = {}
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        protocol, *fields = names.split()
        tables[protocol.rstrip(":")] = dict(zip(fields, map(int, values.split()[1:]), strict=False))
    return tables
