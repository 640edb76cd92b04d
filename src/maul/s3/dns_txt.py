"""One question to the system's resolver: the TXT records of a name. Bounded in time, over UDP, nothing cached.

Python's own resolver knows addresses only. What does not fit into one datagram is told as such and not fetched over
TCP: a record of consent is short.
"""

import ipaddress
import secrets
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from maul.core.errors import TargetError

RESOLV_CONF = Path("/etc/resolv.conf")
_SERVERS_MAX = 3
_ANSWER_BYTES_MAX = 4096
_TXT, _CNAME, _OPT, _INTERNET = 16, 5, 41, 1
_NO_SUCH_NAME = 3
_JUMPS_MAX = 32
_RECORDS_MAX = 200

Server = tuple[str, int]


def system_servers(path: Path = RESOLV_CONF) -> tuple[Server, ...]:
    """The resolvers of this machine, as its libc uses them; none when the file cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                ipaddress.ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            found.append((words[1], 53))
    return tuple(found[:_SERVERS_MAX])


def txt_records(name: str, servers: Sequence[Server], timeout_s: float = 3.0) -> tuple[str, ...]:
    """The TXT records of a name, those of its aliases included; none when it has none.

    TargetError when no resolver could tell, within `timeout_s` for all of them together.
    """
    question = _question(name)
    deadline = time.monotonic() + timeout_s
    why = "this machine has no resolver"
    for place, server in enumerate(servers[:_SERVERS_MAX]):
        share_s = (deadline - time.monotonic()) / (len(servers[:_SERVERS_MAX]) - place)
        try:
            return _ask(question, server, share_s)
        except TimeoutError:
            why = "no answer in time"
        except OSError as error:
            why = error.strerror or str(error)
        except _NoAnswerError as error:
            why = str(error)
    raise TargetError(f"the TXT records of {name} could not be read ({why})", cure="look at this machine's resolver")


class _NoAnswerError(Exception):
    """A resolver answered, and not what was asked."""


def _question(name: str) -> bytes:
    """The question section. TargetError for what is no name in the DNS."""
    try:
        labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    except UnicodeEncodeError:
        labels = []
    if not labels or any(not 0 < len(label) < 64 for label in labels) or sum(map(len, labels)) + len(labels) > 253:
        raise TargetError(f"{name!r} is no name that the DNS can hold")
    packed = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return packed + struct.pack(">HH", _TXT, _INTERNET)


def _ask(question: bytes, server: Server, timeout_s: float) -> tuple[str, ...]:
    number = secrets.randbits(16)
    # recursion wanted; one question, and an OPT record that allows answers of up to 4096 bytes
    sizes = b"\0" + struct.pack(">HHIH", _OPT, _ANSWER_BYTES_MAX, 0, 0)
    asked = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 1) + question + sizes
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    deadline = time.monotonic() + timeout_s
    with socket.socket(family, socket.SOCK_DGRAM) as door:
        door.connect(server)  # answers of anybody else are not received
        door.settimeout(max(0.001, timeout_s))
        door.send(asked)
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            door.settimeout(left_s)
            answer = door.recv(_ANSWER_BYTES_MAX)
            if _is_answer(answer, number, question):
                return _records(answer, question)


def _is_answer(answer: bytes, number: int, question: bytes) -> bool:
    """To this very question; anything else may be forged, or late."""
    if len(answer) < 12 + len(question):
        return False
    found, flags, questions = struct.unpack_from(">HHH", answer)
    same = answer[12 : 12 + len(question)].lower() == question.lower()
    return bool(found == number and flags & 0x8000 and questions == 1 and same)


def _records(answer: bytes, question: bytes) -> tuple[str, ...]:
    flags, _, count = struct.unpack_from(">HHH", answer, 2)
    code = flags & 0x000F
    if code == _NO_SUCH_NAME:
        return ()
    if code:
        raise _NoAnswerError(f"the resolver answers with code {code}")
    if flags & 0x0200:
        raise _NoAnswerError("the answer does not fit into a datagram")
    try:
        return _parsed(answer, 12 + len(question), min(count, _RECORDS_MAX))
    except (struct.error, IndexError, ValueError) as error:
        raise _NoAnswerError("the answer is not DNS") from error


def _parsed(answer: bytes, offset: int, count: int) -> tuple[str, ...]:
    names, found = {_name(answer, 12)[0]}, []
    for _ in range(count):
        owner, offset = _name(answer, offset)
        kind, class_, _, length = struct.unpack_from(">HHIH", answer, offset)
        offset += 10
        data = answer[offset : offset + length]
        if len(data) != length:
            raise ValueError("cut short")
        if owner in names and class_ == _INTERNET and kind == _CNAME:
            names.add(_name(answer, offset)[0])
        if owner in names and class_ == _INTERNET and kind == _TXT:
            found.append(_text(data))
        offset += length
    return tuple(found)


def _text(data: bytes) -> str:
    """The strings of one record, put together."""
    parts, place = [], 0
    while place < len(data):
        length = data[place]
        parts.append(data[place + 1 : place + 1 + length])
        place += 1 + length
    if place != len(data):
        raise ValueError("cut short")
    return b"".join(parts).decode("utf-8", errors="replace")


def _name(answer: bytes, offset: int) -> tuple[bytes, int]:
    """A name, pointers followed, and where the next field begins. ValueError for a name that never ends."""
    labels: list[bytes] = []
    end: int | None = None
    for _ in range(_JUMPS_MAX * 4):
        length = answer[offset]
        if length >= 0xC0:
            end = offset + 2 if end is None else end
            target = (length & 0x3F) << 8 | answer[offset + 1]
            if target >= offset:
                raise ValueError("a pointer forwards")
            offset = target
        elif length == 0:
            return b".".join(labels).lower(), offset + 1 if end is None else end
        elif length < 64:
            labels.append(answer[offset + 1 : offset + 1 + length])
            offset += 1 + length
        else:
            raise ValueError("an unknown kind of label")
    raise ValueError("a name without an end")
