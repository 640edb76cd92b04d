"""A recorded play: one cause that was really played, and every second of it, to judge the classifier by. Pure.

The file is JSON, compressed by gzip: `{"cause", "load", "terms", "played_ns", "ended_ns", "seconds", "says"}`.
"""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from pydantic import TypeAdapter, ValidationError

from maul.core.errors import CampaignError
from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.signals import Second
from maul.guard.mitigation.terms import ClassifyTerms

BYTES_MAX = 64_000_000  # of one play, unpacked


@dataclass(frozen=True, slots=True)
class Play:
    """What was played, on what load, and what was seen. Times are Unix ns."""

    cause: Cause | None  # None: nothing was played, all stayed well
    load: str  # in words: "300/s of 4 KiB, 2 generators"
    terms: ClassifyTerms
    played_ns: int  # when the cause began; of a ramp to saturation: when the ramp began
    seconds: Sequence[Second]
    ended_ns: int | None = None  # when it was taken back; None: not within the seconds
    says: str = ""  # how it was played


_PLAY = TypeAdapter(Play)


def dump(play: Play) -> bytes:
    """The file's bytes; the same play always gives the same bytes."""
    return gzip.compress(_PLAY.dump_json(play, exclude_defaults=True), compresslevel=9, mtime=0)


def load(packed: bytes, name: str = "") -> Play:
    """The play of a file's bytes; `name` is told in errors. Raises CampaignError where it is none."""
    try:
        with gzip.GzipFile(fileobj=BytesIO(packed)) as unpacked:
            text = unpacked.read(BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _no_play(str(error), name) from error
    if len(text) > BYTES_MAX:
        raise _no_play(f"longer than {BYTES_MAX} bytes", name)
    try:
        return _PLAY.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _no_play(f"{where}: {first['msg']}" if where else first["msg"], name) from error


def _no_play(why: str, name: str) -> CampaignError:
    return CampaignError(f"this is no recorded play: {why}", name, "record it again with this version of maul")
