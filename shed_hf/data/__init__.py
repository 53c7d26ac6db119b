"""Reads datasets: sources, row formats, content digests, evaluation items, and the tokens a model is shown.

`load` gives a `Dataset` of whatever the caller names, `read_pool` a `Pool` of its rows, and `items_from` what is
evaluated on. `tokenise` gives the tokens that a model is shown of an `Example`.
"""
