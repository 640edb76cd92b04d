"""Senses: what the machines and the services say of themselves while they are beaten.

Takes: a Watch (paths, processes, metrics URLs), a fetch function, a clock.
Gives: Samples, and GAP events where a sense went blind.
Never: changes anything, opens a socket, or repeats an old value.
Start reading at: `contract.py` (what a probe is), `sampler.py` (who reads it); `host_lookout.py` (who asks the target).
Add one by: one file with one Probe, and one line in `wiring.py`; a lookout: one file, and one line in
`conduct/lookouts.py`.
"""
