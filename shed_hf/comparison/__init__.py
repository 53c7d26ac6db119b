"""Comparison of ways to choose rows: the same tuning for every one of them, several sizes, models, seeds and tasks."""
