"""The target's door from Python: preflight, buckets, listings, health pages. Load takes the engine's.

Takes: an Endpoint, Credentials, a bucket name. Permission to talk to it is checked by the caller before.
Gives: facts about endpoint and bucket, keys, bodies; errors that say who must act.
Never: retries behind your back, follows a proxy or redirect, reads ambient configuration, deletes what is not ours.
Start reading at: `endpoint.py`, then `preflight.py`; `knock.py` and `pulse.py` for gentle attempts.
Add one by: a function here and its error mapping in `errors.py`.
"""
