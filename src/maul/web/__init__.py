"""The live page of a run: read-only, but for the red button that stops everything.

Takes: what a run tells while it goes on, or its directory; and a way to stop it.
Gives: one page and its data, on 127.0.0.1.
Never: changes a run in any other way than ending it; answers to another host name; loads anything from elsewhere.
Start reading at: `app.py` (who may ask for what), then `live.py` and `recorded.py` (what is told).
Add one by: a field in `told.py`, filled in `live.py` or `recorded.py`, drawn in `page.py`.
"""

from maul.web.app import make_app
from maul.web.live import LivePage
from maul.web.recorded import RecordedRun
from maul.web.server import serving

__all__ = ["LivePage", "RecordedRun", "make_app", "serving"]
