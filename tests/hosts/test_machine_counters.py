"""What the kernel counted of TCP, read from files."""

from pathlib import Path

import pytest

from maul.hosts.machine_counters import MachineCounters, machine_counters

SNMP = """\
Ip: Forwarding DefaultTTL InReceives
Ip: 1 64 11
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens InSegs OutSegs RetransSegs NewOnes
Tcp: 1 200 120000 -1 5 70 60 3 9
"""


def at(folder: Path, text: str) -> MachineCounters:
    (folder / "net").mkdir()
    (folder / "net/snmp").write_text(text)
    return machine_counters(folder)


def test_fields_go_by_their_names(tmp_path):
    found = at(tmp_path, SNMP)
    assert (found.sent_segments, found.received_segments, found.retransmits) == (60, 70, 3)
    assert found.cpu_seconds > 0 and found.cores > 0


@pytest.mark.parametrize("text", ["", "Tcp: InSegs\n", "Tcp: InSegs OutSegs\nTcp: many 1\n", "garbage"])
def test_what_cannot_be_read_is_none_and_never_zero(tmp_path, text):
    found = at(tmp_path, text)
    assert (found.sent_segments, found.received_segments, found.retransmits) == (None, None, None)


def test_without_proc_too(tmp_path):
    assert machine_counters(tmp_path).retransmits is None
