"""A server in a thread, on 127.0.0.1."""

import contextlib
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from maul.core.errors import MachineError

ADDRESS = "127.0.0.1"
_START_S, _END_S = 5.0, 5.0
_STEP_S = 0.01


@contextlib.contextmanager
def serving(app: ASGIApp, port: int) -> Iterator[str]:
    """Serve as long as the block lasts; gives the URL. `port` 0: any free one. MachineError when it cannot be had."""
    config = uvicorn.Config(
        app,
        host=ADDRESS,
        port=port,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=64,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)

    def run() -> None:
        with contextlib.suppress(SystemExit):  # how uvicorn says that it cannot listen
            server.run()

    thread = threading.Thread(target=run, name="maul-live-page", daemon=True)
    thread.start()
    for _ in range(int(_START_S / _STEP_S)):
        if server.started or not thread.is_alive():
            break
        thread.join(_STEP_S)
    if not server.started:
        server.should_exit = True
        raise MachineError(
            f"the page cannot listen on port {port}",
            f"{ADDRESS}:{port}",
            "Another program does, perhaps the page of another run. Choose another port, or 0 for any free one.",
        )
    try:
        yield f"http://{ADDRESS}:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(_END_S)
