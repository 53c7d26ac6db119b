"""`shed-hf`: the public functions for shells, a file for each command."""

from shed_hf.cli import curate, demo
from shed_hf.cli.shell import app, main

__all__ = ["app", "curate", "demo", "main"]
