"""What goes to the terminal: answers to stdout, progress and complaints to stderr.

A reader may go away at any time (`maul beat | head`): then the words are dropped, and what is going on goes on.
"""

import contextlib
import os
import sys
from typing import IO

from rich.console import Console


class _Pipe(Console):
    """A console that falls silent when nobody reads it. Rich's own ends the program, with the exit code of a FAIL."""

    def on_broken_pipe(self) -> None:
        """Fall silent."""
        self.quiet = True
        silence(self.file)


OUT = _Pipe(soft_wrap=True, highlight=False)
ERR = _Pipe(stderr=True, highlight=False)


def say(text: str) -> None:
    """An answer, as it is, on stdout."""
    try:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)


def step(text: str) -> None:
    """A line of progress, as it is, on stderr."""
    ERR.print(text, style="dim", markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """One message on stderr."""
    ERR.print(f"maul: {text}", style="red" if ERR.is_terminal else None, markup=False, soft_wrap=True)


def silence(stream: IO[str]) -> None:
    """Send what is still written to a stream nowhere."""
    with contextlib.suppress(OSError):  # it may be no file at all
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())
        finally:
            os.close(nowhere)
