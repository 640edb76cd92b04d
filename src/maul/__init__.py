"""maul beats an S3 object store to a pulp before its customers do, safely, and says what it learnt."""

__version__ = "0.1.0"
