"""One TCP connection, perhaps with TLS, whose every wait ends and whose every failure has a name.

Only Python's standard library (3.9 on), Linux, relative imports: see `doorstep`. It leaves by a reset, so that nothing
of an attempt is sent again into a hole.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from typing import Any

_CHUNK = 64 * 1024
# linux/in.h, linux/in6.h, linux/tcp.h: not all of them have a name in Python
_IP_RECVERR, _IPV6_RECVERR, _IP_BIND_ADDRESS_NO_PORT = 11, 25, 24
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
_TIMESTAMPS, _SACK, _WSCALE = 1, 2, 4
# ICMP "destination unreachable" (type 3; ICMPv6: type 1): the codes of who forbids, in words
_FORBIDS = {
    (3, 3): "port unreachable, as a filter says it: a host itself would answer by a RST",
    (3, 9): "network administratively prohibited",
    (3, 10): "host administratively prohibited",
    (3, 13): "communication administratively prohibited",
    (1, 1): "communication administratively prohibited",
    (1, 4): "port unreachable, as a filter says it: a host itself would answer by a RST",
    (1, 5): "source address failed a policy",
    (1, 6): "route rejects",
}
_HAS_NO_WAY = {
    (3, 0): "network unreachable",
    (3, 1): "host unreachable",
    (3, 6): "network unknown",
    (3, 7): "host unknown",
    (1, 0): "no route",
    (1, 3): "address unreachable",
}
# of connect() itself, or of bind() and socket(): this machine has nothing left to try it with
_OURS = {
    errno.EADDRNOTAVAIL: "this machine has no free port, or not that source address",
    errno.EADDRINUSE: "this machine has no free port",
    errno.EMFILE: "this process has no file descriptor left",
    errno.ENFILE: "this machine has no file descriptor left",
    errno.ENETDOWN: "this machine's network is down",
    errno.ENETUNREACH: "this machine has no route there",
    errno.EINVAL: "a blackhole route of this machine drops it",
    errno.ENOBUFS: "this machine has no buffers left",
    errno.ENOMEM: "this machine has no memory left",
    errno.EPERM: "a filter of this machine forbids it",
}
# by errno and whether it stood (None: either way)
_BROKEN = {
    (errno.ECONNRESET, True): ("reset", "the connection was reset"),
    (errno.ECONNRESET, False): ("reset", "the SYN was answered, then the connection was reset"),
    (errno.EPIPE, None): ("reset", "the connection was reset"),
    (errno.ECONNREFUSED, None): ("refused", "the SYN was answered by a RST: nobody listens there"),
    (errno.ETIMEDOUT, True): ("stalled", "what was sent was never acknowledged"),
    (errno.ETIMEDOUT, False): ("timeout", "the SYN was never answered"),
    (errno.EHOSTUNREACH, None): ("unreachable", "no way leads to that host"),
    (errno.ENETUNREACH, None): ("unreachable", "no way leads to that network"),
    (errno.EACCES, None): ("prohibited", "a filter or route forbids it"),
    (errno.EPERM, None): ("prohibited", "a filter or route forbids it"),
}


@dataclass(frozen=True)
class Gate:
    """One endpoint, at the one address that was checked. `host`: for the Host header; `context` None: plain HTTP;
    `source`: the address to send from, empty for the kernel's choice; `ca_pem`: whom the context trusts, as text,
    empty for the system's authorities; `ports`: other ports of the address that may be tried; None: any."""

    address: str
    port: int
    host: str
    context: ssl.SSLContext | None = None
    server_name: str = ""
    source: str = ""
    ca_pem: str = field(default="", repr=False)
    ports: frozenset[int] | None = frozenset()


class Ended(Exception):  # noqa: N818 (an outcome, no error)
    """An attempt came this far and no further: `reach` is a value of `core.vantage.Reach`."""

    def __init__(self, reach: str, says: str) -> None:
        """`says`: what happened, in words."""
        super().__init__(says)
        self.reach, self.says = reach, says


class Stopped(Exception):  # noqa: N818 (an outcome, no error)
    """Whoever asked does not want to know any more."""


class Line:
    """One TCP connection, perhaps with TLS. Every wait has a deadline (`until`, of time.monotonic): TimeoutError.

    Ended for whatever else goes wrong. `stop`: a descriptor; when it becomes readable, Stopped.
    """

    def __init__(self, gate: Gate, stop: int = -1) -> None:
        """Nothing is opened yet."""
        self.gate = gate
        self._stop = stop
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._poll = select.poll()
        self._at_first: dict[str, Any] = {}
        self._told: Ended | None = None  # by ICMP

    def connect(self, until: float, port: int = 0, user_timeout_ms: int = 0) -> float:
        """Milliseconds until the SYN was answered. `user_timeout_ms`: it dies when data is unacknowledged so long."""
        family = socket.AF_INET6 if ":" in self.gate.address else socket.AF_INET
        began = time.monotonic()
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            self._set_options(family, user_timeout_ms)
            if self.gate.source:
                self._socket.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                self._socket.bind((self.gate.source, 0))
        except OSError as error:
            raise Ended("local", _OURS.get(error.errno or 0, error.strerror or str(error))) from None
        code = self._socket.connect_ex((self.gate.address, port or self.gate.port))
        if code not in (0, errno.EINPROGRESS):
            raise _refused_here(code)
        self._poll.register(self._socket, 0)
        if self._stop >= 0:
            self._poll.register(self._stop, select.POLLIN)
        self._wait(select.POLLOUT, until)
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code or self._told is not None:  # reading the error queue took the error away
            raise self._broken(code, connected=False)
        took_ms = (time.monotonic() - began) * 1e3
        self._at_first = self._info()
        return took_ms

    def secure(self, until: float) -> float:
        """Milliseconds of the TLS handshake."""
        assert self.gate.context is not None
        began = time.monotonic()
        self._tls = self.gate.context.wrap_bio(self._incoming, self._outgoing, server_hostname=self.gate.server_name)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(until)
                data = self._read(until)
                if not data:
                    raise Ended("reset", "it closed the connection during the TLS handshake") from None
                self._incoming.write(data)
            except ssl.SSLCertVerificationError as error:
                raise Ended("tls", f"its certificate cannot be trusted ({error.verify_message})") from None
            except ssl.SSLError as error:
                raise Ended("tls", f"the TLS handshake failed ({error.reason or error})") from None
            else:
                self._flush(until)
                return (time.monotonic() - began) * 1e3

    def send(self, data: bytes, until: float) -> None:
        """All of it, to the kernel."""
        if self._tls is None:
            self._write(data, until)
        else:
            self._tls.write(data)
            self._flush(until)

    def receive(self, until: float) -> bytes:
        """Some of what came; empty: the peer has closed."""
        if self._tls is None:
            return self._read(until)
        while True:
            try:
                return self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                data = self._read(until)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLEOFError:
                return b""
            except ssl.SSLError as error:
                raise Ended("tls", f"TLS broke ({error.reason or error})") from None

    def silent_ms(self) -> float:
        """How long ago the peer's last data reached this machine, as the kernel knows; in its ticks of 1 to 10 ms."""
        return float(self._info().get("last_data_recv_ms", 0.0))

    def facts(self) -> dict[str, Any]:
        """As `core.vantage.TcpFacts`, of a connection that stands or stood; empty before."""
        if not self._at_first:
            return {}
        first, now = self._at_first, self._info()
        options = first["options"]
        return {
            "rtt_ms": now.get("rtt_ms"),
            "mss": now.get("mss"),
            "send_wscale": first["send_wscale"] if options & _WSCALE else 0,
            "sack": bool(options & _SACK),
            "timestamps": bool(options & _TIMESTAMPS),
            "window_zero": None if first["window"] is None else first["window"] == 0,
            "syn_retransmits": first["retransmits"],
            "retransmits": now["retransmits"] - first["retransmits"] if now else None,
        }

    def close(self) -> None:
        """By a reset where the connection stands; nothing is sent otherwise. Harmless a second time."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    # -- below -----------------------------------------------------------------------------------------------------

    def _set_options(self, family: int, user_timeout_ms: int) -> None:
        assert self._socket is not None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        if user_timeout_ms:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, user_timeout_ms)

    def _wait(self, events: int, until: float) -> None:
        assert self._socket is not None
        self._poll.modify(self._socket, events)
        ready = dict(self._poll.poll(max(0.0, until - time.monotonic()) * 1e3))
        if self._stop in ready:
            raise Stopped
        if self._socket.fileno() not in ready:
            raise TimeoutError
        if ready[self._socket.fileno()] & select.POLLERR:
            self._told = self._icmp() or self._told  # read, or the next poll returns at once

    def _read(self, until: float) -> bytes:
        assert self._socket is not None
        while True:
            try:
                return self._socket.recv(_CHUNK)
            except BlockingIOError:
                self._wait(select.POLLIN, until)
            except OSError as error:
                raise self._broken(error.errno or 0, connected=True) from None

    def _write(self, data: bytes, until: float) -> None:
        assert self._socket is not None
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, until)
            except OSError as error:
                raise self._broken(error.errno or 0, connected=True) from None

    def _flush(self, until: float) -> None:
        self._write(self._outgoing.read(), until)

    def _broken(self, code: int, *, connected: bool) -> Ended:
        told, self._told = self._icmp() or self._told, None
        if told is not None:
            return told
        reach, words = _BROKEN.get((code, connected)) or _BROKEN.get((code, None)) or ("", "")
        if not reach:
            reach = "reset" if connected else "local"
        return Ended(reach, words or _OURS.get(code) or errno.errorcode.get(code, f"error {code}"))

    def _icmp(self) -> Ended | None:
        """What the error queue holds, ip(7): who refused the packet, and why."""
        assert self._socket is not None
        try:
            _, ancillary, _, _ = self._socket.recvmsg(512, 512, socket.MSG_ERRQUEUE)
        except OSError:
            return None
        for level, kind, data in ancillary:
            if (level, kind) in {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}:
                _, origin, icmp_type, icmp_code = struct.unpack_from("=IBBB", data)
                if origin in (_ORIGIN_ICMP, _ORIGIN_ICMP6):
                    return _said_by_icmp(icmp_type, icmp_code, _offender(data[16:]))
        return None

    def _info(self) -> dict[str, Any]:
        assert self._socket is not None
        try:
            raw = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            mss = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        except OSError:
            return {}
        return {**tcp_info(raw), "mss": mss}


def tcp_info(raw: bytes) -> dict[str, Any]:
    """What we need of `struct tcp_info` (linux/tcp.h); an older kernel's is shorter."""
    scales = raw[6]
    return {
        "options": raw[5],
        "send_wscale": scales & 0xF if struct.pack("=H", 1)[0] else scales >> 4,
        "last_data_recv_ms": struct.unpack_from("=I", raw, 52)[0],
        "rtt_ms": struct.unpack_from("=I", raw, 68)[0] / 1e3,
        "retransmits": struct.unpack_from("=I", raw, 100)[0],
        "window": struct.unpack_from("=I", raw, 228)[0] if len(raw) >= 232 else None,
    }


def _refused_here(code: int) -> Ended:
    """Of connect() itself: no packet left this machine."""
    if code == errno.EACCES:
        return Ended("prohibited", "a route of this machine prohibits it")
    if code == errno.EHOSTUNREACH:
        return Ended("unreachable", "a route of this machine says that it is unreachable")
    return Ended("local", _OURS.get(code, errno.errorcode.get(code, f"error {code}")))


def _said_by_icmp(icmp_type: int, icmp_code: int, offender: str) -> Ended:
    key = (icmp_type, icmp_code)
    words = _FORBIDS.get(key) or _HAS_NO_WAY.get(key) or f"type {icmp_type} code {icmp_code}"
    return Ended("prohibited" if key in _FORBIDS else "unreachable", f"ICMP from {offender}: {words}")


def _offender(data: bytes) -> str:
    """Of a struct sockaddr."""
    family = struct.unpack_from("=H", data)[0] if len(data) >= 2 else 0
    if family == socket.AF_INET and len(data) >= 8:
        return socket.inet_ntoa(data[4:8])
    if family == socket.AF_INET6 and len(data) >= 24:
        return socket.inet_ntop(socket.AF_INET6, data[8:24])
    return "somebody"
