"""`curate`, the whole of SHED from top to bottom (He et al. 2024, arXiv 2405.00705), and `plan`, what it would cost."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from shed_hf.clustering.clusterers import Clusterer, Given
from shed_hf.clustering.topic_terms import describe_clusters
from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.plan import Plan, planned
from shed_hf.curation.prepare import PreparedCuration, prepare
from shed_hf.curation.race import Race
from shed_hf.curation.race_run import enter_race
from shed_hf.curation.recipe import make_recipe
from shed_hf.curation.request import Request
from shed_hf.curation.row_choice import choose_by_outcomes, choose_by_row
from shed_hf.curation.valuation import value
from shed_hf.curation.verdict import check_test_dataset, with_verdict
from shed_hf.curation.wire import CODEC
from shed_hf.curation.worker import work_for_curation, work_for_plan
from shed_hf.distributed.launch import workers_of_launch
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.embedding.encoders import DEFAULT_EMBEDDER, Encoder
from shed_hf.embedding.row_features import Features
from shed_hf.estimators import Estimator, ValueEstimate
from shed_hf.evaluation.constraints import Constraints
from shed_hf.evaluation.item_groups import Grouped
from shed_hf.evaluation.objectives import Objective
from shed_hf.game.game import Game
from shed_hf.game.interruption import outcomes_kept
from shed_hf.game.ledger import Ledger
from shed_hf.game.utility import TrainableUtility, Utility
from shed_hf.results.curation import Curation
from shed_hf.results.embedding_map import embedding_map_of
from shed_hf.results.summary import summary
from shed_hf.results.tables import choose_rows
from shed_hf.results.valued_pool import MeasuredBy, ValuedPool
from shed_hf.results.wire import to_workers
from shed_hf.sampling.registry import AnySampler
from shed_hf.sampling.selectors import Selection
from shed_hf.types import FloatVector
from shed_hf.utils.console import Stopwatch, say

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from shed_hf.finetuning.fine_tune import FineTune


def curate(
    dataset: Any,
    size: int | float | str = "auto",
    *,
    eval_dataset: Any = None,
    test_dataset: Any = None,
    model: "str | PreTrainedModel | None" = None,
    embedder: "str | Encoder | NDArray[Any]" = DEFAULT_EMBEDDER,
    clusterer: "str | Clusterer | Any" = "kmeans",
    features: "str | tuple[str, ...] | Features | None" = None,
    proxies_per_cluster: int | None = 4,
    proxy_sets: int = 1,
    utility: "str | FineTune | Utility | TrainableUtility" = "fine-tune",
    method: str | Race = "shapley",
    objective: str | Objective | Grouped | None = None,
    constraints: Constraints | None = None,
    warmup: int = 0,
    estimator: str | Estimator | None = "least-squares",
    budget: int | str | None = None,
    require_signal: bool = False,
    require_better: bool = False,
    sampler: str | AnySampler | Given = "auto",
    merit: "str | NDArray[Any] | None" = "auto",
    seed: int = 0,
    ledger: str | os.PathLike[str] | None = None,
    split: str | None = None,
    columns: Mapping[str, str | None] | None = None,
    eval_columns: Mapping[str, str | None] | None = None,
    drop_invalid: bool = False,
) -> CuratedDataset:
    """Keep the rows of a dataset most worth fine-tuning on (SHED: He et al. 2024, arXiv 2405.00705).

    Rows are embedded and clustered. The rows nearest a cluster's centroid, its proxies, are a player of a cooperative
    game, whose utility is what a model fine-tuned on the players' rows reaches on ``eval_dataset``. Clusters are valued
    by the Shapley value, and rows are sampled from them by value. The same call with the same seed, data and versions
    keeps the same rows.

    Args:
        dataset: The rows: a `Dataset`, a `DatasetDict` with ``split``, a list of dicts, a pandas frame, a Hub id, a
            folder, or a ``.jsonl``, ``.json``, ``.csv`` or ``.parquet`` file.
        size: How many rows to keep: a number, a share in (0, 1], or a percentage such as ``"10%"``. ``"auto"``, the
            default, is a tenth, or, with the samplers ``Full()`` and ``Given(rows)``, as many as they take.
        eval_dataset: What models are evaluated on, of the same kinds as ``dataset``. By default a tenth of the rows (8
            to 256) is held out and never chosen; a callable ``utility`` needs none.
        test_dataset: Rows of the same kinds that have no part in the choice. At the end the chosen rows are compared
            with random ones on them, where that takes less than a fifth of the game: see `CuratedDataset.verify`. None
            by default: no comparison.
        model: The causal language model to fine-tune: a Hub id, a path or a loaded model;
            ``HuggingFaceTB/SmolLM2-135M-Instruct`` by default. Only with ``utility="fine-tune"``.
        embedder: The name of a sentence-transformers model, by default ``sentence-transformers/all-MiniLM-L6-v2``; an
            object with ``.encode(texts)``; a matrix ``(n_rows, d)``; or ``"lexical"`` (TF-IDF, downloads nothing).
        clusterer: ``"kmeans"``, the default (3·√n clusters, at most 64), ``"agglomerative"``, ``"hdbscan"``, a
            clusterer such as ``KMeans(12)``, a label for every row, or the name of a column of labels.
        features: What the model makes of a row, to cluster by beside its embedding: ``"loss"``, ``"ifd"`` (how much the
            prompt lowers the completion's loss), ``"length"``, several of them, or `Features`. None by default.
        proxies_per_cluster: How many rows stand for a cluster in one set of proxies: 4 by default, None for all of
            them; the paper has 1.
        proxy_sets: How many disjoint sets of proxies a cluster sends, a player each: 1 by default. Where they disagree,
            the cluster is called mixed.
        utility: What measures a set of rows: ``"fine-tune"``, the default, ``FineTune(…)``, ``TrainerUtility(…)``, or a
            callable from a list of m arrays of row numbers to outcomes ``(m, n_items)``, higher is better.
        method: ``"shapley"``, the default: ``sampler`` decides what is kept. ``"race"``, or ``Race(…)``: subsets by
            ``sampler``, by the selectors of single rows and random ones are tuned on and measured on one half of the
            evaluation items by successive halving; the best is kept where it is better than random rows, else random
            rows. The other half of the items gives the verdict. It takes four fine-tunings on ``size`` rows for every
            candidate, beside those of the game, and at least 16 evaluation items; see `Race`.
        objective: The outcome of a fine-tuned model on an item: ``"loss"``, ``"choice"``, ``"accuracy"``,
            ``"normalised-accuracy"``, ``"contrast"``, ``Metric(…)``, ``Judged(…)`` or a callable; ``"macro"``,
            ``"worst-group"`` or ``Macro(column, objective)`` over groups of items. By default ``"choice"`` where items
            have options, else ``"loss"``. Only with
            ``utility="fine-tune"``.
        constraints: Columns of the evaluation rows, or of ``dataset`` where rows of it are held out, that name each
            item's group, to how far a group's mean outcome may be expected to fall below that of the untuned model, as
            in ``{"subject": 0.01}``, in units of the outcome; ``Tolerance(0.01, against="random")`` for below that of
            random rows. The rows are then those of the largest mean for which no group is expected to fall further
            (`shed_hf.results.group_outcomes` says how that is expected). Only with ``sampler="qocs"``. None by default.
        warmup: How many rows outside the game the model is trained on before it begins; none by default.
        estimator: ``"least-squares"``, the default, ``"regression-adjusted"``, ``"banzhaf"``, ``"in-run"``,
            ``"permutation"``, ``"exact"``, ``"shed"`` (the paper's), or an estimator such as
            ``Permutation(n_orders=20)``. None to play no game, where ``sampler`` chooses rows by itself: clusters then
            have no values, and the cost is the sampler's.
        budget: The most fine-tunings to spend, or the time that measuring may take, as in ``"30min"`` or ``"4h"``; by
            default the estimator's own number. A race has its own: ``Race(budget=…)``.
        require_signal: Whether values that can't be told from noise raise `NoSignal`; by default there is a warning.
        require_better: Whether rows that are not shown to be better than random ones on ``test_dataset`` raise
            `NotBetter`; the comparison is then made whatever it takes.
        sampler: What chooses rows. ``"auto"``, the default, is ``"credit-coverage"`` where every row can be credited
            for each evaluation item (a model is fine-tuned, at most 20,000 rows) and neither ``merit``, ``constraints``
            nor a race asks for clusters, else ``"qocs"``; without a game and credits it is ``"retrieval"``.
            ``"row-values"`` weighs signals of single rows, and clusters, by what the game shows of them; where it shows
            nothing, it is ``"credit-coverage"``. From valued clusters draw ``"qocs"`` (the best clusters first, none
            filling more than a quarter), ``"qwcs"`` (at random, clusters of higher value more often), ``"random"``, or
            a sampler such as ``QOCS(most=0.5)``. Single rows, whatever the clusters are worth, choose ``"retrieval"``,
            ``"rds"`` (retrieval by the hidden states of the model that is fine-tuned), ``"credit-coverage"``,
            ``"dsir"``, ``"dataset-quantization"``, ``"longest"``, ``"ifd"``, ``"full"``, a selector such as
            ``Retrieval(by="mean")``, or ``Given(rows)``; the game then only says what the clusters are worth.
        merit: Which rows of a cluster are taken first: ``"credit"`` (what the row did for the evaluation in one
            training run over all rows), ``"ifd"``, ``"loss"``, a number for every row, or None for random ones.
            ``"auto"``, the default, is credit where the utility gives it, there are at most 20,000 rows and the sampler
            takes rows from clusters, else None.
        seed: A whole number, the seed of every random draw; 0 by default.
        ledger: A path, where every outcome is written the moment it is measured; the same call resumes from it. By
            default outcomes stay in memory, and are saved to a file if the run is stopped.
        split: The split of ``dataset`` to curate, needed where it has several.
        columns: The dataset's column for each part of a row whose name differs, as in ``{"instruction": "query",
            "system": "persona"}``; None for a part or a column that is not to be read, as in ``{"images": None}``. By
            default the names are those of the known formats. Answers of multiple-choice rows that can be understood
            in two ways are settled here: ``{"answer_from_1": "label"}``, ``{"answer_text": "answer"}``.
        eval_columns: The same for ``eval_dataset`` alone; by default ``columns`` is used for both where it fits.
        drop_invalid: Whether rows are left out that cannot be read or that the model's chat template refuses; by
            default the first one is named in an error.

    Returns:
        The chosen rows, the clusters with their values, and everything measured. Among several ranks every rank returns
        the same.

    Raises:
        InputError: For what cannot be used, and where no choice keeps the constraints.
        LedgerError: For a ledger of another run, or one that cannot be written.
        Diverged: When training ends in outcomes that are not finite.
        NoSignal: With ``require_signal``, when the values can't be told from noise.
        NotBetter: With ``require_better``, when the rows are not shown to be better than random ones. The result is
            saved in a folder, which the error names.
    """
    arguments = locals()
    watch = Stopwatch()
    request = Request(**arguments)
    check_test_dataset(request)
    return with_verdict(_curated(request, watch), request)


def _curated(request: Request, watch: Stopwatch) -> CuratedDataset:
    with workers_of_launch(CODEC) as workers:
        if isinstance(workers, MultiProcess) and not workers.is_main:
            return work_for_curation(request, workers)
        prepared = prepare(request, workers)
        choose = _by_sampler if prepared.race is None else _by_race
        curated = CuratedDataset.of(choose(prepared, watch))
        workers.end(to_workers(curated))
    say(summary(curated))
    return curated


def _by_sampler(prepared: PreparedCuration, watch: Stopwatch) -> Curation:
    """What the sampler keeps: by the values of clusters, or row by row."""
    selection = choose_by_row(prepared)
    with prepared.ledger() as ledger, outcomes_kept(ledger):
        game = prepared.game(ledger)
        estimate = _values(prepared, game)
        selection = selection or choose_by_outcomes(prepared, game, estimate)
        merit = prepared.merit.of_rows(prepared.streams.for_merit)
        valued = _valued(prepared, estimate, ledger.in_order(game.asked), selection, merit)
        recipe = make_recipe(prepared, game, watch.seconds, selection)
        return choose_rows(valued, recipe, prepared.sampler, prepared.streams.for_rows)


def _by_race(prepared: PreparedCuration, watch: Stopwatch) -> Curation:
    """What wins the race among samplers and selectors, the values of clusters being those on its half of the items."""
    with prepared.ledger() as ledger, outcomes_kept(ledger):
        entered = enter_race(prepared, prepared.game(ledger))
        game = prepared.game(ledger, entered.halves.ranking)
        estimate = _values(prepared, game)
        valued = _valued(prepared, estimate, ledger.in_order(game.asked), None, entered.signals.merit)
        finished = entered.run(valued, ledger)
        recipe = make_recipe(prepared, game, watch.seconds, None, finished.game)
        return finished.decided(valued, recipe, ledger, game.asked)


def _values(prepared: PreparedCuration, game: Game) -> ValueEstimate:
    asked = prepared.request.require_signal
    return value(game, prepared.estimator, prepared.streams.for_values, prepared.budget, asked)


def plan(dataset: Any, size: int | float | str = "auto", *, pilot: int = 0, **arguments: Any) -> Plan:
    """What `curate` with the same arguments would take: players, fine-tunings, tokens, FLOPs, time and memory, and how
    reliable its values would be.

    v(∅) and two small fine-tunings are timed; with ``ledger`` they are kept for the run itself.

    Args:
        dataset: The rows, as in `curate`.
        size: How many rows to keep, as in `curate`; ``"auto"`` by default.
        pilot: How many coalitions to measure beside those, 0 or at least 8, so that the reliability of the values can
            be predicted at half, the same and double the budget. 0 by default: no prediction.
        **arguments: Any other argument of `curate`, with the same meaning and default.

    Returns:
        The plan; printed, it is a summary in words.

    Raises:
        InputError: For what cannot be used, as in `curate`, and for another ``pilot``.
        LedgerError: For a ledger of another run, or one that cannot be written.
        Diverged: When training ends in outcomes that are not finite.
        TypeError: For an argument that `curate` does not have.
    """
    defaults = {name: default for name, default in (curate.__kwdefaults__ or {}).items() if name not in arguments}
    request = Request(dataset=dataset, size=size, **arguments, **defaults)
    with workers_of_launch(CODEC) as workers:
        if isinstance(workers, MultiProcess) and not workers.is_main:
            return work_for_plan(request, workers)
        prepared = prepare(request, workers)
        with prepared.ledger() as ledger:
            found = planned(prepared, prepared.game(ledger), pilot)
        workers.end(found)
    return found


def _valued(
    prepared: PreparedCuration,
    estimate: ValueEstimate,
    ledger: Ledger,
    selection: Selection | None,
    merit: FloatVector | None,
) -> ValuedPool:
    pool, candidates = prepared.problem.pool, prepared.candidates
    terms, excerpts = describe_clusters(pool, prepared.nearest, prepared.players.proxies)
    return ValuedPool(
        pool_rows=candidates.rows,
        digests=pool.digests[candidates.rows],
        clustering=prepared.clustering,
        players=prepared.players,
        estimate=estimate,
        ledger=ledger,
        embedding_map=embedding_map_of(candidates.rows, candidates.embeddings, prepared.streams.for_sketch),
        terms=terms,
        excerpts=excerpts,
        format=pool.format,
        encoder=candidates.encoder,
        source=prepared.problem.source.select(candidates.rows),
        merit=merit,
        taken=None if selection is None else candidates.rows[selection.places],
        measured_by=MeasuredBy(prepared.problem.tuner, prepared.problem.items, prepared.problem.own_utility),
        measured_items=prepared.problem.measured_items(),
        worth=None if selection is None else selection.worth,
    )
