"""A small sound campaign to break in tests, one line at a time."""

SOUND = """\
version: 1
name: small
target: {endpoints: [vip], bucket: maul-test}
workload:
  objects: 100
  size: 4KiB
  mix: {get: 3, put: 2, delete: 1}
load: {in_flight: 64}
phases:
  - {name: fill, kind: prepare}
  - {name: calm, kind: load, rate: 50/s, for: 20s}
  - {name: audit, kind: audit}
  - {name: tidy, kind: clean-up}
faults:
  - {name: kill, fault: process.kill, role: volume, phase: calm, after: 5s, hold: 5s}
objectives:
  - {name: available, phases: [calm], errors_below: 0.1%}
limits: {requests: 10000}
"""


def with_line(old: str, new: str) -> str:
    """The sound campaign with one piece replaced; the piece must be there."""
    if SOUND.count(old) != 1:
        raise ValueError(f"{old!r} stands {SOUND.count(old)} times in the campaign")
    return SOUND.replace(old, new)
