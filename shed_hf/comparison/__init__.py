"""Comparison of ways to choose rows: the same tuning for every one of them, several sizes, models, seeds and tasks.

`compare` is the entry. `model_comparison` does all for one model, by `methods` that choose rows and `tasks` that
measure them; what comes of it is a `ComparisonRecord`, which `Comparison` prints, draws, saves and publishes.
"""
