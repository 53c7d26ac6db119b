"""`shed-hf`: the public functions for shells, a file for each command."""

from shed_hf.cli import compare, curate, demo, transfer, update, verify
from shed_hf.cli.shell import app, main

__all__ = ["app", "compare", "curate", "demo", "main", "transfer", "update", "verify"]
