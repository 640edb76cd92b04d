"""A longer way: frames that come out of one device go into another one, later. Standard library only.

Run as a program: FROM INTO MILLISECONDS. Frames are handed over as the kernel has them, with what it has yet to do
(checksums, segments): a kernel without netem delays none by itself.
"""

import select
import signal
import socket
import sys
import time
from collections import deque
from types import FrameType

_ETH_P_ALL = 3
_SOL_PACKET, _VNET_HEADER, _IGNORE_OUTGOING = 263, 15, 23
_FRAME_BYTES_MAX = 70_000
_QUEUE_MAX = 10_000
_READ_AT_ONCE_MAX = 64


def door(device: str) -> socket.socket:
    """A raw socket at a device: whole frames, each behind the header of virtio-net."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    made.setsockopt(_SOL_PACKET, _VNET_HEADER, 1)
    made.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    made.bind((device, _ETH_P_ALL))
    made.setblocking(False)
    return made


def carry(source: socket.socket, into: socket.socket, delay_s: float) -> None:
    """For ever. What does not fit into the queue is lost, as anywhere."""
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([source], [], [], timeout)[0]:
            _read(source, waiting, time.monotonic() + delay_s)
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            try:
                into.send(waiting.popleft()[1])
            except OSError:
                continue  # no buffer, or the device is going


def _read(source: socket.socket, waiting: "deque[tuple[float, bytes]]", due: float) -> None:
    for _ in range(_READ_AT_ONCE_MAX):
        try:
            frame = source.recv(_FRAME_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            sys.exit(0)  # the device is gone
        if len(waiting) < _QUEUE_MAX:
            waiting.append((due, frame))


def main() -> None:
    """As the command line says."""

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    carry(door(sys.argv[1]), door(sys.argv[2]), float(sys.argv[3]) / 1e3)


if __name__ == "__main__":
    main()
