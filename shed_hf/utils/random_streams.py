"""Chance: one seed at the door, a generator for each use of it behind, so that none shifts another."""

import numpy as np

from shed_hf.errors import InputError


class Streams:
    """The generators of one seed. Raises `InputError` for what is no whole number >= 0."""

    def __init__(self, seed: int) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise InputError(f"seed={seed!r} is not a whole number >= 0; pass one")
        generators = [np.random.default_rng(child) for child in np.random.SeedSequence(int(seed)).spawn(8)]
        self.for_items, self.for_clusters, self.for_training, self.for_values, *later = generators
        self.for_rows, self.for_sketch, self.for_warmup, self.for_merit = later
