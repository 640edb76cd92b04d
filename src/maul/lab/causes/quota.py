"""A process that gets only a part of the time, as a quota of its machine would give it. Standard library only.

Run as a program: PID START_TICKS PART. Stops that process and lets it go on, ten times a second, for as long as it is
the same process; lets it go on when it is ended itself.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

PERIOD_S = 0.1


def is_still(pid: int, start_ticks: int) -> bool:
    """Whether this pid is still that process: by its start time, the twentieth word behind its name."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return int(text.rpartition(")")[2].split()[19]) == start_ticks


def hold_back(pid: int, start_ticks: int, part: float, over: threading.Event) -> None:
    """Until `over`, or until that process is gone."""
    try:
        while is_still(pid, start_ticks):
            os.kill(pid, signal.SIGSTOP)
            if over.wait(PERIOD_S * (1 - part)):
                return
            if is_still(pid, start_ticks):
                os.kill(pid, signal.SIGCONT)
            if over.wait(PERIOD_S * part):
                return
    finally:
        if is_still(pid, start_ticks):
            os.kill(pid, signal.SIGCONT)


def main() -> None:
    """As the command line says."""
    over = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        over.set()

    signal.signal(signal.SIGTERM, end)
    hold_back(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), over)


if __name__ == "__main__":
    main()
