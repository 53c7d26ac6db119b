"""`curate` and `plan`: SHED from a dataset to its curated part (He et al. 2024, arXiv 2405.00705).

A call becomes a `Request`, `prepare` makes a game of it, `value` has its players valued, and `curate` chooses rows.
"""
