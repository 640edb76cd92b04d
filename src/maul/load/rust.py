"""The real generator: the Rust engine in this process."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from maul._engine import Engine
from maul.core.errors import InternalError, TargetError
from maul.core.histogram import LatencyKind, LatencyRow
from maul.core.operation import OPERATION_DTYPE, ErrorClass
from maul.load.generator import Drained, GeneratorState, GeneratorStatus

_ENDPOINT_PROBLEM = "endpoint "  # how the engine begins what is no fault of the plan's form


class RustGenerator:
    """One engine plan, carried out by `maul._engine`."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        """Read the plan, resolve its endpoints, read their certificates; send nothing.

        TargetError when an endpoint has no address or its CA file no certificate; InternalError when the plan
        itself is refused, because it was made by maul.
        """
        try:
            self._engine = Engine(json.dumps(plan))
        except ValueError as error:
            text = str(error)
            if text.startswith(_ENDPOINT_PROBLEM):
                raise TargetError(text, cure="check the endpoints of the site") from error
            raise InternalError("maul made an engine plan that its engine refuses", cure=text) from error

    def start(self) -> None:
        """Begin. InternalError when called twice."""
        try:
            self._engine.start()
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
            LatencyRow(second, op, outcome, LatencyKind(kind), count, hdr)
            for second, op, outcome, kind, count, hdr in self._engine.take_latency()
        ]
        return Drained(latency, np.frombuffer(self._engine.take_operations(), OPERATION_DTYPE))

    def renew(self) -> None:
        """Extend the lease from now on."""
        self._engine.renew()

    def stop(self, reason: str, *, now: bool = False) -> None:
        """No new arrivals; `now` also closes all connections."""
        self._engine.stop(reason)
        if now:
            self._engine.abort()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; True when it came in time."""
        return self._engine.join(timeout_s)
