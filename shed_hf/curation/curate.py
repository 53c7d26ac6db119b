"""`curate`: the whole of SHED, top to bottom; `plan`: what it would cost. The only file that knows every seam."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from shed_hf.clustering.clusterers import Clusterer
from shed_hf.clustering.topic_terms import wording
from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.plan import Plan, planned
from shed_hf.curation.prepare import PreparedCuration, prepare
from shed_hf.curation.recipe import make_recipe
from shed_hf.curation.request import Request
from shed_hf.curation.valuation import value
from shed_hf.curation.worker import to_workers, work_for_curation, work_for_plan
from shed_hf.distributed.launch import workers_of_launch
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.embedding.encoders import DEFAULT_EMBEDDER, Encoder
from shed_hf.embedding.row_features import Features
from shed_hf.estimators import Estimator, ValueEstimate
from shed_hf.evaluation.item_groups import Grouped
from shed_hf.evaluation.objectives import Objective
from shed_hf.game.ledger import Ledger
from shed_hf.game.utility import TrainableUtility, Utility
from shed_hf.results.embedding_map import embedding_map_of
from shed_hf.results.summary import summary
from shed_hf.results.tables import choose_rows
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.sampling.samplers import Sampler
from shed_hf.utils.console import Stopwatch, say

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from shed_hf.finetuning.fine_tune import FineTune


def curate(
    dataset: Any,
    size: int | float,
    *,
    eval_dataset: Any = None,
    model: "str | PreTrainedModel | None" = None,
    embedder: "str | Encoder | NDArray[Any]" = DEFAULT_EMBEDDER,
    clusterer: "str | Clusterer | Any" = "kmeans",
    features: "str | tuple[str, ...] | Features | None" = None,
    proxies_per_cluster: int | None = 4,
    proxy_sets: int = 1,
    utility: "str | FineTune | Utility | TrainableUtility" = "fine-tune",
    objective: str | Objective | Grouped | None = None,
    warmup: int = 0,
    estimator: str | Estimator = "least-squares",
    budget: int | str | None = None,
    require_signal: bool = False,
    sampler: str | Sampler = "qocs",
    merit: "str | NDArray[Any] | None" = "auto",
    seed: int = 0,
    ledger: str | os.PathLike[str] | None = None,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    drop_invalid: bool = False,
) -> CuratedDataset:
    """Keep the ``size`` rows of ``dataset`` most worth fine-tuning on (SHED: He et al. 2024, arXiv 2405.00705).

    Rows are embedded and clustered; each cluster's ``proxies_per_cluster`` rows nearest its centroid are a player of a
    game whose utility is a fine-tuned model's outcome on ``eval_dataset``; clusters are valued by the Shapley value and
    sampled by it.

    ``size`` is a number of rows or a share in (0, 1]. ``dataset`` and ``eval_dataset`` are a `Dataset`, a `DatasetDict`
    with ``split``, a Hub id or a local path; without ``eval_dataset`` a tenth of the rows (at most 256) is held out and
    never chosen. ``features`` are what the model makes of a row, beside what it is about, for clustering. With
    ``proxy_sets`` each cluster sends that many disjoint sets of proxies, which tell whether it is of one kind.
    ``warmup`` rows outside the game teach the model the format before it begins. ``budget`` is the most fine-tunings to
    spend, or the time, as in ``"4h"``. ``merit`` says which rows of a cluster are taken first: ``"credit"``,
    ``"ifd"``, ``"loss"`` or a number for every row; ``"auto"`` is credit where one training run over the rows affords
    it. With ``ledger`` every outcome is written there the moment it is measured,
    and the same call resumes from it. ``columns`` says where names differ, ``drop_invalid`` leaves unreadable rows out.

    Raises `InputError` for what cannot be used, `LedgerError` for a ledger of another run, `Diverged` when training
    diverges, and, with ``require_signal``, `NoSignal` when the values can't be told from noise.
    """
    arguments = locals()
    watch = Stopwatch()
    request = Request(**arguments)
    with workers_of_launch() as workers:
        if isinstance(workers, MultiProcess) and not workers.is_main:
            return work_for_curation(request, workers)
        prepared = prepare(request, workers)
        with prepared.ledger() as ledger_of_run:
            game = prepared.game(ledger_of_run)
            estimate = value(game, prepared.estimator, prepared.chance.for_values, prepared.budget, require_signal)
        valued = _valued(prepared, estimate, ledger_of_run.in_order(game.asked))
        recipe = make_recipe(prepared, game, watch.seconds)
        curated = CuratedDataset.of(choose_rows(valued, recipe, prepared.sampler, prepared.chance.for_rows))
        workers.end(to_workers(curated))
    say(summary(curated))
    return curated


def plan(dataset: Any, size: int | float = 0.1, *, pilot: int = 0, **arguments: Any) -> Plan:
    """What `curate` with the same arguments would take, before it is paid for: players, fine-tunings, tokens, FLOPs,
    time and memory, and what more budget would buy.

    v(∅) and two small fine-tunings are timed. ``pilot`` fine-tunings more, at least 8, let the reliability of the
    values be foretold; with ``ledger`` all of them are kept for the run itself. Raises what `curate` raises, and
    `TypeError` for an argument that it has not.
    """
    defaults = {name: default for name, default in (curate.__kwdefaults__ or {}).items() if name not in arguments}
    request = Request(dataset=dataset, size=size, **arguments, **defaults)
    with workers_of_launch() as workers:
        if isinstance(workers, MultiProcess) and not workers.is_main:
            return work_for_plan(request, workers)
        prepared = prepare(request, workers)
        with prepared.ledger() as ledger:
            found = planned(prepared, prepared.game(ledger), pilot)
        workers.end(found)
    return found


def _valued(prepared: PreparedCuration, estimate: ValueEstimate, ledger: Ledger) -> ValuedPool:
    pool, candidates = prepared.problem.pool, prepared.candidates
    terms, excerpts = wording(pool, prepared.nearest, prepared.players.proxies)
    return ValuedPool(
        pool_rows=candidates.rows,
        digests=pool.digests[candidates.rows],
        clustering=prepared.clustering,
        players=prepared.players,
        estimate=estimate,
        ledger=ledger,
        sketch=embedding_map_of(candidates.rows, candidates.embeddings, prepared.chance.for_sketch),
        terms=terms,
        excerpts=excerpts,
        format=pool.format,
        encoder=candidates.encoder,
        source=prepared.problem.source.select(candidates.rows),
        merit=prepared.merit.of_rows(prepared.chance.for_merit),
    )
