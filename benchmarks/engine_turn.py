"""One turn of the engine for a bench, in a process of its own: `engine_turn.py PLAN CA` prints what it did as JSON.

The CPU is of the whole process while it ran, Python's looks included: what the peers are charged for as well.
"""

import json
import resource
import sys
from pathlib import Path

from maul.load import RustGenerator
from maul.plan import EnginePlan, with_secrets
from maul.s3.credentials import Credentials


def main(plan_path: str, ca_path: str) -> int:
    """Run it to its end."""
    plan = EnginePlan.model_validate_json(Path(plan_path).read_text(encoding="utf-8"))
    ca_pem = Path(ca_path).read_text(encoding="ascii")
    names = {endpoint.name: ca_pem for endpoint in plan.endpoints}
    generator = RustGenerator(with_secrets(plan, Credentials("bench", "bench-secret"), names))
    before = _cpu_seconds()
    generator.start()
    generator.join(plan.limits.seconds + 5.0)
    status = generator.status()
    print(
        json.dumps(
            {
                "ok": status.ok,
                "completed": status.completed,
                "bytes": status.bytes_received,
                "cpu_seconds": _cpu_seconds() - before,
                "last_error": status.last_error,
            }
        )
    )
    return 0


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
