"""`curate`: the whole of SHED, top to bottom; `plan`: what it would cost. The only file that knows every seam."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from shed_hf.assembly import assembled
from shed_hf.clustering import Clusterer
from shed_hf.crew import Ranks
from shed_hf.curated import CuratedDataset
from shed_hf.distributed import crew_of_launch
from shed_hf.embedding import DEFAULT_EMBEDDER, Encoder
from shed_hf.estimators import Estimator, ValueEstimate
from shed_hf.features import Features
from shed_hf.following import follow_curation, follow_plan, to_followers
from shed_hf.game import Utility, WalkUtility
from shed_hf.grouping import Grouped
from shed_hf.ledger import Ledger
from shed_hf.objectives import Objective
from shed_hf.planning import Plan, planned
from shed_hf.preparation import Prepared, Request, prepare
from shed_hf.recipe import make_recipe
from shed_hf.report import Stopwatch, say
from shed_hf.samplers import Sampler
from shed_hf.sketch import sketch_of
from shed_hf.summary import summary
from shed_hf.terms import wording
from shed_hf.valuation import value
from shed_hf.valued import Valued

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from shed_hf.utilities.fine_tune import FineTune


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
    utility: "str | FineTune | Utility | WalkUtility" = "fine-tune",
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
    with crew_of_launch() as crew:
        if isinstance(crew, Ranks) and not crew.leads:
            return follow_curation(request, crew)
        prepared = prepare(request, crew)
        with prepared.ledger() as ledger_of_run:
            game = prepared.game(ledger_of_run)
            estimate = value(game, prepared.estimator, prepared.chance.for_values, budget, require_signal)
        valued = _valued(prepared, estimate, ledger_of_run.in_order(game.asked))
        recipe = make_recipe(prepared, game, watch.seconds)
        curated = assembled(valued, recipe, prepared.sampler, prepared.chance.for_rows)
        crew.end(to_followers(curated))
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
    with crew_of_launch() as crew:
        if isinstance(crew, Ranks) and not crew.leads:
            return follow_plan(request, crew)
        prepared = prepare(request, crew)
        with prepared.ledger() as ledger:
            found = planned(prepared, prepared.game(ledger), pilot)
        crew.end(found)
    return found


def _valued(prepared: Prepared, estimate: ValueEstimate, ledger: Ledger) -> Valued:
    pool, admitted = prepared.bound.pool, prepared.admitted
    terms, excerpts = wording(pool, prepared.nearest, prepared.players.proxies)
    return Valued(
        pool_rows=admitted.rows,
        digests=pool.digests[admitted.rows],
        clustering=prepared.clustering,
        players=prepared.players,
        estimate=estimate,
        ledger=ledger,
        sketch=sketch_of(admitted.rows, admitted.embeddings, prepared.chance.for_sketch),
        terms=terms,
        excerpts=excerpts,
        format=pool.format,
        encoder=admitted.encoder,
        source=prepared.bound.source.select(admitted.rows),
        merit=prepared.merit.of_rows(prepared.chance.for_merit),
    )
