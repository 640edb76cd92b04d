"""Many machines as one: agents that dial in, one start, leases, streamed results, on dask.distributed.

Takes: engine plans, one for each agent; a way to make a generator where the agent runs (`duty.Maker`).
Gives: `Fleet` (connect, preflight, generator), `FleetGenerator` (a `Generator` that is many), `bringup.up`, `embedded`,
    facts about every agent (clock, version, ceiling, what it lacks), the agent's and the scheduler's process.
Never: places load (plan does), judges links (guard does), renews a lease that the conductor did not renew, retries a
    call that makes load, listens for anything but mutual TLS.
Start reading at: `connection.py` (the conductor's side), `duty.py` (the agent's side, without dask), `generator.py`.
Add one by: a way to start agents = a function that gives their addresses.
"""
