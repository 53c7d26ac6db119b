"""Reads datasets: sources, row formats, content digests, evaluation items, and the tokens a model is shown."""
