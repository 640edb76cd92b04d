"""The words that every other package speaks.

Takes: nothing of ours.
Gives: operation, sample, event, verdict, summary, errors, clock, units, ids: values without I/O.
Never: opens a file, a socket or a thread.
Start reading at: `summary.py` (what a run says in the end), `operation.py` (what it is made of).
Add one by: a module named after the word; strangers exchange it through the conductor.
"""
