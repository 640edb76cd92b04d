"""The live page of a run: read-only, but for the red button that stops everything.

Takes: a run directory while it is written, and a way to stop.
Gives: one page and its data, on loopback.
Never: changes a run in any other way than ending it.
"""
