"""A conductor to be killed: `python conductor_process.py ADDRESS CERTIFICATES PLAN AGENT…`; says "running"."""

import json
import sys
from pathlib import Path

from fleet_plans import CLOCK

from maul.fleet.connection import Fleet
from maul.fleet.preflight import Question


def main() -> None:
    address, certificates, plan_file, *names = sys.argv[1:]
    plan = json.loads(Path(plan_file).read_text())
    with Fleet.connect(address, Path(certificates)) as fleet:
        found = fleet.preflight(Question(), names)
        assert set(found.ready) == set(names), found.left_out
        generator = fleet.generator(dict.fromkeys(names, plan), run="killed")
        generator.start()
        sys.stdout.write("running\n")
        sys.stdout.flush()
        for _ in range(1200):
            generator.renew()
            if generator.join(0.05):
                break
            CLOCK.wait(0.05)
        sys.stdout.write(f"ended: {generator.status().stop_reason}\n")


if __name__ == "__main__":
    main()
