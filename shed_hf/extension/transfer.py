"""`transfer`: whether the ranking of clusters holds for another model, seed or learning rate.

Some of the coalitions that were measured are measured again by the other utility, and what both found of the same
coalitions tells how alike the values are (`shed_hf.estimators.transferred_values`).
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf.data.pool import Pool
from shed_hf.distributed.launch import workers_of_launch
from shed_hf.distributed.ranks import MultiProcess, SingleProcess
from shed_hf.errors import InputError
from shed_hf.estimators.base import check_budget
from shed_hf.estimators.bayesian_regression import Observed, Posterior
from shed_hf.estimators.least_squares import LeastSquares
from shed_hf.estimators.outcomes import Outcomes, measure_ends, measurements_of, merged, outcomes_in_ledger
from shed_hf.estimators.repeated_coalitions import coalitions_to_repeat
from shed_hf.estimators.transferred_values import JointDraws, joint_draws
from shed_hf.extension.choice_overlap import RowsKept, rows_kept, why_not_known
from shed_hf.extension.problem import Extension, numbered_pool, rebind_utility
from shed_hf.extension.tuner import original_tuner, with_model
from shed_hf.extension.workers import CODEC, ledger_path, of_type, open_ledger, work_on_extension
from shed_hf.game.counting import counting, n_known
from shed_hf.game.game import Game
from shed_hf.game.interruption import outcomes_kept
from shed_hf.game.precision_choice import in_precision_of
from shed_hf.game.rank_agreement import check_ranks_agree
from shed_hf.game.utility import UtilityFactory, measurement_of
from shed_hf.results.curation import Curation
from shed_hf.results.reuse import aggregate_of, game_of_ledger
from shed_hf.results.source_rows import with_source
from shed_hf.results.transfer import Transfer
from shed_hf.types import FloatVector
from shed_hf.utils.arrays import number_or_none
from shed_hf.utils.checks import check_whole
from shed_hf.utils.console import Stopwatch, plural, say
from shed_hf.utils.naming import stable_name
from shed_hf.utils.random_streams import Streams
from shed_hf.verification.items import recover_items, refuse_unread
from shed_hf.verification.tuners import screen_rows

LEAST = 8
"""Fewer fine-tunings tell nothing of a rank correlation."""

LEAST_CLUSTERS = 3
"""Two clusters have one of two orders: agreement says nothing."""


@dataclass(frozen=True, eq=False)
class TransferRequest:
    """The arguments of `CuratedDataset.transfer`, which documents them.

    Attributes:
        model: The other model; None for the curation's.
        utility: What measures instead; None for the curation's.
        budget: The most fine-tunings.
        seed: The seed of training orders and of every draw; None for one more than the curation's.
        ledger: What the name of the ledger's file begins with; None for memory.
        eval_dataset: The evaluation items, where they are not at hand.
        source: The dataset that was curated, where it is not at hand.
    """

    model: Any
    utility: Any
    budget: int
    seed: int | None
    ledger: str | os.PathLike[str] | None
    eval_dataset: Any
    source: Any

    def __post_init__(self) -> None:
        """Checks what no later part checks.

        Raises:
            InputError: Naming the first that cannot be used.
        """
        check_budget(self.budget, LEAST, "v(N) and at least seven coalitions")
        if self.seed is not None:
            check_whole(0, seed=self.seed)
        if self.model is not None and self.utility is not None:
            raise InputError("model= and utility= both say what measures; put the model into the utility")
        ledger_path(self.ledger)


def transfer(curated: Curation, request: TransferRequest) -> Transfer:
    """Measure some coalitions again, and compare the values.

    Args:
        curated: The result, which then remembers the answer in its recipe.
        request: The arguments.

    Returns:
        How alike the rankings are.

    Raises:
        InputError: For what cannot be used.
        LedgerError: For a ledger that cannot be written.
        Diverged: When training ends in outcomes that are not finite.
    """
    watch = Stopwatch()
    here = _recorded(curated)
    with workers_of_launch(CODEC) as workers:
        extension, name = _bound(curated, request, workers)
        path = sibling_ledger(ledger_path(request.ledger), name, extension.header())
        if isinstance(workers, MultiProcess) and not workers.is_main:
            sent = work_on_extension(extension, workers, path)
            found = Transfer.from_json(of_type(dict, sent))
        else:
            seed, streams = _seed(curated, request), Streams(_seed(curated, request))
            game, observed = _measured(curated, request.budget, streams, here[0], extension, path, name, workers)
            found = Transfer(
                name=name,
                **_compared(curated, here[1], game, observed, streams),
                n_rows=len(curated.rows),
                n_clusters=len(set(curated.valued.players.clusters)),
                coalitions=len(observed.coalitions),
                fine_tunings=game.n_fine_tunings,
                seconds=round(watch.seconds, 2),
                gain=observed.v_grand - observed.v_empty,
                seed=seed,
                utility=json.loads(json.dumps(extension.utility.describe())),
                kept_unknown=why_not_known(curated),
            )
            workers.end(found.as_json())
    recipe = curated.recipe
    recipe["transfers"] = [*recipe.get("transfers", []), found.as_json()]
    return found


def sibling_ledger(path: Path | None, name: str, header: dict[str, Any]) -> Path | None:
    """The file beside a curation's ledger that holds what another utility measured.

    Args:
        path: The ledger of the family, such as ``run.ledger``.
        name: What measures.
        header: The header of what it measures.

    Returns:
        A path such as ``run.ledger.transfer-SmolLM2-360M-5f0c1d2e``, another one for every other header; None for None.
    """
    if path is None:
        return None
    from shed_hf.storage.schema import digest_of

    words = re.sub(r"[^\w.-]+", "-", re.split(r"[/\\]", name.rstrip("/\\"))[-1])[:40].strip("-.") or "utility"
    return path.with_name(f"{path.name}.transfer-{words}-{digest_of(header)[:8]}")


def _recorded(curated: Curation) -> tuple[Outcomes, Posterior]:
    """What the curation measured of coalitions, and the values by it."""
    if not curated.estimate.played:
        raise InputError(
            "no game was played (estimator=None), so there is no ranking of clusters to compare; curate with an "
            "estimator first"
        )
    game = game_of_ledger(curated)[0]
    try:
        found = outcomes_in_ledger(game)
    except InputError as error:
        raise InputError(
            f"{error}; transfer measures coalitions again that were measured, which estimator="
            f"{curated.recipe['estimator']['name']!r} did not leave"
        ) from error
    posterior, n_clusters = LeastSquares().fit(game, found.observed(game)), len(set(curated.valued.players.clusters))
    if n_clusters < LEAST_CLUSTERS or not (np.ptp(posterior.mean) or posterior.covariance.any()):
        raise InputError(
            f"there is no ranking to compare: {plural(n_clusters, 'cluster')} with a value"
            f"{'' if n_clusters < LEAST_CLUSTERS else ', all the same'}; cluster the rows into at least "
            f"{LEAST_CLUSTERS}, or choose evaluation items that the rows can move"
        )
    return found, posterior


def _bound(curated: Curation, request: TransferRequest, workers: SingleProcess | MultiProcess) -> tuple[Extension, str]:
    before = original_tuner(curated, request.model) if request.utility is None else None
    tuner, utility = _other(curated, request, before)
    items = None
    if tuner is not None:
        items = recover_items(curated, before or tuner, request.eval_dataset, request.source)
    else:
        refuse_unread(request.eval_dataset)
    training_seed = int(Streams(_seed(curated, request)).for_training.integers(2**31))
    found = with_source(curated, request.source)
    pool = _screened(numbered_pool(found), curated, tuner)
    tuner = in_precision_of(tuner, lambda: None, workers)
    bound = rebind_utility(curated, pool, curated.recipe["source"]["digest"], tuner, utility, items, training_seed)
    _check_trainable(bound, curated)
    # after a race the values are of the items that ranked its candidates, and so are those that they are compared with
    return replace(bound, grouping=aggregate_of(curated.recipe)), _name(tuner, utility)


def _seed(curated: Curation, request: TransferRequest) -> int:
    return int(curated.recipe["seed"]) + 1 if request.seed is None else int(request.seed)


def _other(
    curated: Curation, request: TransferRequest, before: UtilityFactory | None
) -> tuple[UtilityFactory | None, Any]:
    """What measures instead: something to bind, or a utility as it is."""
    if request.utility is not None:
        factory = isinstance(request.utility, UtilityFactory)
        return (request.utility, None) if factory else (None, request.utility)
    if request.model is not None:
        return with_model(before, request.model), None
    if before is not None:
        return before, None
    held = curated.valued.measured_by
    if held is None or held.utility is None:
        raise InputError("the utility of this curation is not at hand; pass model= or utility= with what measures")
    return None, held.utility


def _screened(pool: Pool, curated: Curation, tuner: UtilityFactory | None) -> Pool:
    """The pool, after seeing that the other model can be shown the rows that players bring."""
    playing = np.ones(len(pool), dtype=np.bool_)
    playing[np.concatenate(curated.valued.players.rows)] = False
    only = Pool(pool.dataset, pool.format, pool.digests, pool.keys, playing)
    try:
        screen_rows(tuner, only, False, "the part of the dataset that was measured")
    except InputError as error:
        raise InputError(f"the ranking can't be compared with that of this model: {error}") from error
    return pool


def _check_trainable(extension: Extension, curated: Curation) -> None:
    rows = np.concatenate(curated.valued.players.rows)
    bad = rows[~extension.utility.trainable(rows)]
    if len(bad):
        raise InputError(
            f"{plural(len(bad), 'row')} that players bring cannot be trained on by the other utility, the first is row "
            f"{bad[0]}: no token of it is learned; raise its max_length, or pass another model"
        )


def _name(tuner: UtilityFactory | None, utility: Any) -> str:
    if tuner is None:
        return stable_name(utility).split("#")[0]
    from shed_hf.finetuning.fine_tune import FineTune

    if not isinstance(tuner, FineTune):
        return stable_name(tuner).split("#")[0]
    model = tuner.model
    return str(model) if isinstance(model, str | os.PathLike) else str(model.config.name_or_path) or "a loaded model"


def _measured(
    curated: Curation,
    budget: int,
    streams: Streams,
    before: Outcomes,
    extension: Extension,
    path: Path | None,
    name: str,
    workers: SingleProcess | MultiProcess,
) -> tuple[Game, Observed]:
    """What the other utility measures of coalitions that were measured."""
    players = curated.valued.players
    coalitions = coalitions_to_repeat(before.coalitions, budget - 1, streams.for_values)
    positions = curated.valued.clustering.centroids[players.clusters].astype(np.float64)
    with open_ledger(extension, players, path, workers) as ledger, outcomes_kept(ledger):
        game = extension.game(players, positions, ledger, workers)
        asked = np.vstack([coalitions, np.ones((1, game.n_players), dtype=np.bool_)])
        known = n_known(game, asked, [0] * len(asked))
        _tell(name, game, len(coalitions), known)
        check_ranks_agree(game)
        with counting("measuring", game, len(asked), known):
            measured = [*measure_ends(game, 0), *measurements_of(game, coalitions, [0] * len(coalitions))]
    return game, merged(game, measured).observed(game)


def _compared(curated: Curation, here: Posterior, game: Game, observed: Observed, streams: Streams) -> dict[str, Any]:
    """The rank correlation and what it means for the choice, as fields of a `Transfer`."""
    players, there = curated.valued.players, LeastSquares().fit(game, observed)
    draws = joint_draws(here.mean, here.covariance, observed, streams.for_rows)
    level = (observed.v_grand - observed.v_empty) / game.n_players
    kept = rows_kept(curated, np.stack([players.means(level + line) for line in draws.second]), streams.for_sketch)
    values, errors = players.means(there.mean), players.stderr(np.sqrt(np.diag(there.covariance).clip(0)))
    middle, low, high = np.quantile(rank_correlations(draws, players.means), [0.5, 0.025, 0.975]).tolist()
    return {
        "correlation": middle,
        "low": low,
        "high": high,
        "estimated": number_or_none(rank_correlation(players.means(here.mean), values)),
        "values": tuple(map(number_or_none, values.tolist())),
        "stderr": tuple(map(number_or_none, errors.tolist())),
        **_kept(kept),
    }


def _kept(kept: RowsKept | None) -> dict[str, Any]:
    if kept is None:
        return {"kept": None, "kept_low": None, "kept_high": None, "kept_by_chance": None}
    return {"kept": kept.middle, "kept_low": kept.low, "kept_high": kept.high, "kept_by_chance": kept.by_chance}


def _tell(name: str, game: Game, n_coalitions: int, n_measured: int) -> None:
    rows = np.concatenate(game.players)
    tokens = game.utility.n_tokens(rows)
    shown = f", about {(n_coalitions / 2 + 1) * tokens:,.0f} tokens" if tokens else ""
    known = f"; {n_measured} in the ledger already" if n_measured else ""
    runs = plural(n_coalitions + 1, measurement_of(game.utility))
    say(f"bill: {runs} of {name} on coalitions measured before{shown}{known}")


def rank_correlations(draws: JointDraws, of_clusters: Callable[[FloatVector], FloatVector]) -> FloatVector:
    """The rank correlation of the clusters' values in every draw.

    Args:
        draws: The players' effects in both games.
        of_clusters: From numbers of players to those of their clusters.

    Returns:
        ``(draws,)``.
    """
    pairs = zip(draws.first, draws.second, strict=True)
    return np.array([rank_correlation(of_clusters(one), of_clusters(two)) for one, two in pairs])


def rank_correlation(first: FloatVector, second: FloatVector) -> float:
    """Spearman's correlation of two lists of values.

    Args:
        first: ``(c,)`` values; NaN for a cluster without one.
        second: ``(c,)`` values of the same clusters.

    Returns:
        The correlation; NaN where one list has a single value.
    """
    ranks = [_ranks(values[~np.isnan(values)]) for values in (first, second)]
    if min(len(ranks[0]), len(ranks[1])) < 2 or not (np.ptp(ranks[0]) and np.ptp(ranks[1])):
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: FloatVector) -> FloatVector:
    """Ranks, with the mean rank of equal values."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places], dtype=np.float64)
