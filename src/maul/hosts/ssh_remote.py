"""The other half of `SshHost`: runs on the target, from its standard input. Only Python's standard library (3.8 on).

Reads one request (JSON), does one thing, prints one answer (JSON). It is sent as text with every request, so that
nothing has to be installed there, and nothing stays.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
import tempfile
from typing import Any, NoReturn

_DEAD = "ZXx"


def start_ticks(pid: int) -> tuple[str, int] | None:
    """State letter and start time of a pid; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[19])


def process(request: dict[str, Any]) -> dict[str, Any] | None:
    """State letter and command line of exactly this process; None when it is gone."""
    found = start_ticks(request["pid"])
    if found is None or found[1] != request["start_ticks"] or found[0] in _DEAD:
        return None
    try:
        with open(f"/proc/{request['pid']}/cmdline", "rb") as file:  # noqa: PTH123
            words = file.read().split(b"\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return {"letter": found[0], "argv": [word.decode(errors="replace") for word in words]}


def send(request: dict[str, Any]) -> bool:
    """Signal exactly this process: the descriptor names it, whoever gets its number later."""
    try:
        descriptor = os.pidfd_open(request["pid"])
    except ProcessLookupError:
        return False
    try:
        if process(request) is None:
            return False
        signal.pidfd_send_signal(descriptor, request["signal"])
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def read(request: dict[str, Any]) -> str | None:
    """A whole file; None when there is none."""
    try:
        with open(request["path"], "rb") as file:  # noqa: PTH123
            return base64.b64encode(file.read()).decode()
    except FileNotFoundError:
        return None


def write(request: dict[str, Any]) -> None:
    """Replace a file in one step."""
    path = request["path"]
    folder, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, request["mode"])
            file.write(base64.b64decode(request["content"]))
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)  # noqa: PTH105
    except OSError:
        os.unlink(temporary)  # noqa: PTH108
        raise


def spawn(request: dict[str, Any]) -> dict[str, int]:
    """Start a process in a session of its own; it runs its program only after its identity is on disk."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    gate, opener = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(opener)
        become(request, log, gate)
    os.close(gate)
    found = start_ticks(pid)
    if found is None:
        raise OSError(0, "/proc is not mounted: processes cannot be told apart")
    if request["pidfile"] is not None:
        words = {"pid": pid, "start_ticks": found[1]}
        words.update({name: request[name] for name in ("argv", "cwd", "env", "log")})
        text = json.dumps(words, indent=1) + "\n"
        content = base64.b64encode(text.encode()).decode()
        write({"path": request["pidfile"], "content": content, "mode": 0o600})
    os.write(opener, b"g")
    return {"pid": pid, "start_ticks": found[1]}


def become(request: dict[str, Any], log: int, gate: int) -> NoReturn:
    """In the child: wait for the word, then be the program. Never returns."""
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        if os.read(gate, 1) != b"g":
            os._exit(1)
        for number in range(1, signal.NSIG):
            if number not in (signal.SIGKILL, signal.SIGSTOP) and not 31 < number < 34:
                signal.signal(number, signal.SIG_DFL)
        os.closerange(3, 4096)
        os.chdir(request["cwd"])
        os.execvpe(request["argv"][0], request["argv"], request["env"])
    except OSError as error:
        os.write(2, f"{error.filename or request['argv'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


ACTIONS = {"process": process, "signal": send, "read": read, "write": write, "spawn": spawn}


def main() -> None:
    """One request, one answer."""
    request = json.loads(sys.stdin.buffer.read())
    try:
        answer = {"result": ACTIONS[request["do"]](request)}
    except OSError as error:
        answer = {"error": error.strerror or str(error), "where": str(error.filename or "")}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
