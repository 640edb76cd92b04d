"""Read the signs: who stopped our traffic, when it suddenly stops. Pure.

Takes: one `Second` after the other. Gives: a diagnosis with its evidence, and what to do. Never: a socket, a clock, a
file. Start reading at: `signals`, then `causes`. Add one by: a cause in `causes`, its row in the decision table.
A play that was recorded (`plays`) judges the table.
"""
