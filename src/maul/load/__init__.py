"""Drives the load engine of one machine; ships a fake one.

Takes: an engine plan (a dict, see crates/engine/src/plan.rs), and calls about once per second.
Gives: latency histograms, operation records and status snapshots in words of core; a null server to measure itself.
Never: touches a request; keeps traffic alive when nobody renews the lease; retries.
Start reading at: `core/generator.py` (the contract), then `rust.py` (real), `group.py` (several as one).
Add one by: a class that passes tests/load/test_generator_contract.py.
"""

from maul.load.fake import FakeGenerator
from maul.load.group import GeneratorGroup
from maul.load.rust import NullServer, NullTotals, RustGenerator

__all__ = [
    "FakeGenerator",
    "GeneratorGroup",
    "NullServer",
    "NullTotals",
    "RustGenerator",
]
