"""`shed-hf`: the public functions for shells, a file for each command or for what belongs together."""

# Help lists commands in the order in which they are imported.
from shed_hf.cli import plan, curate, score, reuse, report, verify, compare, transfer, update, demo, env  # noqa: I001
from shed_hf.cli.shell import app, main

__all__ = [
    "app",
    "compare",
    "curate",
    "demo",
    "env",
    "main",
    "plan",
    "report",
    "reuse",
    "score",
    "transfer",
    "update",
    "verify",
]
