"""Something that may hang, done on a thread of its own: who asks waits as long as it wants to, and no longer."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Errand(Generic[T]):
    """One function, called again and again, never twice at once. A daemon: it never keeps the process from ending."""

    def __init__(self, act: Callable[[], T], name: str) -> None:
        """`name` of the thread, which begins with the first `begin`."""
        self._act = act
        self._asked, self._over, self._closed = threading.Event(), threading.Event(), threading.Event()
        self._over.set()
        self._answer: T | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def begin(self) -> bool:
        """Call the function; False: its last call is not over yet, and no other is begun."""
        if not self._over.is_set():
            return False
        if self._thread.ident is None:
            self._thread.start()
        self._over.clear()
        self._asked.set()
        return True

    def end(self, timeout_s: float) -> T:
        """What the last call gave, or raises what it raised. TimeoutError: it is not over yet."""
        if not self._over.wait(max(0.0, timeout_s)):
            raise TimeoutError("no answer in time")
        if self._error is not None:
            raise self._error
        assert self._answer is not None
        return self._answer

    def close(self) -> None:
        """Call it no more. A call that hangs is left to end by itself."""
        self._closed.set()
        self._asked.set()

    def _run(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            if self._closed.is_set():
                return
            try:
                self._answer, self._error = self._act(), None
            except Exception as error:  # noqa: BLE001 — handed to whoever asked
                self._answer, self._error = None, error
            self._over.set()
