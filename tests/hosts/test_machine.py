"""Which machine this is."""

from pathlib import Path

import pytest

from maul.hosts.machine import this_machine, usable_cores


@pytest.mark.parametrize(
    ("text", "model"),
    [
        (
            "processor\t: 0\nmodel name\t: Fast @ 3: GHz\n\nprocessor\t: 1\nmodel name\t: Other\n",
            "Fast @ 3: GHz",
        ),
        ("processor\t: 0\nCPU part\t: 0xd0c\n", "0xd0c"),
        ("no colon here\n", "unknown"),
    ],
)
def test_the_processor_is_the_first_one(tmp_path: Path, text: str, model: str):
    (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    assert this_machine(tmp_path).cpu_model == model


def test_a_machine_without_cpuinfo_is_one_all_the_same(tmp_path: Path):
    machine = this_machine(tmp_path)
    assert machine.cpu_model == "unknown" and machine.cores >= len(usable_cores()) >= 1
