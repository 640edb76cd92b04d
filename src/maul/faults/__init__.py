"""Hurt one thing on purpose, prove it, and always heal it.

Takes: a `Target` (a service of the site, with a way to ask whether it answers), a `Host`, a clock, the undo
    journal. Gives: `FaultRun` (one fault through its life), `FAULTS` (every fault by name), `heal`,
    `blast_radius`. Never: harms before the undo is on disk, calls a fault proven because it was injected,
    opens a socket. Start reading at: `fault.py` (the contract), `fault_run.py` (the life), then
    `process_kill.py`. Add one by: one file with one class of the contract, one line in `catalogue.py`, one
    row in the contract test.
"""
