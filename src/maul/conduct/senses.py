"""The probes of a run, pointed at this machine and the site's services, feeding the record."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from maul.core.clock import Clock
from maul.core.errors import MaulError
from maul.core.event import Edge, Event, EventKind
from maul.probes.contract import Fetch, MetricsTarget, ProcessTarget
from maul.probes.sampler import Reading, Sampler, SamplerThread
from maul.probes.wiring import Watch, local_probes, remote_probes
from maul.record import RunWriter
from maul.site import Site

HEALTH_TIMEOUT_S = 1.0
REMOTE_EVERY_S = 2.0


@contextlib.contextmanager
def sensing(site: Site, writer: RunWriter, clock: Clock, fetch: Fetch) -> Iterator[None]:
    """Sample while the block runs: this machine every second, the services every two, by `fetch`."""

    def sink(reading: Reading) -> None:
        writer.samples(reading.samples)
        writer.events(reading.events)

    watch = _watch(site, writer.path)
    threads = [
        SamplerThread(Sampler(local_probes(watch)), clock, sink, "probes"),
        SamplerThread(
            Sampler(remote_probes(watch, fetch, clock), interval_s=REMOTE_EVERY_S),
            clock,
            sink,
            "remote probes",
        ),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.stop()
            if thread.failure is not None:  # what it could not hand over is missing from here on
                says = f"sampling ended early: {thread.failure}"
                writer.events([Event(clock.now_ns(), EventKind.GAP, Edge.BEGAN, "sampling", says)])


def health_asker(site: Site, fetch: Fetch) -> Callable[[str], bool]:
    """A function that asks one service's health page once, and never raises. A service without one never answers."""

    def answers(name: str) -> bool:
        url = site.service(name).health
        if url is None:
            return False
        try:
            fetch(url, HEALTH_TIMEOUT_S)
        except (MaulError, OSError):
            return False
        return True

    return answers


def _watch(site: Site, run_directory: Path) -> Watch:
    processes = [
        ProcessTarget(service.name, pidfile=Path(service.process.pidfile))
        for service in site.services
        if service.process is not None
    ]
    metrics = [
        MetricsTarget(service.name, service.role, service.metrics, service.host)
        for service in site.services
        if service.metrics is not None
    ]
    paths = [run_directory, *(Path(path) for service in site.services for path in service.data)]
    return Watch(paths=[path for path in paths if path.exists()], processes=processes, metrics=metrics)
