"""The customer's eye: is every acknowledged object there, whole and current, through every gateway?

Takes: arrays of operations (everything written, and the reads of the audit), listings by name.
Gives: an AuditSummary with counts and findings, a ReadsSummary, Checks.
Never: talks to the target, or calls an outcome of unknown effect a loss.
Start reading at: `ledger.py` (what may be there), `audit.py` (what was there).
Add one by: a fold over the operations with an independent brute-force model in the tests.
"""
