"""The lab's own protection against floods, as networks have them: it counts, decides, drops, tells, lifts.

Started as `python -m maul.lab.protection FILE` (JSON, see `Terms`) in the border. Standard library only. It counts what
goes to the VIP, looks each second at the mean of the last seconds, and drops for `hold_s` when that is too much. It
ends on SIGTERM, and takes its rules away.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

TABLE = "maul_protection"
ACTIONS = ("black-hole", "ban-sources", "port-discard")
CHECK_S = 1.0
SOURCES_MAX = 1024
_NFT_S, _TELL_S = 5.0, 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """When it acts and how. Limits per second, 0: none. With `ban-sources` they hold for each source."""

    packets: float = 3000.0
    bits: float = 0.0
    new_connections: float = 0.0
    mean_s: float = 5.0
    hold_s: float = 45.0
    action: str = "black-hole"
    never_lift_while_hammered: bool = False
    vip: str = "198.51.100.10"
    port: int = 8443
    feed: str = "http://10.77.0.2:9880/"
    status: str = ""

    def exceeded(self, rates: "Counts") -> tuple[str, float, float] | None:
        """The first limit that these rates exceed: what, the rate, the limit."""
        pairs = (
            ("packets", rates.packets, self.packets),
            ("bits", rates.bytes * 8, self.bits),
            ("new connections", rates.syns, self.new_connections),
        )
        return next(((what, rate, limit) for what, rate, limit in pairs if limit and rate > limit), None)


@dataclass(frozen=True, slots=True)
class Counts:
    """What went to the VIP: since the beginning, or per second. Packets that a host hands over together are one."""

    packets: float = 0.0
    bytes: float = 0.0
    syns: float = 0.0

    def rate_since(self, before: "Counts", seconds: float) -> "Counts":
        """Per second."""
        return Counts(
            (self.packets - before.packets) / seconds,
            (self.bytes - before.bytes) / seconds,
            (self.syns - before.syns) / seconds,
        )


@dataclass(frozen=True, slots=True)
class Ban:
    """Begin or lift: of the VIP, or of a source."""

    who: str
    drop: bool
    says: str


@dataclass(slots=True)
class Detector:
    """Decides. `look` takes what was counted so far, by who is judged: the VIP as a whole, or each source."""

    terms: Terms
    seen: deque[tuple[float, Mapping[str, Counts]]] = field(default_factory=deque)
    banned: dict[str, float] = field(default_factory=dict)  # until when, by who
    acted: int = 0

    def look(self, at_s: float, counted: Mapping[str, Counts]) -> list[Ban]:
        """What is to be done now. Pure but for its own memory."""
        self.seen.append((at_s, counted))
        while len(self.seen) > 1 and self.seen[1][0] <= at_s - self.terms.mean_s:
            self.seen.popleft()
        return [ban for who in counted for ban in self._judge(at_s, who)]

    def rate(self, who: str) -> Counts | None:
        """The mean per second; None before `mean_s` was seen."""
        (before_s, before), (after_s, after) = self.seen[0], self.seen[-1]
        if after_s - before_s < self.terms.mean_s:
            return None
        return after.get(who, Counts()).rate_since(before.get(who, Counts()), after_s - before_s)

    def _judge(self, at_s: float, who: str) -> list[Ban]:
        rate = self.rate(who)
        over = self.terms.exceeded(rate) if rate is not None else None
        if who not in self.banned:
            if over is None:
                return []
            self.banned[who] = at_s + self.terms.hold_s
            self.acted += 1
            what, found, limit = over
            says = f"{found:.0f} {what} per second over {self.terms.mean_s:g} s, more than {limit:.0f}"
            return [Ban(who, True, says)]
        if at_s < self.banned[who] or (over is not None and self.terms.never_lift_while_hammered):
            return []
        del self.banned[who]
        return [Ban(who, False, f"after {self.terms.hold_s:g} s")]


def table_text(terms: Terms) -> str:
    """What counts, before what drops: what is dropped is counted, too."""
    return f"""\
table inet {TABLE} {{
    counter vip_all {{ }}
    counter vip_syns {{ }}
    set sources {{ type ipv4_addr; size {SOURCES_MAX}; flags dynamic; counter; }}
    set opening {{ type ipv4_addr; size {SOURCES_MAX}; flags dynamic; counter; }}
    set banned {{ type ipv4_addr; size {SOURCES_MAX}; }}
    chain count {{
        type filter hook forward priority -180; policy accept;
        ip daddr {terms.vip} counter name vip_all update @sources {{ ip saddr }}
        ip daddr {terms.vip} tcp flags & (syn | ack) == syn counter name vip_syns update @opening {{ ip saddr }}
    }}
    chain act {{
        type filter hook forward priority -170; policy accept;
    }}
}}
"""


def act_text(terms: Terms, ban: Ban) -> str:
    """The commands of nftables that begin or lift a ban."""
    if terms.action == "ban-sources":
        element = f"element inet {TABLE} banned {{ {ban.who} }}"
        rule = f"add rule inet {TABLE} act ip saddr @banned drop"
        return f"add {element}; flush chain inet {TABLE} act; {rule}" if ban.drop else f"delete {element}"
    if not ban.drop:
        return f"flush chain inet {TABLE} act"
    where = f" tcp dport {terms.port}" if terms.action == "port-discard" else ""
    return f"add rule inet {TABLE} act ip daddr {terms.vip}{where} drop"


def counts_of(listing: Mapping[str, Any], terms: Terms) -> dict[str, Counts]:
    """From `nft -j list table`: by who is judged."""
    counters, sets = {}, {}
    for item in listing["nftables"]:
        if "counter" in item:
            counters[item["counter"]["name"]] = item["counter"]
        if "set" in item:
            elements = (one["elem"] for one in item["set"].get("elem", ()) if "elem" in one)
            sets[item["set"]["name"]] = {one["val"]: one["counter"] for one in elements}
    if terms.action != "ban-sources":
        whole = counters["vip_all"]
        return {terms.vip: Counts(whole["packets"], whole["bytes"], counters["vip_syns"]["packets"])}
    opened = sets.get("opening", {})
    return {
        who: Counts(one["packets"], one["bytes"], opened.get(who, {}).get("packets", 0))
        for who, one in sets.get("sources", {}).items()
    }


def notice(ban: Ban, terms: Terms, at_ns: int) -> dict[str, Any]:
    """What the feed is told."""
    return {
        "at_ns": at_ns,
        "source": "lab-protection",
        "prefix": f"{ban.who}/32",
        "action": "drop" if ban.drop else "release",
        "kind": terms.action,
        "says": f"{terms.action}: {ban.says}",
    }


def watch(terms: Terms, over: threading.Event) -> None:
    """Until `over`."""
    _nft(f"add table inet {TABLE}; delete table inet {TABLE}")
    _nft(table_text(terms))
    detector = Detector(terms)
    try:
        while not over.wait(CHECK_S):
            listing = json.loads(_nft("-j", f"list table inet {TABLE}"))
            for ban in detector.look(time.monotonic(), counts_of(listing, terms)):
                _nft(act_text(terms, ban))
                _tell(terms, notice(ban, terms, time.time_ns()))
            _note(detector)
    finally:
        for who in detector.banned:
            _tell(terms, notice(Ban(who, False, "switched off"), terms, time.time_ns()))
        _nft(f"add table inet {TABLE}; delete table inet {TABLE}")


def _nft(*words: str) -> str:
    done = subprocess.run(("nft", *words), capture_output=True, text=True, timeout=_NFT_S, check=False)
    if done.returncode != 0:
        raise OSError(f"nft: {done.stderr.strip()[-300:]}")
    return done.stdout


def _tell(terms: Terms, told: Mapping[str, Any]) -> None:
    """Nobody may be listening; that keeps nobody from being dropped."""
    _say(json.dumps(told))
    request = urllib.request.Request(
        terms.feed, json.dumps(told).encode(), {"content-type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=_TELL_S):
            pass
    except (OSError, ValueError) as error:
        _say(f"nobody was told: {error}")


def _say(line: str) -> None:
    """Into the log."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _note(detector: Detector) -> None:
    if not detector.terms.status:
        return
    whose = {who: rate for who in detector.seen[-1][1] if (rate := detector.rate(who)) is not None}
    now = time.monotonic()
    told = {
        "at_ns": time.time_ns(),
        "rates": {who: asdict(rate) for who, rate in whose.items()},
        "banned": {who: round(until - now, 1) for who, until in detector.banned.items()},
        "acted": detector.acted,
    }
    path = Path(detector.terms.status)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(told) + "\n", encoding="ascii")
    new.replace(path)


def main(path: str) -> None:
    """Read the terms, and keep them."""
    terms = Terms(**json.loads(Path(path).read_text(encoding="utf-8")))
    over = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        over.set()

    signal.signal(signal.SIGTERM, end)
    os.umask(0o077)
    watch(terms, over)


if __name__ == "__main__":
    main(sys.argv[1])
