"""Several processes that share one curation, and the caller's accelerate state kept apart from ours."""
