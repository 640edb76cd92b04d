"""`maul knock URL`: one gentle attempt at an endpoint, and what its end means."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.conduct.knocking import Knocking, knock_at
from maul.conduct.permission import read_permit
from maul.core.clock import SystemClock
from maul.core.errors import CampaignError, ExitCode
from maul.core.units import parse_duration
from maul.core.vantage import Attempt, Reach, TcpFacts
from maul.guard.permit import Permission
from maul.hosts.own_place import own_place
from maul.s3.endpoint import Endpoint

_FOR_MAX_S = 24 * 3600.0
MEANS = {
    Reach.ANSWERED: "the way there and back is open, and somebody answers",
    Reach.REJECTED: "the target is there, and asks to be left alone for a while (429 or 503)",
    Reach.FAILED: "somebody answers, but what stands behind it does not work",
    Reach.STALLED: "the SYN was answered, and then nothing came in time: the service hangs, or only small packets pass",
    Reach.TIMEOUT: "nothing came back: dropped on the way there or on the way back, or nobody has that address",
    Reach.REFUSED: "the machine is there, and nobody listens on that port",
    Reach.RESET: "the connection stood, and somebody ended it: the service, or a device on the way",
    Reach.UNREACHABLE: "a router, or this machine, knows no way there",
    Reach.PROHIBITED: "a router or filter refuses, and says so",
    Reach.TLS: "somebody answers, but is not whom we trust, or speaks no TLS",
    Reach.LOCAL: "this machine could not even try: it says nothing of the target",
}
_ANSWERS = {Reach.ANSWERED, Reach.REJECTED, Reach.FAILED}


def knock(
    url: Annotated[str, typer.Argument(help="http(s)://host:port.")],
    ca: Annotated[Path | None, typer.Option("--ca", help="PEM file of the authority to trust.")] = None,
    server_name: Annotated[
        str | None, typer.Option("--server-name", help="The name that its certificate is checked against.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Connect to this IP address, whatever the name leads to.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="Another port there: TCP only.")] = 0,
    large: Annotated[
        bool, typer.Option("--large", help="Fill whole frames, as a packet that is too big for some link would.")
    ] = False,
    every: Annotated[
        str | None, typer.Option("--every", help="Again and again, such as 5s; never more often than once per second.")
    ] = None,
    for_: Annotated[str, typer.Option("--for", help="With --every: how long.")] = "1m",
    permit: Annotated[
        Path | None, typer.Option("--permit", help="What allows it where loopback or maul's own lab is left.")
    ] = None,
    trust: Annotated[Path | None, typer.Option("--trust", help="File of trusted approvers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON for each attempt.")] = False,
) -> int:
    """Try once to reach an endpoint and say how far that came. Exit 0: it answered each time; 1: it did not."""
    asked = Knocking(
        Endpoint("endpoint", url, ca, server_name),
        address,
        port,
        large,
        0.0 if every is None else _seconds(every, "--every"),
        0.0 if every is None else _seconds(for_, "--for"),
    )
    permission = Permission(own_place(), None if permit is None else read_permit(permit, trust))
    show = _show_json if as_json else _show if every is None else _show_line
    attempts = knock_at(asked, permission, SystemClock(), show)
    return ExitCode.PASS if all(one.reach in _ANSWERS for one in attempts) else ExitCode.FAIL


def _seconds(text: str, option: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise CampaignError(str(error), option) from error
    if not 0 < seconds <= _FOR_MAX_S:
        raise CampaignError("must be more than nothing, and 24 h at most", option)
    return seconds


def _show_json(attempt: Attempt) -> None:
    words = asdict(attempt)
    del words["question"]
    screen.say(json.dumps(words))


def _show_line(attempt: Attempt) -> None:
    took = f" ({took})" if (took := _took(attempt)) else ""
    screen.say(f"{attempt.reach}: {attempt.says}{took}")


def _show(attempt: Attempt) -> None:
    screen.say(f"{attempt.reach}: {attempt.says}")
    screen.say(f"  {MEANS[attempt.reach]}")
    for line in (_took(attempt), _tcp(attempt.tcp)):
        if line:
            screen.say(f"  {line}")


def _took(attempt: Attempt) -> str:
    parts = (("connect", attempt.connect_ms), ("TLS", attempt.tls_ms), ("answer", attempt.answer_ms))
    return ", ".join(f"{name} {ms:.1f} ms" for name, ms in parts if ms is not None)


def _tcp(facts: TcpFacts) -> str:
    if facts.mss is None:
        return ""
    offered = [
        *([f"window scale {facts.send_wscale}"] if facts.send_wscale else ["no window scale"]),
        "SACK" if facts.sack else "no SACK",
        "timestamps" if facts.timestamps else "no timestamps",
        *(["a first window of 0: a proxy speaks for it"] if facts.window_zero else []),
    ]
    again = [
        f"{count} {what} sent again"
        for count, what in ((facts.syn_retransmits, "SYN"), (facts.retransmits, "segments"))
        if count
    ]
    trip = f"round trip {facts.rtt_ms:.2f} ms, " if facts.rtt_ms is not None else ""
    return f"TCP: {trip}MSS {facts.mss}, {', '.join([*offered, *again])}"
