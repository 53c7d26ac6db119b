"""The game of a finished curation, measured further: the same rows and items, with the same utility or another."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.data.pool import Pool
from shed_hf.distributed.ranks import MultiProcess, Workers
from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import OverGroups
from shed_hf.game.game import Aggregate, Game
from shed_hf.game.ledger import Ledger
from shed_hf.game.orders import order_entry
from shed_hf.game.players import Players
from shed_hf.game.utility import AlignsWithPool, SupportsWarmUp, TrainableUtility, UtilityFactory, as_trainable_utility
from shed_hf.results.curation import Curation
from shed_hf.types import FloatMatrix, IntVector
from shed_hf.utils.random_streams import Streams


@dataclass(frozen=True, kw_only=True, eq=False)
class Extension:
    """What measures sets of rows of a finished curation; the same, from the same arguments, on every rank.

    Attributes:
        pool: The rows under their numbers in the source.
        digest: The digest of the whole source.
        tuner: What bound the utility; None for a utility that needs neither pool nor items.
        items: The evaluation items; None where only the utility knows.
        utility: What measures sets of rows.
        grouping: How outcomes are aggregated over groups of items; None for their mean.
        training_seed: The seed of the orders in which rows are trained.
    """

    pool: Pool
    digest: str
    tuner: UtilityFactory | None
    items: EvaluationItems | None
    utility: TrainableUtility
    grouping: Aggregate | None
    training_seed: int

    def header(self) -> dict[str, Any]:
        """What determines an outcome beside the rows, for the ledger's header.

        Returns:
            Plain JSON, with the fields that the header of `curate` has.
        """
        return {"dataset": self.digest, "order": order_entry(self.training_seed), **self.utility.describe()}

    def game(self, players: Players, positions: FloatMatrix, ledger: Ledger, workers: Workers) -> Game:
        """The game of some players.

        Args:
            players: The rows of every player.
            positions: ``(n_players, d)`` where they are in embedding space.
            ledger: Where outcomes are looked up and recorded.
            workers: The processes that measure.

        Returns:
            The game.
        """
        return Game(
            players.rows,
            self.utility,
            ledger,
            self.pool.digests_of(players.rows),
            self.training_seed,
            self.grouping,
            positions=positions,
            workers=workers,
        )


def rebind_utility(
    curated: Curation,
    pool: Pool,
    digest: str,
    tuner: UtilityFactory | None,
    utility: Any,
    items: EvaluationItems | None,
    training_seed: int,
) -> Extension:
    """Bind a utility to the rows of a finished curation.

    Args:
        curated: The result.
        pool: The rows, numbered as the source.
        digest: The digest of the whole source.
        tuner: What binds the utility; None for one that needs no binding.
        utility: The utility where there is no tuner: a callable or a `TrainableUtility`.
        items: The evaluation items, which a tuner needs.
        training_seed: The seed of the training orders.

    Returns:
        What measures.

    Raises:
        InputError: For what cannot be used.
    """
    if tuner is not None and items is not None:
        pool = pool.with_preambles(items.preambles)
        bound = tuner.bind(pool, items.examples, training_seed)
    else:
        bound = as_trainable_utility(utility)
        bound = bound.aligned(pool) if isinstance(bound, AlignsWithPool) else bound
    warmed = _warmup_rows(curated, bound)
    if len(warmed):
        _warm_up(bound, pool, warmed)
    grouping = curated.recipe["grouping"]
    return Extension(
        pool=pool,
        digest=digest,
        tuner=tuner,
        items=items,
        utility=bound,
        grouping=None if grouping is None else OverGroups(grouping["kind"], np.array(grouping["groups"], np.int64)),
        training_seed=training_seed,
    )


def numbered_pool(curated: Curation) -> Pool:
    """The rows that took part, under their numbers in the source; the others keep their numbers and take no part.

    Args:
        curated: The result, with its source.

    Returns:
        A pool with as many rows as the source.

    Raises:
        InputError: Where the result has no source.
    """
    valued, n_rows = curated.valued, curated.recipe["source"]["rows"]
    if valued.source is None:
        raise InputError("the rows are not at hand; pass source= with the dataset that was curated")
    lines = np.zeros(n_rows, dtype=np.int64)
    digests, invalid = np.zeros((n_rows, 16), dtype=np.uint8), np.ones(n_rows, dtype=np.bool_)
    lines[valued.pool_rows] = np.arange(len(valued.pool_rows))
    digests[valued.pool_rows] = valued.digests
    invalid[valued.pool_rows] = False
    keys = np.zeros_like(digests)
    return Pool(valued.source.select(lines).with_format(None), valued.format, digests, keys, invalid)


def _warmup_rows(curated: Curation, utility: TrainableUtility) -> IntVector:
    """The rows that θ₀ was trained on before the game, drawn as `curate` drew them."""
    count, rows = curated.recipe["warmup"], curated.valued.pool_rows
    first = next(iter(curated.recipe.get("history", [])), None)
    if not count:
        return np.empty(0, dtype=np.int64)
    playing = [of_player for of_player in curated.valued.players.rows if first is None or of_player[0] < first["rows"]]
    outside = np.setdiff1d(rows if first is None else rows[rows < first["rows"]], np.concatenate(playing))
    rng = Streams(curated.recipe["seed"]).for_warmup
    chosen: IntVector = rng.permutation(outside[utility.trainable(outside)])[:count]
    return chosen


def _warm_up(utility: TrainableUtility, pool: Pool, rows: IntVector) -> None:
    if not isinstance(utility, SupportsWarmUp):
        raise InputError(
            f"this curation's model was trained on {len(rows)} rows before its game, and this utility has no model to "
            "train; pass a FineTune as utility="
        )
    utility.warm_up(rows, pool.digest_of(rows))


def is_worker(workers: Workers) -> bool:
    """Whether this process only measures what rank 0 asks for.

    Args:
        workers: The processes of the launch.
    """
    return isinstance(workers, MultiProcess) and not workers.is_main
