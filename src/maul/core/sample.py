"""Sample: one reading of one probe."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One number read at one instant.

    `probe` is the sensor (`cpu`, `disk`, `process` …), `metric` its quantity with the unit last (`busy_ratio`,
    `read_bytes_per_s`), `subject` what was measured (`core0`, `vda`, `volume-r1-1`; empty for the whole host),
    `host` where. Rates are already rates: a probe turns counters into rates itself and gives nothing at its first
    reading.
    """

    at_ns: int
    probe: str
    metric: str
    subject: str
    value: float
    host: str = "local"
