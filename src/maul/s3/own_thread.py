"""What lookouts with a thread of their own have in common: what they felt, being quiet, and an end at once."""

import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

from maul.core.vantage import Attempt, Notice

KEPT_MAX = 4096
"""Attempts that nobody took; the oldest go first."""
JOIN_S = 5.0


class Wake:
    """A descriptor that becomes readable once `set`: ends every wait of a `Line` at once."""

    def __init__(self) -> None:
        """Not set."""
        self.fd, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def set(self) -> None:
        """Wake whoever waits, now and from now on."""
        os.write(self._writer, b"w")

    def close(self) -> None:
        """When nobody waits any more."""
        os.close(self.fd)
        os.close(self._writer)


class OwnThread(ABC):
    """The part of a `Lookout` that waits: `_go` runs on `_thread`, until `_over`. Whoever inherits starts it last.

    `_quiet` and `_over` change under `_changed`, which is notified then; `_wake` ends what waits for a socket. `_came`
    is filled by the thread.
    """

    def __init__(self, name: str) -> None:
        """`name`: of the thread."""
        self._came: deque[Attempt] = deque(maxlen=KEPT_MAX)
        self._quiet = self._over = False
        self._changed = threading.Condition()
        self._wake = Wake()
        self._thread = threading.Thread(target=self._go, name=name, daemon=True)

    @abstractmethod
    def _go(self) -> None: ...

    def take(self) -> Sequence[Attempt | Notice]:
        """All that came, which is kept no more. The thread may add meanwhile."""
        found: list[Attempt | Notice] = []
        while True:
            try:
                found.append(self._came.popleft())
            except IndexError:
                return found

    def quiet(self, wanted: bool) -> None:
        """See `Lookout`."""
        with self._changed:
            self._quiet = wanted
            self._changed.notify()

    def close(self) -> None:
        """See `Lookout`. Harmless a second time."""
        with self._changed:
            if self._over:
                return
            self._over = True
            self._changed.notify()
        self._wake.set()
        self._thread.join(JOIN_S)
        if not self._thread.is_alive():
            self._wake.close()
