"""The command line: one file per verb; parse, call, show, exit code.

Takes: words from a person.
Gives: text on the terminal and one of the exit codes of `core.errors.ExitCode`.
Never: decides anything about a run; prints a traceback.
Start reading at: `main.py`.
Add one by: a new file with a function, and its line in `main.py`.
"""
