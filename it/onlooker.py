"""What a customer sees of an address: one attempt, or one connection that is kept. Standard library only.

onlooker.py once CA ADDRESS PORT [SIZE]      prints one JSON object; SIZE: bytes of a header that fills frames
onlooker.py many CA ADDRESS PORT COUNT SIZE  so many attempts side by side: how often which end, and status
onlooker.py keep CA ADDRESS PORT SECONDS     prints one object per half second, over one connection
"""

import json
import socket  # noqa: TID251 — a customer of its own
import ssl
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

TIMEOUT_S = 1.5


def connect(ca: str, address: str, port: int, told: dict[str, object]) -> socket.socket:
    began = time.monotonic()
    door = socket.create_connection((address, port), TIMEOUT_S)
    told["connect_ms"] = (time.monotonic() - began) * 1e3
    told["mss"] = door.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    if port != 80:
        door = ssl.create_default_context(cafile=ca).wrap_socket(door, server_hostname=address)
    return door


def ask(door: socket.socket, address: str, size: int = 0) -> dict[str, object]:
    began = time.monotonic()
    padding = "".join(f"x-padding-{n}: {'x' * 900}\r\n" for n in range(size // 900))
    door.sendall(f"GET / HTTP/1.1\r\nhost: {address}\r\n{padding}\r\n".encode())
    said = door.recv(65536).decode(errors="replace")
    if not said:
        return {"reach": "reset"}
    head, _, body = said.partition("\r\n\r\n")
    status = int(head.split()[1])
    return {"reach": "answered", "status": status, "answer_ms": (time.monotonic() - began) * 1e3, "body": body[:200]}


def failed(error: OSError) -> dict[str, object]:
    if isinstance(error, TimeoutError):
        return {"reach": "timeout"}
    words = {111: "refused", 104: "reset", 113: "unreachable", 101: "unreachable", 13: "prohibited", 99: "local"}
    return {"reach": words.get(error.errno or 0, "other"), "says": str(error)}


def once(ca: str, address: str, port: int, size: int = 0) -> dict[str, object]:
    told: dict[str, object] = {}
    try:
        with connect(ca, address, port, told) as door:
            return told | ask(door, address, size)
    except OSError as error:
        return told | failed(error)


def many(ca: str, address: str, port: int, count: int, size: int) -> dict[str, int]:
    with ThreadPoolExecutor(count) as pool:
        told = list(pool.map(lambda _: once(ca, address, port, size), range(count)))
    return dict(Counter(f"{one['reach']} {one.get('status', '')}".strip() for one in told))


def keep(ca: str, address: str, port: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    door = connect(ca, address, port, {})
    while time.monotonic() < until:
        try:
            told = ask(door, address)
        except OSError as error:
            told = failed(error)
        print(json.dumps({"at": time.time(), **told}), flush=True)
        time.sleep(0.5)


if __name__ == "__main__":
    kind, ca_path, where, at, *rest = sys.argv[1:]
    if kind == "once":
        print(json.dumps(once(ca_path, where, int(at), *map(int, rest))))
    elif kind == "many":
        print(json.dumps(many(ca_path, where, int(at), *map(int, rest))))
    else:
        keep(ca_path, where, int(at), float(rest[0]))
