"""`curate` and `plan`: SHED from a dataset to its curated part (He et al. 2024, arXiv 2405.00705)."""
