"""`shed-hf demo`: curates a small damaged pool, then fine-tunes on the selection and on random rows, and compares."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusterers import KMeans
from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.curate import curate
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.choice import choose_model, rows_of
from shed_hf.demo.settings import COMPARISONS, SHARE
from shed_hf.sampling.samplers import QWCS
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.console import Stopwatch, say

if TYPE_CHECKING:
    from shed_hf.finetuning.fine_tune import FineTune


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What the demo measured.

    Attributes:
        model: The model's name.
        damages: The kinds of damage, one topic each.
        damaged_share_before: Share of damaged rows in the pool.
        damaged_share_after: Share of damaged rows in the selection.
        heldout_loss_curated: Mean loss in nats a token on the test rows after fine-tuning on the selection.
        heldout_loss_random: The same after fine-tuning on random rows.
        heldout_loss_curated_sd: Its standard deviation over orders of training.
        heldout_loss_random_sd: Its standard deviation over draws.
        heldout_loss_untuned: The loss without fine-tuning.
        auc_damaged_last: How well the values rank damaged clusters last; see `auc`.
        n_fine_tunings: Fine-tunings that the curation made.
        seconds: How long all of it took.
        curated: The curation.
        damaged: The damage of each row of the pool; empty for none.
        topics: The topic of each row of the pool.
    """

    model: str
    damages: tuple[str, ...]
    damaged_share_before: float
    damaged_share_after: float
    heldout_loss_curated: float
    heldout_loss_random: float
    heldout_loss_curated_sd: float
    heldout_loss_random_sd: float
    heldout_loss_untuned: float
    auc_damaged_last: float
    n_fine_tunings: int
    seconds: float
    curated: CuratedDataset = field(repr=False)
    damaged: Sequence[str] = field(repr=False)
    topics: Sequence[str] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The figures, without the dataset."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.repr}


def run(model: str = "auto", seed: int = 0) -> DemoResult:
    """Curates the demo's pool and compares the selection with random rows.

    Args:
        model: ``"smollm2"``, ``"small"`` for the model that ships with the package, or ``"auto"``: SmolLM2-135M where
            it can be had and the demo takes at most 90 s with it on this machine.
        seed: Which topics are damaged, and every other draw.

    Returns:
        The figures and the curation.
    """
    from datasets import Dataset

    watch = Stopwatch()
    chosen = choose_model(model, seed)
    setting, tuner = chosen.setting, chosen.tuner
    rows, dev, test = rows_of(setting, seed)
    say(
        f"model: {setting.name}; {len(rows)} rows of {len(demo_pool.topics(rows))} topics, damaged: "
        f"{', '.join(setting.damages)}"
    )
    pool = Dataset.from_list(rows)
    curated = curate(
        pool,
        SHARE,
        eval_dataset=Dataset.from_list(dev),
        embedder="lexical",
        clusterer=KMeans(setting.n_clusters),
        proxies_per_cluster=setting.proxies,
        utility=tuner,
        estimator=setting.estimator,
        sampler=QWCS(sharpness=3),
        merit=setting.merit,
        budget=setting.budget,
        seed=seed,
    )
    say(
        f"comparing with random rows: {2 * COMPARISONS} fine-tunings on {len(curated)} rows, {len(test)} items held "
        "out until now"
    )
    tuned, random, untuned = _compare(tuner, pool, Dataset.from_list(test), curated.rows, seed)
    hurt = [row["damage"] for row in rows]
    return DemoResult(
        model=setting.name,
        damages=setting.damages,
        damaged_share_before=_share(hurt, curated.pool_rows),
        damaged_share_after=_share(hurt, curated.rows),
        heldout_loss_curated=float(tuned.mean()),
        heldout_loss_random=float(random.mean()),
        heldout_loss_curated_sd=float(tuned.std(ddof=1)),
        heldout_loss_random_sd=float(random.std(ddof=1)),
        heldout_loss_untuned=untuned,
        auc_damaged_last=auc(curated, hurt),
        n_fine_tunings=curated.recipe["bill"]["fine_tunings"],
        seconds=round(watch.seconds, 1),
        curated=curated,
        damaged=hurt,
        topics=[row["topic"] for row in rows],
    )


def damaged_in(curated: CuratedDataset, damaged: Sequence[str]) -> list[float]:
    """The share of damaged rows in each cluster.

    Args:
        curated: A curation of the demo's pool.
        damaged: The damage of each row of the pool; empty for none.

    Returns:
        One share per cluster.
    """
    labels = curated.clustering.labels
    return [_share(damaged, curated.pool_rows[labels == cluster]) for cluster in range(curated.clustering.n_clusters)]


def auc(curated: CuratedDataset, damaged: Sequence[str]) -> float:
    """How well the values rank clusters that are mostly damaged last.

    Args:
        curated: A curation of the demo's pool.
        damaged: The damage of each row of the pool; empty for none.

    Returns:
        The area under the ROC curve: 1 is perfect, 0.5 is chance, NaN without both kinds of clusters.
    """
    bad = np.array(damaged_in(curated, damaged)) > 0.5
    values = np.array([np.nan if value is None else value for value in curated.clusters["value"]])[: len(bad)]
    bad, values = bad[~np.isnan(values)], values[~np.isnan(values)]
    if bad.all() or not bad.any():
        return float("nan")
    higher = values[~bad][:, None] > values[bad][None]
    level = values[~bad][:, None] == values[bad][None]
    return float((higher + 0.5 * level).mean())


def _compare(
    tuner: "FineTune", pool: Any, test: Any, rows: IntVector, seed: int
) -> tuple[FloatVector, FloatVector, float]:
    """Held-out loss after tuning on the curated rows in several orders, on random rows, and without tuning."""
    items = read_pool(test)
    rng = np.random.default_rng([seed, 1])
    utility = tuner.bind(read_pool(pool), items.examples(np.arange(len(items))), int(rng.integers(2**31)))
    kept = [rng.permutation(rows) for _ in range(COMPARISONS)]
    chance = [rng.choice(len(pool), size=len(rows), replace=False) for _ in range(COMPARISONS)]
    losses = -utility([np.empty(0, np.int64), *kept, *chance]).mean(axis=1)
    return losses[1 : 1 + COMPARISONS], losses[1 + COMPARISONS :], float(losses[0])


def _share(damaged: Sequence[str], rows: IntVector) -> float:
    return float(np.mean([bool(damaged[row]) for row in rows])) if len(rows) else float("nan")
