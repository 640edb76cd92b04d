"""What goes to the terminal: answers to stdout, progress and complaints to stderr."""

import sys

from rich.console import Console

OUT = Console(soft_wrap=True, highlight=False)
ERR = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """An answer, as it is, on stdout."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One message on stderr."""
    ERR.print(f"maul: {text}", style="red" if ERR.is_terminal else None, markup=False, soft_wrap=True)
