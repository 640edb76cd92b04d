"""`python -m maul`: the same as the `maul` command."""

from maul.cli.main import main

main()
