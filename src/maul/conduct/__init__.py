"""The conductor: phases, wiring, signals, healing on the way out. The only place where the packages below meet.

Takes: an order (campaign, site, where to write) and a listener for progress.
Gives: a run directory and its summary.
Never: prints; draws; decides what a pure function below could decide.
Start reading at: `conductor.py` (a whole run), then `drive.py` (one generator), `judge.py` (the verdict).
Add one by: a phase kind in `phases.py`, a check in `checks.py`, a probe or fault in its package's catalogue.
"""
