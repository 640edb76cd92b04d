"""Sockets made in another network namespace and used from here.

A socket belongs for ever to the namespace it was made in, whoever holds it. So one small process goes in, makes
sockets there, and hands them out over a unix socket; the rest of maul stays where it is.
"""

import socket
import subprocess
import sys
import threading
from pathlib import Path

from maul.core.closing import Closes
from maul.core.errors import MachineError
from maul.hosts.enter import enter_argv
from maul.hosts.host import ProcessId
from maul.hosts.local import read_process

_LIMIT_S = 5.0
_ROOT = Path("/")
_ASK_BYTES = 32

# Standard library only, isolated from the environment. Ends when our end of the pair is closed, even by kill -9.
_PROGRAM = f"""
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
door = socket.socket(fileno=0)
while True:
    asked = door.recv({_ASK_BYTES})
    if not asked:
        break
    kind, pid = asked.decode().split()
    try:
        with open("/proc/" + pid + "/ns/net") as place:
            if libc.setns(place.fileno(), 0x40000000):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        if kind == "tcp":
            made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        else:
            made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        socket.send_fds(door, [b"ok"], [made.fileno()])
        made.close()
    except OSError as error:
        door.send(str(error).encode()[:200])
"""


class InsideSockets(Closes):
    """Hands out sockets of the namespaces that `holder` and its companions (same user namespace) keep open."""

    def __init__(self, holder: ProcessId) -> None:
        """Start the process that goes in. MachineError when it cannot."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = enter_argv(holder, _ROOT, (sys.executable, "-I", "-S", "-c", _PROGRAM))
        try:
            self._process = subprocess.Popen(
                argv, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            ours.close()
            raise MachineError(f"cannot enter the namespaces of process {holder.pid}: {error.strerror}") from error
        finally:
            theirs.close()
        ours.settimeout(_LIMIT_S)
        self._door, self._lock = ours, threading.Lock()

    def tcp(self, holder: ProcessId) -> socket.socket:
        """An unconnected TCP socket in the namespace of `holder`."""
        return self._ask("tcp", holder)

    def netlink(self, holder: ProcessId) -> socket.socket:
        """A route netlink socket in the namespace of `holder`: it tells of the links in there."""
        return self._ask("netlink", holder)

    def _ask(self, kind: str, holder: ProcessId) -> socket.socket:
        with self._lock:
            try:
                self._door.send(f"{kind} {holder.pid}".encode())
                says, descriptors, _, _ = socket.recv_fds(self._door, 256, 1)
            except OSError as error:
                raise MachineError(f"no socket of that namespace can be had: {error}") from error
        if not descriptors:
            says = says or (self._process.stderr.read(300) if self._process.stderr and self._ended() else b"no answer")
            raise MachineError(f"no socket of that namespace can be had: {says.decode(errors='replace').strip()}")
        made = socket.socket(fileno=descriptors[0])
        found = read_process(holder.pid)
        if found is None or found[1] != holder.start_ticks:  # looked at after: then it was this holder's namespace
            made.close()
            raise MachineError(f"process {holder.pid}, which held that namespace, is gone")
        return made

    def _ended(self) -> bool:
        try:
            self._process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """See the process off. The sockets that were handed out stay usable."""
        self._door.close()
        if not self._ended():
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
