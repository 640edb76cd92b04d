"""The real generator: the Rust engine in this process."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maul._engine import Engine, build_info
from maul._engine import NullServer as _NullServer
from maul.core.errors import InternalError, TargetError
from maul.core.exhibit import Exhibit, ExhibitReason
from maul.core.generator import Drained, GeneratorState, GeneratorStatus
from maul.core.histogram import LatencyKind, LatencyRow
from maul.core.operation import OPERATION_DTYPE, ErrorClass

_ENDPOINT_PROBLEM = "endpoint "  # how the engine begins what is no fault of the plan's form


def engine_version() -> str:
    """Version and profile of the compiled engine.

    >>> engine_version().partition(" ")[2] in ("debug", "release")
    True
    """
    info = build_info()
    return f"{info['version']} {info['profile']}"


class RustGenerator:
    """One engine plan, carried out by `maul._engine`."""

    def __init__(self, plan: Mapping[str, Any], trace: bytes | None = None) -> None:
        """Read the plan, resolve its endpoints, read their certificates; send nothing.

        `trace`: packed rows (`maul.plan.trace`) for arrivals of mode `trace`, else None.
        TargetError when an endpoint has no address or its CA file no certificate; InternalError when the plan
        itself is refused, because it was made by maul.
        """
        self._tenant = int(plan["tenant"])
        try:
            self._engine = Engine(json.dumps(plan), trace)
        except ValueError as error:
            text = str(error)
            if text.startswith(_ENDPOINT_PROBLEM):
                raise TargetError(text, cure="check the endpoints of the site") from error
            raise InternalError("maul made an engine plan that its engine refuses", cure=text) from error

    def start(self, at_ns: int | None = None) -> None:
        """Begin at that moment or now. InternalError when called twice."""
        try:
            self._engine.start(at_ns)
        except RuntimeError as error:
            raise InternalError(str(error)) from error

    def status(self) -> GeneratorStatus:
        """Where it stands."""
        raw: dict[str, Any] = dict(self._engine.status())
        raw["state"] = GeneratorState(raw["state"])
        raw["errors"] = {ErrorClass[name]: count for name, count in raw["errors"].items()}
        raw["error_examples"] = {ErrorClass[name]: text for name, text in raw["error_examples"].items()}
        return GeneratorStatus(**raw)

    def drain(self) -> Drained:
        """Take what came since the last call."""
        latency = [
            LatencyRow(second, op, outcome, LatencyKind(kind), count, hdr, self._tenant)
            for second, op, outcome, kind, count, hdr in self._engine.take_latency()
        ]
        exhibits = [
            Exhibit(ExhibitReason(reason), np.frombuffer(record, OPERATION_DTYPE)[0], request_id, says, at, right, seen)
            for reason, record, request_id, says, at, right, seen in self._engine.take_exhibits()
        ]
        operations = np.frombuffer(self._engine.take_operations(), OPERATION_DTYPE)
        return Drained(latency, operations, exhibits)

    def renew(self, for_s: float | None = None) -> None:
        """Extend the lease from now on. InternalError for a time that is none."""
        try:
            self._engine.renew(for_s)
        except RuntimeError as error:
            raise InternalError(str(error)) from error

    def throttle(self, part: float) -> None:
        """Send only that part of the arrivals from now on. InternalError for no part."""
        try:
            self._engine.throttle(part)
        except RuntimeError as error:
            raise InternalError(str(error)) from error

    def stop(self, reason: str, *, now: bool = False) -> None:
        """No new arrivals; `now` also closes all connections."""
        self._engine.stop(reason)
        if now:
            self._engine.abort()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; True when it came in time."""
        return self._engine.join(timeout_s)


@dataclass(frozen=True, slots=True)
class NullTotals:
    """What a null server has done; a moment old (up to a twentieth of a second) until it is stopped."""

    requests: int
    connections: int
    cpu_seconds: float


class NullServer:
    """An S3 store that does nothing, on a free port of 127.0.0.1, in threads of this process; for measuring ourselves.

    Every object exists and verifies as version 1 of `run`; a bucket named `null-65536` has objects of 65,536 bytes,
    any other of `object_bytes`. With `certificate_pem` (chain and key in one) it speaks HTTPS. InternalError when it
    cannot start.

    >>> with NullServer(run=7) as server:
    ...     server.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        *,
        run: int,
        threads: int = 1,
        pin: Sequence[int] = (),
        object_bytes: int = 4096,
        certificate_pem: str | None = None,
    ) -> None:
        """Start it; thread i runs on processor `pin[i]` if there is one."""
        try:
            self._server = _NullServer(
                threads=threads, pin=pin, run=run, object_bytes=object_bytes, certificate_pem=certificate_pem
            )
        except ValueError as error:
            raise InternalError("the null server did not start", cure=str(error)) from error

    def __enter__(self) -> "NullServer":
        """Itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def url(self) -> str:
        """Scheme, address and port."""
        return self._server.url

    def totals(self) -> NullTotals:
        """What it has done so far."""
        return NullTotals(**self._server.totals())

    def stall(self, after_s: float, seconds: float) -> None:
        """Answer nothing for `seconds`, from `after_s` from now on. ValueError beyond an hour."""
        self._server.stall(after_s, seconds)

    def stop(self) -> None:
        """Close all connections and end all threads."""
        self._server.stop()
