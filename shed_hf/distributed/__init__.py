"""Several processes that share one curation, and the caller's accelerate state kept apart from ours.

`workers_of_launch` gives the `Workers` that a call has: this process alone, or the ranks of a launch.
"""
