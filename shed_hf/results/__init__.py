"""The result of a curation as records, and what follows without a fine-tuning: tables, resampling, re-estimation.

`Curation` is what `curate` found, on a `ValuedPool`, with its `recipe`; `reuse` makes another of it.
"""
