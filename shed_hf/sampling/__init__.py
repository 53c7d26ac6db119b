"""Choosing rows: how many of each cluster by its value, which of a cluster first, how stable the choice is."""
