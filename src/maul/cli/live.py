"""Progress on a terminal: what is done stays as lines, what goes on is one line that changes; plain lines otherwise."""

import time

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from maul.conduct.progress import PhaseProgress
from maul.core.units import show_duration

_PLAIN_EVERY_S = 5.0
_BAR_CELLS = 24


class Screen:
    """A `conduct.progress.Progress` for people."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        """`console` is stderr: stdout is kept for answers. `quiet` says nothing at all."""
        self._console, self._quiet = console, quiet
        self._began = time.monotonic()
        self._live: Live | None = None
        self._last_plain = 0.0
        self._phase = ""

    def step(self, says: str) -> None:
        """A line that stays, with the time since the beginning."""
        if self._quiet:
            return
        elapsed = time.monotonic() - self._began
        line = Text.assemble((f"{elapsed:6.1f} s  ", "dim"), says)
        (self._live.console if self._live else self._console).print(line, soft_wrap=True)

    def phase(self, look: PhaseProgress) -> None:
        """The changing line; every five seconds a plain one where nothing can change."""
        if self._quiet:
            return
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, refresh_per_second=8, transient=True)
                self._live.start()
            self._live.update(_drawn(look))
            return
        now = time.monotonic()
        if look.phase != self._phase or now - self._last_plain >= _PLAIN_EVERY_S:
            self._phase, self._last_plain = look.phase, now
            self.step(_sentence(look))

    def alarm(self, stance: str, says: str) -> None:
        """Nothing more than the lines that come by `step`."""

    def close(self) -> None:
        """Take the changing line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _sentence(look: PhaseProgress) -> str:
    if look.says and not look.offered_per_s:  # nothing is sent: why, is all there is to say
        return f"{look.phase}: {look.says}"
    p99 = "–" if look.p99_ms is None else f"{look.p99_ms:,.0f} ms"
    words = (
        f"{look.phase}: {look.done_per_s:,.0f} of {look.offered_per_s:,.0f} req/s, p99 {p99}, "
        f"{look.errors:,} errors, {look.in_flight} in flight"
    )
    if look.dropped:
        words += f", {look.dropped:,} dropped"
    if look.says:
        words += f" · {look.says}"
    return f"{words} · {show_duration(look.left_s)} left, run {show_duration(look.run_left_s)}"


def _drawn(look: PhaseProgress) -> Table:
    whole = max(look.elapsed_s + look.left_s, 0.001)
    filled = round(_BAR_CELLS * min(1.0, look.elapsed_s / whole))
    bar = Text.assemble(("━" * filled, "cyan"), ("━" * (_BAR_CELLS - filled), "grey35"))
    grid = Table.grid(padding=(0, 1))
    grid.add_row(bar, Text(_sentence(look), style="bold" if look.errors else ""))
    return grid
