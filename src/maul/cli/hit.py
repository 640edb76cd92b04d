"""`maul hit URL --op …`: one quick load on one endpoint, like wrk or warp."""

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from maul.campaign.model_mix import OpName
from maul.campaign.model_requests import ChecksumName, PayloadMode
from maul.cli import screen
from maul.cli.live import Screen
from maul.conduct.hit import HitResult, run_hit
from maul.core.errors import CampaignError, ExitCode
from maul.core.summary import Percentiles
from maul.core.units import parse_duration, parse_rate, parse_size, show_size
from maul.plan import Hit
from maul.s3.credentials import Credentials, load_credentials

_EXAMPLE_CHARS_MAX = 120
_HOW = "How requests are made"


def hit(
    url: Annotated[
        str, typer.Argument(help="http(s)://host:port, /bucket may follow. Loopback or maul's own lab only.")
    ],
    op: Annotated[OpName, typer.Option("--op", help="The operation.")] = "get",
    rate: Annotated[
        str | None, typer.Option("--rate", help="Open loop: arrivals per second, such as 500 or 500/s.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option("--concurrency", help="Closed loop: operations in flight.")] = None,
    size: Annotated[str, typer.Option("--size", help="Object size, such as 4KiB.")] = "4KiB",
    duration: Annotated[str, typer.Option("--duration", help="How long, such as 10s.")] = "10s",
    objects: Annotated[int, typer.Option("--objects", help="Distinct objects that are filled first and hit.")] = 1000,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Hit this existing object as it is: nothing is written or verified."),
    ] = None,
    bucket: Annotated[str | None, typer.Option("--bucket", help="Instead of the URL's path.")] = None,
    ca: Annotated[Path | None, typer.Option("--ca", help="PEM file of the authority to trust.")] = None,
    credentials: Annotated[
        Path | None,
        typer.Option(
            "--credentials",
            help="JSON file {access_key, secret_key}. Default: the AWS variables; without them, anonymous.",
        ),
    ] = None,
    region: Annotated[str, typer.Option("--region", help="The region that signatures name.")] = "us-east-1",
    connections: Annotated[int, typer.Option("--connections", help="Connections at most.")] = 128,
    timeout: Annotated[str, typer.Option("--timeout", help="Of one request.")] = "5s",
    shards: Annotated[int | None, typer.Option("--shards", help="Generator threads. Default: by the rate.")] = None,
    poisson: Annotated[
        bool, typer.Option("--poisson", help="With --rate: at random moments.", rich_help_panel=_HOW)
    ] = False,
    think: Annotated[
        str, typer.Option("--think", help="With --concurrency: pause before each operation.", rich_help_panel=_HOW)
    ] = "0s",
    payload: Annotated[
        PayloadMode, typer.Option("--payload", help="What signatures cover of a body.", rich_help_panel=_HOW)
    ] = "unsigned",
    checksum: Annotated[
        ChecksumName | None, typer.Option("--checksum", help="With every written body.", rich_help_panel=_HOW)
    ] = None,
    sse: Annotated[
        Literal["sse-s3", "sse-c"] | None, typer.Option("--sse", help="Encryption at rest.", rich_help_panel=_HOW)
    ] = None,
    addressing: Annotated[
        Literal["path", "virtual"], typer.Option("--addressing", help="How the bucket is named.", rich_help_panel=_HOW)
    ] = "path",
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="No signatures, whatever the environment says.", rich_help_panel=_HOW)
    ] = False,
    requests_each: Annotated[
        int | None,
        typer.Option("--requests-each", help="Close a connection after so many.", rich_help_panel=_HOW),
    ] = None,
    no_resumption: Annotated[
        bool, typer.Option("--no-resumption", help="A full TLS handshake each time.", rich_help_panel=_HOW)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Numbers for machines on stdout.")] = False,
) -> int:
    """Load one endpoint and print what came of it. Objects of our own are filled first, verified, and cleaned up."""
    request = _request(
        url=url, op=op, rate=rate, concurrency=concurrency, size=size, duration=duration, objects=objects, key=key,
        bucket=bucket, ca=ca, region=region, connections=connections, timeout=timeout, shards=shards,
        poisson=poisson, think=think, payload=payload, checksum=checksum, encryption=sse, addressing=addressing,
        anonymous=anonymous, requests_each=requests_each, resumption=not no_resumption,
    )  # fmt: skip
    progress = Screen(screen.ERR, quiet=as_json)
    try:
        result = run_hit(request, None if anonymous else _credentials(credentials), progress)
    finally:
        progress.close()
    if as_json:
        screen.say(json.dumps(result.as_json(), indent=2))
    else:
        _show(result)
    return _exit_code(result)


def _request(**options: object) -> Hit:
    rate, concurrency = options.pop("rate"), options.pop("concurrency")
    if rate is None and concurrency is None:
        concurrency = 16
    try:
        return Hit(
            rate_per_s=None if rate is None else parse_rate(str(rate)),
            concurrency=concurrency,
            size_bytes=parse_size(str(options.pop("size"))),
            seconds=parse_duration(str(options.pop("duration"))),
            request_timeout_s=parse_duration(str(options.pop("timeout"))),
            think_s=parse_duration(str(options.pop("think"))),
            ca=None if (ca := options.pop("ca")) is None else str(ca),
            **options,
        )
    except ValueError as error:
        raise CampaignError(str(error), "maul hit") from error


def _credentials(file: Path | None) -> Credentials | None:
    if file is None and "AWS_ACCESS_KEY_ID" not in os.environ:
        return None
    return load_credentials(file, os.environ)


def _exit_code(result: HitResult) -> ExitCode:
    if result.requests == 0 or result.interrupted:
        return ExitCode.UNKNOWN
    return ExitCode.PASS if result.status["ok"] else ExitCode.FAIL


def _show(result: HitResult) -> None:
    status, request = result.status, result.request
    if result.open_loop:
        loop = f"open loop at {request.rate_per_s:,.0f}/s"
    else:
        loop = f"closed loop, {request.concurrency} in flight: it slows down with the target and hides outages"
    seconds = status["elapsed_s"] or 1.0
    screen.say(f"{request.op} {request.url} for {seconds:.1f} s, {loop}")
    screen.say(
        f"  {result.requests:,} operations, {result.requests / seconds:,.0f}/s: {status['ok']:,} ok, "
        f"{status['fail']:,} fail, {status['unknown']:,} unknown, {status['dropped']:,} dropped, "
        f"{status['late']:,} late"
    )
    screen.say(f"  {show_size(status['bytes_sent'])} sent, {show_size(status['bytes_received'])} received")
    if result.interrupted:
        screen.say(f"  it ended before its time: {result.interrupted}")
    if result.left:
        screen.say(f"  up to {result.left:,} of its objects are left under {result.plan.prefix}")
    for kind, count in status["errors"].items():
        example = " ".join(str(status["error_examples"].get(kind, "")).split())[:_EXAMPLE_CHARS_MAX]
        screen.say(f"  {count:,} × {kind.lower().replace('_', ' ')}{f': {example}' if example else ''}")
    screen.OUT.print(_latency_table(result))
    per_request = result.cpu_seconds / result.requests * 1e6 if result.requests else 0.0
    screen.say(f"  generator: {result.cpu_seconds:.2f} s CPU, {per_request:.1f} µs per operation")


def _latency_table(result: HitResult) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("  milliseconds", "p50", "p90", "p99", "p99.9", "max"):
        table.add_column(column, justify="left" if column.startswith("  ") else "right")
    rows: list[tuple[str, Percentiles | None]] = [
        ("  latency (from due)", result.latency),
        ("  service (from send)", result.service),
        ("  first byte", result.first_byte),
        ("  lag (due to send)", result.lag),
    ]
    for name, seen in rows:
        if seen is not None:
            table.add_row(name, *(f"{value:,.2f}" for value in (seen.p50, seen.p90, seen.p99, seen.p999, seen.max)))
    return table
