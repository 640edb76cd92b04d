"""A run without a target: a small plan on the lab's site, a real record, and fakes for everything that acts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from maul import campaign
from maul.conduct.progress import PhaseProgress
from maul.conduct.stage import Stage
from maul.conduct.stop import StopSwitch
from maul.conduct.target import Account, Door
from maul.core.clock import Clock, FakeClock
from maul.core.errors import InternalError, TargetError
from maul.core.event import EventKind
from maul.core.generator import GeneratorStatus
from maul.core.operation import OPERATION_DTYPE, Op
from maul.faults.fault import Proof, UndoKind
from maul.hosts.fake import FakeHost
from maul.hosts.host import ProcessId
from maul.hosts.journal import UndoJournal
from maul.hosts.undo_kinds import Undo, UndoSignal
from maul.lab.sketch import sketch_site
from maul.load import FakeGenerator
from maul.plan import FaultPlan, Plan, build, to_json
from maul.record import RunReader, RunWriter
from maul.s3.credentials import Credentials
from maul.s3.endpoint import Endpoint

RUN = "20261122-214512-3fa09c"
PREFIX = f"maul/{RUN}/"
T0_NS = 1_700_000_000_000_000_000
SITE = sketch_site()
SECRET = "the secret of the tests"

CAMPAIGN = """\
version: 1
name: small
site: lab
target: {endpoints: [vip], bucket: maul-test}
workload: {objects: 100, size: 4KiB, keys: uniform, mix: {get: 3, put: 2, delete: 1}}
load: {in_flight: 64}
phases:
  - {name: fill, kind: prepare}
  - {name: calm, kind: load, rate: 50/s, for: 20s}
  - {name: rising, kind: load, steps: {from: 10/s, to: 30/s, count: 3, each: 2s}}
  - {name: audit, kind: audit}
  - {name: tidy, kind: clean-up}
faults:
  - {name: kill, fault: process.kill, role: volume, phase: calm, after: 5s, hold: 5s}
objectives:
  - {name: available, phases: [calm], errors_below: 1%}
  - {name: quick, phases: [calm], op: get, percentile: 99, latency_below: 100ms}
limits: {requests: 10000}
"""


def make_plan(*changes: tuple[str, str], **fields: Any) -> Plan:
    """The plan of the campaign above, with pieces of its text replaced, then fields of the plan."""
    text = CAMPAIGN
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"{old!r} stands {text.count(old)} times in the campaign")
        text = text.replace(old, new)
    return build(campaign.parse(text, "c.yaml"), SITE, RUN, cores=1).model_copy(update=fields)


def fault_plan(name: str = "kill", service: str = "volume-r1-1", **fields: Any) -> FaultPlan:
    role = next(one.role for one in SITE.services if one.name == service)
    given = {"phase": "calm", "after_s": 0.0, "hold_s": 5.0, "at_s": 0.0, "beyond_redundancy": False, **fields}
    return FaultPlan(name=name, fault="test.fault", service=service, role=role, **given)


@dataclass
class Told:
    """A progress that remembers."""

    steps: list[str] = field(default_factory=list)
    looks: list[PhaseProgress] = field(default_factory=list)
    closed: int = 0
    alarms: list[tuple[str, str]] = field(default_factory=list)

    def step(self, says: str) -> None:
        self.steps.append(says)

    def phase(self, look: PhaseProgress) -> None:
        self.looks.append(look)

    def alarm(self, stance: str, says: str) -> None:
        self.alarms.append((stance, says))

    def close(self) -> None:
        self.closed += 1


class FakeS3:
    """A bucket in memory, page by page; remembers every call. `lag`: so many listings
    after the first delete do not see it."""

    class meta:  # noqa: N801 — as botocore names it
        endpoint_url = "http://127.0.0.1:9"
        region_name = "us-east-1"

    def __init__(self, keys: set[str], *, lag: int = 0, page: int = 1000, whole: bool = True) -> None:
        self.keys, self.lag, self.page, self.whole = set(keys), lag, page, whole
        self.ghosts: set[str] = set()
        self.deleted: list[str] = []
        self.uploads: list[dict[str, str]] = []
        self.aborted: list[str] = []
        self.bucket_deleted = 0
        self.versions: set[tuple[str, str]] = set()
        self.deleted_versions: list[tuple[str, str]] = []
        self.unlocks: list[bool] = []

    def list_objects_v2(self, **given: Any) -> dict[str, Any]:
        first = int(given.get("ContinuationToken", 0))
        if not first and self.ghosts:
            self.lag -= 1
            if self.lag < 0:
                self.ghosts.clear()
        seen = sorted(key for key in self.keys | self.ghosts if key.startswith(given.get("Prefix", "")))
        last = first + min(self.page, given.get("MaxKeys", 1000))
        more = last < len(seen) or not self.whole
        answer = {"Contents": [{"Key": key} for key in seen[first:last]], "IsTruncated": more}
        return answer | ({"NextContinuationToken": str(last)} if last < len(seen) else {})

    def delete_objects(
        self,
        *,
        Bucket: str,  # noqa: N803
        Delete: Mapping[str, Any],  # noqa: N803
        BypassGovernanceRetention: bool = False,  # noqa: N803
    ) -> dict[str, Any]:
        self.unlocks.append(BypassGovernanceRetention)
        named = {(one["Key"], one["VersionId"]) for one in Delete["Objects"] if "VersionId" in one}
        if named:
            self.deleted_versions += sorted(named)
            self.versions -= named
            self.keys &= {key for key, _ in self.versions}
            return {}
        gone = {one["Key"] for one in Delete["Objects"]}
        self.deleted += sorted(gone)
        self.ghosts |= gone & self.keys
        self.keys -= gone
        return {}

    def list_object_versions(self, **given: Any) -> dict[str, Any]:
        seen = sorted(one for one in self.versions if one[0].startswith(given.get("Prefix", "")))
        mark = given.get("KeyMarker", ""), given.get("VersionIdMarker", "")
        page = [one for one in seen if one > mark][: min(self.page, given.get("MaxKeys", 1000))]
        more = bool(page) and page[-1] != seen[-1]
        answer: dict[str, Any] = {
            "Versions": [{"Key": key, "VersionId": id_} for key, id_ in page if not id_.startswith("marker")],
            "DeleteMarkers": [{"Key": key, "VersionId": id_} for key, id_ in page if id_.startswith("marker")],
            "IsTruncated": more,
        }
        return answer | ({"NextKeyMarker": page[-1][0], "NextVersionIdMarker": page[-1][1]} if more else {})

    def list_multipart_uploads(self, **given: Any) -> dict[str, Any]:
        return {"Uploads": [one for one in self.uploads if one["Key"].startswith(given["Prefix"])]}

    def abort_multipart_upload(self, *, Bucket: str, Key: str, UploadId: str) -> None:  # noqa: N803
        self.aborted.append(Key)
        self.uploads = [one for one in self.uploads if one["UploadId"] != UploadId]

    def delete_bucket(self, *, Bucket: str) -> None:  # noqa: N803
        self.bucket_deleted += 1


@dataclass
class FakeTarget:
    """As `OpenTarget`."""

    clients: dict[str, FakeS3]
    created: bool = False

    @property
    def door(self) -> Any:
        endpoints = [Endpoint(name, "http://127.0.0.1:9") for name in self.clients]
        credentials = Credentials("an access key", SECRET)
        return Door(endpoints, "us-east-1", [Account("maul-test", PREFIX, credentials)])

    def made(self, bucket: str) -> bool:
        return self.created

    @property
    def addresses(self) -> dict[str, str]:
        return {}

    @property
    def ca_pems(self) -> dict[str, str]:
        return {}

    def client(self, endpoint: str, tenant: int = 0, timeout_s: float = 10.0) -> FakeS3:
        return self.clients[endpoint]


def everywhere(s3: FakeS3, *, created: bool = False) -> FakeTarget:
    """One bucket behind all endpoints."""
    return FakeTarget(dict.fromkeys(("vip", "gateway-r1-1", "gateway-r2-1", "target"), s3), created)


def script(
    count: int = 10, seconds: float = 1.0, service_ms: float = 2.0, op: Op = Op.GET, **fields: Any
) -> np.ndarray:
    """Evenly spaced operations, times counted from the start as `FakeGenerator` wants them."""
    made = np.zeros(count, OPERATION_DTYPE)
    made["due_ns"] = (np.arange(count) * seconds / count * 1e9).astype(np.int64)
    made["start_ns"] = made["due_ns"] + 1
    made["end_ns"] = made["due_ns"] + int(service_ms * 1e6)
    made["op"], made["status"], made["key"] = op, 200, np.arange(count)
    for name, value in fields.items():
        made[name] = value
    return made


class Ends(FakeGenerator):
    """A generator that says, when it is done, that it ended for this reason."""

    def __init__(self, script: np.ndarray, clock: Clock, reason: str) -> None:
        super().__init__(script, clock)
        self.because = reason

    def status(self) -> GeneratorStatus:
        status = super().status()
        if status.state != "done":
            return status
        return GeneratorStatus(**{n: getattr(status, n) for n in status.__slots__} | {"stop_reason": self.because})


def make_stage(
    tmp_path: Path,
    plan: Plan | None = None,
    target: FakeTarget | None = None,
    clock: Clock | None = None,
    make_generator: Callable[[dict[str, Any]], Any] | None = None,
) -> Stage:
    """A stage that is set: the record is open in `tmp_path/runs`."""
    plan, clock = plan or make_plan(), clock or FakeClock(T0_NS)
    writer = RunWriter.create(tmp_path / "runs", plan.run_id)
    writer.write_text("plan.json", to_json(plan))

    def refuse(engine: dict[str, Any]) -> Any:
        raise InternalError("no generator was meant here")

    return Stage(
        plan=plan,
        site=SITE,
        target=target or everywhere(FakeS3(set())),  # type: ignore[arg-type]
        writer=writer,
        clock=clock,
        stop=StopSwitch(),
        progress=Told(),
        host=FakeHost(),
        journal=UndoJournal(tmp_path / "undo.jsonl", clock),
        answers=lambda name: True,
        make_generator=make_generator or refuse,
        began_ns=clock.now_ns(),
    )


def events_of(run: RunReader | Path, kind: EventKind | None = None) -> list[dict[str, Any]]:
    reader = RunReader.open(run) if isinstance(run, Path) else run
    return [row for row in reader.events().to_pylist() if kind is None or row["kind"] == kind]


@dataclass
class FakeFault:
    """Hurts nothing, remembers its acts, fails where told. `errors`: act → what it raises."""

    errors: dict[str, Exception] = field(default_factory=dict)
    proven: bool = True
    acts: list[str] = field(default_factory=list)
    on_inject: Callable[[], None] = lambda: None
    name = "test.fault"
    undo_kind = UndoKind.RESTART

    def _act(self, name: str) -> None:
        self.acts.append(name)
        if name in self.errors:
            raise self.errors[name]

    def prepare(self) -> Undo:
        self._act("prepare")
        return UndoSignal(ProcessId(1, 1), 18)

    def inject(self) -> str:
        self._act("inject")
        self.on_inject()
        return "hurt it"

    def prove_effect(self) -> Proof:
        self._act("prove_effect")
        return Proof(self.proven, "it is down" if self.proven else "it still answers")

    def heal(self) -> str:
        self._act("heal")
        return "started it"

    def prove_healed(self) -> Proof:
        self._act("prove_healed")
        return Proof(True, "it is back")

    def clean(self) -> None:
        self._act("clean")


def refused(act: str) -> dict[str, Exception]:
    return {act: TargetError(f"{act} did not work", "volume-r1-1", "look at it")}
