"""Choosing rows: how many of each cluster by its value, which of a cluster first, how stable the choice is.

A `Sampler` takes rows from clusters by their values, a `RowSelector` takes single rows by what is known of each;
`registry` knows both by name.
"""
