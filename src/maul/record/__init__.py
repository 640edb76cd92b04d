"""The run directory: facts in while the run goes, tables out for every judgement after it.

Takes: events, samples, latency rows, operation arrays and texts, from any thread.
Gives: `RunWriter` (Arrow streams while running, Parquet at close), `RunReader` (Tables, SQL, the summary).
Never: judges, averages or drops a fact in silence; writes a registered secret; leaves half a JSON file.
Start reading at: `tables.py` (what a run is made of), then `writer.py` and `reader.py`.
Add one by: a schema in `tables.py`; writer, reader and compaction follow it.
"""

from maul.record.locate import locate_run
from maul.record.reader import RunReader
from maul.record.summaries import write_summary
from maul.record.writer import RunWriter

__all__ = ["RunReader", "RunWriter", "locate_run", "write_summary"]
