"""What dask must not do here: retry, steal, listen for HTTP, profile, watch memory, spill, tell stories in its logs."""

import logging
import shutil
from pathlib import Path

import dask
from distributed.comm import utils

SCRATCH = "dask"
"""The folder of dask's own files, in the folder of whoever makes a server."""
_SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.scheduler.worker-ttl": "15s",
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.preload": [],
    "distributed.scheduler.preload": [],
    "distributed.comm.retry.count": 0,
    "distributed.comm.timeouts.connect": "5s",
    "distributed.comm.timeouts.tcp": "15s",
    "distributed.comm.compression": None,
    "distributed.diagnostics.nvml": False,
    "distributed.diagnostics.cudf": False,
    "distributed.admin.tick.limit": "30s",
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.admin.low-level-log-length": 100,
}


def settle(scratch: Path | None = None) -> None:
    """Set dask up for this process, whatever files or variables of a user say. Before any dask server is made.

    `scratch`: where a server keeps its own files; emptied first, because whoever was killed left some.
    """
    dask.config.set(_SETTINGS)
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
        dask.config.set({"temporary-directory": str(scratch)})
    # dask reads this setting once, when it is imported. Without it, every message is weighed before it is sent or read.
    utils.OFFLOAD_THRESHOLD = False
    for name in ("distributed", "tornado", "asyncio"):
        # dask logs the arguments of what fails; those are wrapped, and here they are not even asked for
        logging.getLogger(name).setLevel(logging.ERROR)
