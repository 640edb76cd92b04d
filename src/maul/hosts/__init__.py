"""Hands: the only door to machines, and the memory of what must be put back.

Takes: argv, process identities (pid + start time), undo data.
Gives: `Host` (run, spawn, process, signal, read, write), `UndoJournal`, `undo_pending`, `DeadMan`.
Never: signals a process whose start time differs, starts a program whose identity is not on disk yet, prints,
    imports anything outside the standard library and `maul.core` (the dead-man helper must start in any
    state).
Start reading at: `host.py` (the contract), `journal.py`, `undo.py`, then `reaper.py` and `deadman.py`.
Add one by: a new implementation of `Host` in its own file (network namespace, SSH), passing
    tests/hosts/test_host_contract.py;
    a new kind of undo as one dataclass and one branch of `undo.decide`.
"""
