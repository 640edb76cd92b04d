"""One gentle attempt to reach an endpoint, told in full. Never repeated.

Only Python's standard library (3.9 on), Linux, relative imports: `probes.host_lookout` sends this file and `tcp_line`
as they are to hosts of the site, where nothing of ours is installed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from .tcp_line import Ended, Gate, Line

CONNECT_S = 3.2
"""A little longer than a router (or this machine) looks for the next hop before it says that it found none: 3.1 s."""
ANSWER_S = 3.0
PACE_S = 1.0
"""Between two attempts, at least; the kernel sends an unanswered SYN again each second."""
_ANSWER_BYTES_MAX = 256 * 1024
_HEAD_BYTES_MAX = 64 * 1024


class Answer:
    """An HTTP/1 answer as it comes in. `bodiless`: to a HEAD."""

    def __init__(self, *, bodiless: bool) -> None:
        """Nothing came yet."""
        self.status = 0
        self.closes = False
        self._bodiless = bodiless
        self._came = b""
        self._length: int | None = None
        self._chunked = False

    def feed(self, data: bytes) -> bool:
        """Whether it is whole now. Ended when it is no HTTP."""
        self._came += data
        while not self.status:
            head, found, rest = self._came.partition(b"\r\n\r\n")
            if not self._came.startswith(b"HTTP/1."[: len(self._came)]) or len(head) > _HEAD_BYTES_MAX:
                raise Ended("failed", "the answer is not HTTP")
            if not found:
                return False
            self._came = rest
            self._read_head(head.decode("latin-1"))
        if self._bodiless or self.status in (204, 304) or len(self._came) > _ANSWER_BYTES_MAX:
            return True
        if self._chunked:
            return self._came.endswith(b"0\r\n\r\n")
        return self._length is not None and len(self._came) >= self._length

    def closed(self) -> bool:
        """The peer closed: whether that makes it whole."""
        return bool(self.status) and not self._chunked and self._length is None

    def _read_head(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[1].isdigit():
            raise Ended("failed", "the answer is not HTTP")
        if words[1].startswith("1"):
            return  # an interim answer: the real one follows
        fields = {
            name.strip().lower(): value.strip().lower() for name, _, value in (one.partition(":") for one in lines)
        }
        length = fields.get("content-length", "")
        self._length = int(length) if length.isdigit() else None
        self._chunked = "chunked" in fields.get("transfer-encoding", "")
        kept = "keep-alive" in fields.get("connection", "")
        self.closes = "close" in fields.get("connection", "") or (first.startswith("HTTP/1.0") and not kept)
        self.status = int(words[1])


def reach_of(status: int) -> str:
    """What an HTTP status tells of how far we came."""
    return "rejected" if status in (429, 503) else "failed" if status in (500, 502, 504) else "answered"


def request(gate: Gate, *, large: bool = False, keep: bool = False) -> bytes:
    """One unsigned request; any answer will do. Large: more than a jumbo frame towards the target, and a path so long
    that stores which name it in their error answer with a full frame too."""
    lines = ["HEAD / HTTP/1.1"]
    if large:
        lines = [
            f"GET /maul-knock/{'k' * 1000} HTTP/1.1",
            *(f"X-Maul-Padding-{part}: {'p' * 2360}" for part in range(4)),
        ]
    lines += [f"Host: {gate.host}", "User-Agent: maul-knock", "Accept: */*"]
    lines += [] if keep else ["Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


@dataclass(frozen=True)
class Limits:
    """Of one attempt, in seconds: for the SYN; for TLS and the answer together."""

    connect_s: float = CONNECT_S
    answer_s: float = ANSWER_S


GENTLE = Limits()


def knock(gate: Gate, port: int = 0, large: bool = False, limits: Limits = GENTLE, stop: int = -1) -> dict[str, Any]:
    """One attempt: the fields of `core.vantage.Attempt` but for `at_ns` and `question`. Raises Stopped only.

    With a `port` of its own, only TCP is tried.
    """
    line = Line(gate, stop)
    told: dict[str, Any] = {"reach": "answered", "status": 0, "says": "", "tcp": {}}
    try:
        _connect(line, told, port, limits.connect_s)
        if port:
            told["says"] = f"port {port} accepted the connection"
        else:
            _exchange(line, told, large, limits.answer_s)
    except Ended as end:
        told.update(reach=end.reach, says=end.says)
    finally:
        told["tcp"] = line.facts()
        line.close()
    return told


def _connect(line: Line, told: dict[str, Any], port: int, seconds: float) -> None:
    try:
        told["connect_ms"] = line.connect(time.monotonic() + seconds, port)
    except TimeoutError:
        raise Ended("timeout", f"the SYN was not answered within {seconds:g} s") from None


def _exchange(line: Line, told: dict[str, Any], large: bool, seconds: float) -> None:
    until = time.monotonic() + seconds
    missing = "the TLS handshake"
    try:
        if line.gate.context is not None:
            told["tls_ms"] = line.secure(until)
        missing = "the request"
        line.send(request(line.gate, large=large), until)
        _hear(line, told, Answer(bodiless=not large), until)
    except TimeoutError:
        begun = "; its beginning came" if "answer_ms" in told else ""
        raise Ended("stalled", f"connected, but {missing} got no whole answer within {seconds:g} s{begun}") from None


def _hear(line: Line, told: dict[str, Any], answer: Answer, until: float) -> None:
    sent = time.monotonic()
    while True:
        data = line.receive(until)
        if data:
            told.setdefault("answer_ms", (time.monotonic() - sent) * 1e3)
        if answer.feed(data) if data else answer.closed():
            break
        if not data:
            raise Ended("reset", "it closed the connection before the answer was whole")
    told.update(status=answer.status, reach=reach_of(answer.status), says=f"HTTP {answer.status}")


def due_s(now: float, last: float, every_s: float, *, quiet: bool, asked: bool) -> float:
    """Seconds until the next attempt may begin; infinite: none is wanted. `last`: see `last_sent`.

    >>> due_s(10.0, 9.5, 5.0, quiet=False, asked=False), due_s(10.0, 9.5, 5.0, quiet=True, asked=True)
    (4.5, 0.5)
    """
    if asked:
        return max(0.0, last + PACE_S - now)
    return float("inf") if quiet or every_s <= 0 else max(0.0, last + max(every_s, PACE_S) - now)


def last_sent(began: float, ended: float) -> float:
    """From when on the next attempt waits: of a long one its end, as its SYN may have gone out again just now."""
    return began if ended - began < PACE_S else ended
