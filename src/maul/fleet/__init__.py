"""Many machines as one: agents that dial in, one start, leases, streamed results.

Takes: engine plans, one for each agent; a way to make a generator where the agent runs.
Gives: a `Generator` that is many; facts about every agent (clock, version, ceiling, what it lacks).
Never: places load (plan does), judges links (guard does), renews a lease that the conductor did not renew.
Add one by: a way to start agents = a function that gives their addresses.
"""
