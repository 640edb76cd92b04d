"""Who may ask the page for what.

It listens on 127.0.0.1 only, and a browser there also carries foreign pages. So: a name other than this machine's own
in `Host` is refused (a foreign name that was made to mean 127.0.0.1: DNS rebinding); the red button needs a token that
only this page knows, in a header that no foreign page may send unasked, and a foreign `Origin` is refused; nobody may
lay the page under his own (clickjacking); nothing is loaded from elsewhere.
"""

import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maul.core.errors import MaulError
from maul.web.page import page
from maul.web.told import Told

TOKEN_HEADER = "x-maul-token"
_OWN_NAMES = {"127.0.0.1", "localhost", "::1"}
_ALWAYS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "font-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_TYPES = {".html": "text/html", ".json": "application/json", ".xml": "application/xml"}


def make_app(
    told: Callable[[], Told],
    pull: Callable[[str], None] | None = None,
    file: Callable[[str], Path | None] | None = None,
    token: str | None = None,
) -> Starlette:
    """The page, its data at /state, files of the run at /files/NAME, and POST /stop where there is a `pull`.

    `pull` is told who pressed the button. `token`: a new random one by default.
    """
    token = token or secrets.token_urlsafe(32)

    def show(_: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        )
        html = page(nonce, token if pull is not None else None)
        return HTMLResponse(html, headers={"content-security-policy": policy})

    async def state(_: Request) -> Response:
        try:
            answer = await run_in_threadpool(told)
        except MaulError as error:
            return JSONResponse({"problem": error.message}, 503)
        return JSONResponse(answer.as_json())

    async def stop(request: Request) -> Response:
        why = _not_ours(request, token)
        if why:
            return PlainTextResponse(why, 403)
        if pull is None:
            return PlainTextResponse("this page only shows a record", 403)
        pull(f"the button of the live page, pressed from {_peer(request)}")
        return JSONResponse({"says": "stopping"})

    def show_file(request: Request) -> Response:
        path = file(request.path_params["name"]) if file is not None else None
        if path is None:
            return PlainTextResponse("there is no such file of the run", 404)
        kind = _TYPES.get(path.suffix, "text/plain")
        policy = _REPORT_POLICY if kind == "text/html" else "default-src 'none'; frame-ancestors 'none'"
        return FileResponse(path, media_type=kind, headers={"content-security-policy": policy})

    routes = [
        Route("/", show),
        Route("/state", state),
        Route("/stop", stop, methods=["POST"]),
        Route("/files/{name}", show_file),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_OwnHostOnly)])


def _peer(request: Request) -> str:
    return f"{request.client.host}:{request.client.port}" if request.client else "nobody knows where"


def _not_ours(request: Request, token: str) -> str:
    """Why a press of the button is not one; empty when it is."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is not None and origin != f"http://{request.headers.get('host', '')}":
        return "the button was pressed by a page of another origin"
    if site not in (None, "same-origin"):
        return "the button was pressed by a page of another site"
    given = request.headers.get(TOKEN_HEADER, "")
    if not hmac.compare_digest(given.encode(), token.encode()):
        return "the token is not this page's: load the page again"
    return ""


class _OwnHostOnly:
    """Answers nobody who came by another name, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        own = {name.encode(): value.encode() for name, value in _ALWAYS.items()}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [pair for pair in message.get("headers", []) if pair[0] not in own]
                message = {**message, "headers": [*given, *own.items()]}
            await send(message)

        if _is_own(Request(scope).headers.get("host", "")):
            await self._app(scope, receive, send_with_headers)
            return
        refused = PlainTextResponse("this page is shown under 127.0.0.1 or localhost only", 403)
        await refused(scope, receive, send_with_headers)


def _is_own(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _OWN_NAMES and "@" not in host
    except ValueError:
        return False
