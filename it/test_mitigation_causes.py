"""Every cause that the classifier knows, really played against a real run: told right, and answered as it must be.

With `--plays DIR` what was seen of each is recorded, for `scripts/mitigation_matrix.py`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from acts import ACTS, BRISK, LIGHT, Act
from maul.conduct.mitigation_words import FROZEN, SILENT, VERDICT
from maul.guard.mitigation.causes import Family
from maul.guard.mitigation.plays import Play, dump
from maul.lab import cluster
from maul.lab.wiring import Wiring
from net_lab import NetLab
from performance import AGENTS, COUNT, NS, Performance, Scene

SILENT_S, FREEZE_S = 2.0, 3.5
SYNS_PER_S = 1.15
"""One per second over everybody; over some twenty seconds the edges count, too."""
SAYS = f"a lab with a border, a fleet on {', '.join(AGENTS)}"


@pytest.fixture(scope="module")
def scene(base: Path) -> Iterator[Scene]:
    """A lab with a border, and a fleet that stands as long as the module."""
    lab = cluster.up("border", wiring=Wiring(border=True))
    folder = base / "plays"
    folder.mkdir()
    net_lab = NetLab(lab, folder)
    try:
        net_lab.make_bucket("plays")
        with net_lab.started("border", "sh", "-c", COUNT) as counter, net_lab.fleet(*AGENTS):
            yield Scene(net_lab, counter)
    finally:
        lab.down()


def told(name: str, seen: Performance) -> str:
    """How it went, in a line."""
    frozen, silent, verdict = seen.first(FROZEN), seen.first(SILENT), seen.first(VERDICT)
    words = [f"{name}: {seen.verdict}"]
    if frozen is not None and silent is not None:
        took = (frozen.at_ns - seen.played_ns) / NS
        words.append(f"frozen after {took:.2f} s, silent {silent.details['seconds']} s later")
    if verdict is not None:
        words.append(f"told after {(verdict.at_ns - seen.played_ns) / NS:.1f} s")
    return "; ".join(words)


def record(folder: Path | None, name: str, play: Play) -> None:
    """Keep a play, if that is wanted."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json.gz").write_bytes(dump(play))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("repeat", range(1))
@pytest.mark.parametrize(
    ("act", "which"),
    [(act, which) for act in ACTS for which in (0, 1)],
    ids=lambda value: value.cause.value if isinstance(value, Act) else ("light", "brisk")[value],
)
def test_what_is_played_is_told(scene, record_plays, act, which, repeat):
    load, orders = act.loads[which], act.orders[which % len(act.orders)]
    seen = scene.perform(act, load, orders)
    name = f"{act.cause}-{load.name}-{repeat + 1}"
    scene.net_lab.figure(told(name, seen))
    record(record_plays, name, seen.play(act.cause, load.says, SAYS))
    assert seen.verdict == act.cause, seen.last(VERDICT)
    frozen, silent = seen.first(FROZEN), seen.first(SILENT)
    assert act.freezes is None or act.freezes == (frozen is not None)
    if frozen is None:
        return
    assert silent is not None
    assert silent.details["seconds"] < SILENT_S
    if act.freezes:
        assert frozen.at_ns - seen.played_ns < FREEZE_S * NS
    verdict = seen.last(VERDICT)
    assert seen.syns_per_s(silent.at_ns + NS // 2, verdict.at_ns) <= SYNS_PER_S
    summary = json.loads((seen.run / "summary.json").read_text())
    assert summary["mitigations"][0]["cause"] == act.cause


@pytest.mark.timeout(240)
@pytest.mark.parametrize("load", [LIGHT, BRISK], ids=lambda load: load.name)
def test_a_clean_ramp_to_saturation_blames_nobody(scene, record_plays, load):
    """As far as this machine carries it: the target, or the machine, gives way by itself."""
    seen = scene.ramp(f"ramp-{load.name}", load, 3000, 40)
    scene.net_lab.figure(told(f"ramp-{load.name}", seen))
    record(record_plays, f"ramp-{load.name}", seen.play(None, f"a ramp from {load.says} to 3000/s", SAYS))
    assert seen.first(FROZEN) is None
    verdicts = [one for one in seen.told if one.name == VERDICT]
    assert not [one for one in verdicts if one.details["family"] == Family.PROTECTION]
