"""Names of runs and seeds."""

import hashlib
import secrets
from datetime import UTC, datetime

RUN_ID_PATTERN = r"\d{8}-\d{6}-[0-9a-f]{6}"


def new_run_id(now_ns: int) -> str:
    """A run id that sorts by time: `20261122-214512-3fa09c` (UTC, then 24 random bits)."""
    stamp = datetime.fromtimestamp(now_ns / 1e9, UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{secrets.token_hex(3)}"


def run_number(run_id: str) -> int:
    """The run's 64-bit number: what every block of every body carries. First 8 bytes of SHA-256, big endian."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big")
