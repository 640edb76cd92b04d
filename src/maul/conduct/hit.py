"""`maul hit`: one quick load on one endpoint, without campaign or record. The same engine, the same honesty."""

import os
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maul.conduct.drive import Drive, Driven, Driver
from maul.conduct.progress import Progress
from maul.conduct.stage import GeneratorMaker
from maul.conduct.stop import StopSwitch
from maul.conduct.target import Account, Door, OpenTarget, open_endpoints, open_target
from maul.core.clock import Clock, SystemClock
from maul.core.errors import MaulError, TargetError
from maul.core.generator import Drained
from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.core.ids import new_run_id
from maul.core.operation import Outcome
from maul.core.summary import Percentiles
from maul.guard.permit import Permission
from maul.hosts.own_place import own_place
from maul.insight import percentiles
from maul.load import RustGenerator
from maul.plan import EnginePlan, Hit, HitPlan, with_secrets
from maul.plan import hit as plan_hit
from maul.plan.engine_plan import OpenArrivals
from maul.s3.credentials import Credentials
from maul.s3.endpoint import Endpoint
from maul.s3.preflight import remove_bucket
from maul.s3.removal import abort_uploads


@dataclass(frozen=True, slots=True)
class HitResult:
    """The numbers of the load proper; filling and cleaning are not in them."""

    plan: HitPlan
    request: Hit
    open_loop: bool
    status: Mapping[str, Any]
    latency: Percentiles | None
    service: Percentiles | None
    first_byte: Percentiles | None
    lag: Percentiles | None
    cpu_seconds: float
    interrupted: str
    """Why it ended before its time; empty when it did not."""
    left: int = 0
    """Objects of ours that may still be there."""

    @property
    def requests(self) -> int:
        """Operations that ended, well or not."""
        return int(self.status["completed"])

    def as_json(self) -> dict[str, Any]:
        """For machines; documented in docs/reference/hit.md."""
        seconds = self.status["elapsed_s"]
        return {
            "version": 1,
            "url": self.request.url,
            "op": self.request.op,
            "loop": "open" if self.open_loop else "closed",
            "asked_rate_per_s": self.request.rate_per_s,
            "concurrency": self.request.concurrency,
            "seconds": seconds,
            "requests": self.requests,
            "requests_per_s": self.requests / seconds if seconds else 0.0,
            "bytes": self.status["bytes_sent"] + self.status["bytes_received"],
            "bytes_sent": self.status["bytes_sent"],
            "bytes_received": self.status["bytes_received"],
            "offered": self.status["offered"],
            "ok": self.status["ok"],
            "fail": self.status["fail"],
            "unknown": self.status["unknown"],
            "late": self.status["late"],
            "dropped": self.status["dropped"],
            "errors": {kind.lower(): count for kind, count in self.status["errors"].items()},
            "latency_ms": _json(self.latency),
            "service_ms": _json(self.service),
            "first_byte_ms": _json(self.first_byte),
            "lag_ms": _json(self.lag),
            "cpu_seconds": self.cpu_seconds,
            "engine_cpu_seconds": self.status["cpu_seconds"],
            "stopped": self.interrupted,
            "left_behind": self.left,
        }


def run_hit(
    request: Hit,
    credentials: Credentials | None,
    progress: Progress,
    clock: Clock | None = None,
    make_generator: GeneratorMaker = RustGenerator,
) -> HitResult:
    """Fill, load, clean up. Raises MaulError before traffic; TargetError when the fill shows that nothing works."""
    clock = clock or SystemClock()
    plan = plan_hit(request, new_run_id(clock.now_ns()), os.cpu_count() or 1)
    with StopSwitch() as stop:
        target = _opened(plan, request, credentials, progress)
        stop.run_began()
        runner = _Runner(plan, target, stop, progress, clock, make_generator)
        try:
            if plan.fill is not None:
                filled = runner.run("fill", plan.fill)
                if not stop.stopped.is_set():
                    _require_filled(filled)
            before = _cpu_seconds()
            rows: list[LatencyRow] = []
            driven = runner.run("hit", plan.main, rows)
            cpu_seconds = _cpu_seconds() - before
        finally:
            left = runner.clean_up()
    return HitResult(
        plan=plan,
        request=request,
        open_loop=isinstance(plan.main.arrivals, OpenArrivals),
        status=driven.status,
        latency=_percentiles(rows, LatencyKind.LATENCY),
        service=_percentiles(rows, LatencyKind.SERVICE),
        first_byte=_percentiles(rows, LatencyKind.FIRST_BYTE),
        lag=_percentiles(rows, LatencyKind.LAG),
        cpu_seconds=cpu_seconds,
        interrupted=stop.reason or _untimely(driven),
        left=left,
    )


@dataclass(slots=True)
class _Runner:
    plan: HitPlan
    target: OpenTarget
    stop: StopSwitch
    progress: Progress
    clock: Clock
    make_generator: GeneratorMaker

    def run(self, name: str, engine: EnginePlan, rows: list[LatencyRow] | None = None) -> Driven:
        def heard(drained: Drained) -> None:
            if rows is not None:
                rows.extend(drained.latency)

        self.progress.step(f"{name}: {engine.mix[0].op} {self.plan.endpoint.url}")
        generator = self.make_generator(self._told(engine))
        driver = Driver(None, self.clock, self.stop, self.progress)
        seconds = engine.limits.seconds if name != "hit" else _seconds(engine)
        drive = Drive(phase=name, duration_s=seconds, patience_s=engine.limits.seconds, heard=(heard,))
        return driver.run(generator, drive)

    def _told(self, engine: EnginePlan) -> dict[str, Any]:
        account = self.target.door.accounts[0]
        return with_secrets(engine, account.credentials, self.target.ca_pems, self.target.addresses)

    def clean_up(self) -> int:
        """How many objects may be left. Also after Ctrl-C: a hit leaves nothing behind unless it is told twice."""
        if self.plan.clean_up is None:
            return 0
        self.stop = self.stop.until_hurried()  # when that was set already, nothing is started
        status = self.run("clean-up", self.plan.clean_up).status
        left = self.plan.clean_up.keyspace.objects - int(status["ok"])
        if left:
            self.progress.step(f"clean-up: up to {left:,} objects are left under {self.plan.prefix}")
        else:
            self._take_back()
        return left

    def _take_back(self) -> None:
        """Uploads that were cut off, and a bucket that we made. What the target refuses stays, and is told."""
        client = self.target.client(self.plan.endpoint.name)
        try:
            abort_uploads(client, self.plan.bucket, self.plan.prefix)
            if self.target.made(self.plan.bucket):
                remove_bucket(client, self.plan.bucket)
        except MaulError as error:
            self.progress.step(f"clean-up: {error.what}")


def _opened(plan: HitPlan, request: Hit, credentials: Credentials | None, progress: Progress) -> OpenTarget:
    endpoint = Endpoint(
        plan.endpoint.name,
        plan.endpoint.url,
        Path(plan.endpoint.ca) if plan.endpoint.ca else None,
        plan.endpoint.server_name,
    )
    account = Account(plan.bucket, plan.prefix, credentials)
    door = Door([endpoint], request.region, [account], Permission(own_place()))
    if request.key is not None:
        return open_endpoints(door, progress.step)
    return open_target(door, progress.step)


def _untimely(driven: Driven) -> str:
    """Why the engine ended before its time: a ceiling, its lease, a bug; empty when it did not."""
    reason = str(driven.status["stop_reason"])
    return "" if reason == "completed" else reason or "it did not begin"


def _require_filled(driven: Driven) -> None:
    status = driven.status
    if status["ok"] == 0 and status["completed"] > 0:
        raise TargetError(
            f"not one object could be written to hit it: {_most_frequent(status)}",
            cure="look at the target; or hit an existing object with --key",
        )


def _most_frequent(status: Mapping[str, Any]) -> str:
    kind = max(status["errors"], key=status["errors"].get, default="nothing was answered")
    return f"{kind.lower().replace('_', ' ')} ({status['last_error']})" if status["last_error"] else kind.lower()


def _seconds(engine: EnginePlan) -> float:
    arrivals = engine.arrivals
    if isinstance(arrivals, OpenArrivals):
        return sum(stretch.seconds for stretch in arrivals.profile)
    return arrivals.seconds


def _percentiles(rows: Sequence[LatencyRow], kind: LatencyKind) -> Percentiles | None:
    merged = Histogram()
    for row in rows:
        if row.kind == kind and row.outcome != Outcome.FAIL:
            merged.merge(Histogram.from_v2(row.hdr))
    if not merged.count:
        return None
    return percentiles(merged)


def _json(seen: Percentiles | None) -> dict[str, float] | None:
    return None if seen is None else seen.model_dump()


def _cpu_seconds() -> float:
    """Of this whole process, Python included."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
