"""The demo: a real curation of a small real pool with a real language model."""
