"""Which model the demo takes: SmolLM2 where it can be had and is fast enough here, else the small one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.data.pool import read_pool
from shed_hf.demo import models, settings
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.pace import Work, pace_of
from shed_hf.demo.settings import DAMAGES, SHORT_TEMPLATE, SMOLLM2, Setting
from shed_hf.errors import InputError
from shed_hf.estimators.base import Cost
from shed_hf.estimators.row_spread import CheckedOnHalves
from shed_hf.game.execution import Precision
from shed_hf.game.ledger_header import recorded_header
from shed_hf.utils.console import duration, say

if TYPE_CHECKING:
    from shed_hf.finetuning.fine_tune import FineTune

MOST_SECONDS = 90.0
"""How long the demo may take with SmolLM2, where the choice of the model is left to it."""


FLOPS_WITH_SMOLLM2 = 4.3e13
"""What the demo computes in SmolLM2's layers: four operations for every parameter and token trained, two for each read,
with about 79,000 tokens trained and 45,000 read.
"""


TIMED_ROWS, OVERHEAD = 8, 5.0
"""Rows that are timed, and the seconds of everything that is no fine-tuning."""


@dataclass(frozen=True)
class Chosen:
    """A model to run the demo with.

    Attributes:
        setting: How the demo curates with it.
        tuner: What fine-tunes it.
        curate_with: The arguments with which `curate` uses the model on this machine, and needs no more than the demo
            found there.
        seconds: How long the whole demo takes on this machine, judged by v(∅) and a few rows.
    """

    setting: Setting
    tuner: "FineTune"
    curate_with: Mapping[str, str]
    seconds: float


def choose_model(model: str, seed: int, ledger: Path | None = None) -> Chosen:
    """The model to take, after saying which and why.

    Args:
        model: ``"smollm2"``, ``"small"`` or ``"auto"``, as in `shed_hf.demo.run.run`.
        seed: The seed of the demo.
        ledger: Where the demo's ledger is or will be. Where a run was begun there, ``"auto"`` is that run's model, and
            the precision is that run's. None for a new run.

    Returns:
        The model with its setting.

    Raises:
        InputError: Where SmolLM2 was asked for and can't be had.
    """
    header = None if ledger is None or not ledger.is_file() else recorded_header(ledger)
    if model == "auto":
        model = _begun_with(header) or model
    if model == "small":
        return _small(seed)
    precision = models.faster_precision() if header is None else models.recorded_precision(header)
    least = FLOPS_WITH_SMOLLM2 / (1e9 * _most_speed(precision))
    if model == "auto" and least > MOST_SECONDS:
        return _small(
            seed, _too_long(f"with SmolLM2-135M in {precision} the demo would take at least {duration(least)}")
        )
    try:
        found = models.locate_smollm2()
    except InputError as error:
        if model == "smollm2":
            raise
        return _small(seed, str(error))
    say(f"{SMOLLM2.name} from {found.origin}, in {precision}")
    tuner = tuner_of(SMOLLM2, found.folder, precision.name)
    seconds = expected_seconds(SMOLLM2, tuner, seed)
    if model == "auto" and seconds > MOST_SECONDS:
        return _small(seed, _too_long(f"with it the demo would take about {duration(seconds)}"))
    return Chosen(SMOLLM2, tuner, found.curate_with, seconds)


def _begun_with(header: Mapping[str, Any] | None) -> str | None:
    """The model that a ledger's run of the demo had; None for other runs."""
    name = "" if header is None else str(header.get("model"))
    if Path(name).parts[-3:] == models.SMALL_MODEL.parts[-3:]:
        return "small"
    return "smollm2" if SMOLLM2.name in name else None


def _most_speed(precision: Precision) -> float:
    """GFLOP/s that are not exceeded: all threads at the speed of one; infinite where nothing was measured."""
    import torch

    on_cpu = torch.accelerator.current_accelerator(check_available=True) is None
    threads = torch.get_num_threads() if on_cpu else 1
    return threads * max(precision.speeds.values(), default=math.inf)


def _too_long(expected: str) -> str:
    return f"{expected}, and {MOST_SECONDS:.0f} s are allowed (--model smollm2 takes it all the same)"


def _small(seed: int, why: str = "") -> Chosen:
    setting = settings.SMALL
    if why:
        say(f"{why}; using {setting.name}")
    tuner = tuner_of(setting, models.SMALL_MODEL, "float32")
    seconds = expected_seconds(setting, tuner, seed)
    return Chosen(setting, tuner, {"model": "small", "embedder": "lexical"}, seconds)


def cost_of_valuing(setting: Setting) -> Cost:
    """What valuing the clusters takes at most.

    Args:
        setting: How the demo curates.

    Returns:
        The fine-tunings, and the players trained on in them.
    """
    return CheckedOnHalves(setting.estimator).cost(setting.n_clusters, setting.budget)


def expected_seconds(setting: Setting, tuner: "FineTune", seed: int) -> float:
    """How long the demo would take, judged by v(∅) and a few rows.

    Args:
        setting: How it curates.
        tuner: What fine-tunes its model.
        seed: The seed of the demo.

    Returns:
        Seconds.
    """
    from datasets import Dataset

    rows, dev, test = demo_rows(setting, seed)
    pool, items = read_pool(Dataset.from_list(rows)), read_pool(Dataset.from_list(dev))
    utility = tuner.bind(pool, items.examples(np.arange(len(items))), 0)
    few = np.random.default_rng(seed).choice(len(rows), TIMED_ROWS, replace=False)
    cost = cost_of_valuing(setting)
    compared = setting.tunings + setting.draws
    work = Work(
        rows_trained=setting.epochs * (cost.players_trained * setting.proxies + compared * setting.share * len(rows)),
        items_read=(cost.fine_tunings + 1) * len(dev) + (compared + 1) * len(test),
    )
    tokens_per_row = utility.n_tokens(np.arange(len(rows))) / len(rows)
    return OVERHEAD + pace_of(utility, few, len(dev)).seconds(work, tokens_per_row)


def demo_rows(setting: Setting, seed: int) -> tuple[list[demo_pool.Row], list[demo_pool.Row], list[demo_pool.Row]]:
    """The pool with its damage, the rows to value on, and those for the comparison.

    Args:
        setting: How many of each.
        seed: Which topics are damaged.

    Returns:
        The three lists.
    """
    pool, dev, test = (demo_pool.as_json(demo_pool.rows(split)) for split in ("pool", "dev", "test"))
    dev, test = demo_pool.spread(dev, setting.n_items), demo_pool.spread(test, setting.n_test)
    return demo_pool.damaged(pool, DAMAGES, seed), dev, test


def tuner_of(setting: Setting, folder: Path, precision: str) -> "FineTune":
    """What fine-tunes one of the demo's models.

    Args:
        setting: The demo's setting for it.
        folder: Where the model is.
        precision: What to load it in, a name of torch or ``"stored"`` for that of its files.

    Returns:
        The tuner, with the model loaded.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from shed_hf.finetuning.fine_tune import FineTune
    from shed_hf.finetuning.trainer_settings import default_args, default_peft_config

    peft_config = default_peft_config()
    peft_config.target_modules = setting.targets if isinstance(setting.targets, str) else set(setting.targets)
    args = default_args()
    args.learning_rate, args.per_device_train_batch_size = setting.learning_rate, setting.batch_size
    args.num_train_epochs = setting.epochs
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if setting is SMOLLM2:
        tokenizer.chat_template = SHORT_TEMPLATE
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto" if precision == "stored" else precision)
    return FineTune(model, "loss", tokenizer, args, peft_config)
