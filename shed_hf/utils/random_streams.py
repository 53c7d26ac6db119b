"""One independent generator per purpose, spawned from one seed, so that more draws for one never change another."""

import numpy as np

from shed_hf.utils.checks import check_whole


class Streams:
    """The generators that are spawned from one seed, one for each purpose.

    Args:
        seed: A whole number >= 0.

    Raises:
        InputError: For anything else.
    """

    def __init__(self, seed: int) -> None:
        check_whole(0, seed=seed)
        generators = [np.random.default_rng(child) for child in np.random.SeedSequence(int(seed)).spawn(9)]
        self.for_items, self.for_clusters, self.for_training, self.for_values, *later = generators
        self.for_rows, self.for_sketch, self.for_warmup, self.for_merit, self.for_race = later
