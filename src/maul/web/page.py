"""The page itself: one file, nothing loaded from elsewhere."""

import functools
import html
from pathlib import Path

_TEMPLATE = Path(__file__).parent / "live.html"


def page(nonce: str, token: str | None) -> str:
    """The HTML. `nonce` lets its own script and style run; `token` None: there is no button."""
    return _template().replace("@NONCE@", html.escape(nonce)).replace("@TOKEN@", html.escape(token or ""))


@functools.cache
def _template() -> str:
    return _TEMPLATE.read_text(encoding="utf-8")
