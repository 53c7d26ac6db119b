"""Embedding: encoders, rows to unit vectors, decontamination, and features of a model beside the vectors.

`decontaminate` embeds a pool with `embed` and leaves rows out that repeat evaluation items: the `Candidates` that may
be chosen.
"""
