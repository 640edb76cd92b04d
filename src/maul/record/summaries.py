"""`summary.json` of a finished run: written by whoever judges it, at any time."""

import json
from pathlib import Path

from maul.core.errors import InternalError
from maul.core.summary import Summary
from maul.record.files import disk_error, write_whole


def write_summary(run: Path, summary: Summary) -> None:
    """Write it whole or not at all. MachineError: the disk refuses. InternalError: it is no JSON (a NaN)."""
    try:
        text = json.dumps(summary.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        Summary.model_validate_json(text)
    except ValueError as error:
        raise InternalError(f"the summary is not valid: {error}", "summary.json") from error
    try:
        write_whole(run / "summary.json", text.encode())
    except OSError as error:
        raise disk_error(error, run / "summary.json") from error
