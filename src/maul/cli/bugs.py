"""A bug of ours as one message; its trace goes into a file."""

import os
import tempfile
import traceback
from pathlib import Path


def bug_message(error: Exception) -> str:
    """What happened, what it means, and where the trace is. Raises nothing for a full disk."""
    text = "".join(traceback.format_exception(error))
    try:
        descriptor, name = tempfile.mkstemp(prefix="maul-bug-", suffix=".txt", text=True)
        os.close(descriptor)
        Path(name).write_text(text, encoding="utf-8")
    except OSError:
        name = "(no room to save the trace)"
    return (
        f"a bug in maul, not in what it tested: {type(error).__name__}: {error}\n"
        f"  nothing can be concluded about the target; please report it with {name}"
    )
