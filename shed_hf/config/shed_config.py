"""`ShedConfig`: everything about a curation that can be written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from shed_hf.config.kinds import (
    BUDGET,
    COLUMNS,
    DATASET,
    FEATURES,
    FLAG,
    NAMES,
    NOT_NEGATIVE,
    PART,
    PATH,
    POSITIVE,
    SEED,
    SETTINGS,
    SHARE,
    SIZE,
    TEXT,
    TOLERANCES,
    WHOLE,
    WHOLE_OR_ZERO,
)
from shed_hf.config.recipe_file import as_yaml
from shed_hf.config.setting import Panel, Setting, check_settings, setting, settings_of

Part: TypeAlias = str | Mapping[str, Any]
"""An implementation by its short name, or as a recipe writes it: its class as ``name``, and its fields."""

Place: TypeAlias = str | Mapping[str, str]
"""A dataset: a Hub id, a folder or a file, or a mapping with ``path``, ``name``, ``split`` and ``revision``."""


WAYS_TO_CHOOSE = (
    "By clusters: qocs, qwcs, random. By single rows: row-values, retrieval, rds, credit-coverage, extrapolated, dsir, "
    "dataset-quantization, longest, ifd, full."
)
"""The short names of samplers and row selectors, for help."""

DATA: Panel = "Data"
WHAT_TO_KEEP: Panel = "What to keep"
COST: Panel = "Cost"
METHOD: Panel = "Method"
TUNING: Panel = "Model and fine-tuning"
PUBLISH: Panel = "Publish"


@dataclass(frozen=True, kw_only=True)
class ShedConfig:
    """What `curate` does, as plain values: ``shed_hf.curate(dataset, args=ShedConfig(size=0.1))``.

    The same names are keywords of `curate`, keys of a recipe file and, with dashes, options of ``shed-hf``. Where
    `curate` also takes objects, that is said below; they are passed as keywords, beside ``args`` or without it.

    Attributes:
        dataset: The rows: a Hub id, an address such as ``hf://datasets/user/pool/data/*.parquet``, a folder, or a
            ``.jsonl``, ``.json``, ``.csv`` or ``.parquet`` file; or a mapping with ``path``, ``name``, ``split`` and
            ``revision``, as `datasets.load_dataset` names them. `curate` also takes a `Dataset`, a `DatasetDict` with
            ``split``, a stream (`IterableDataset`), a list of dicts and a pandas frame.
        split: The split of ``dataset`` to curate, needed where it has several.
        columns: The dataset's column for each part of a row whose name differs, as in ``{"instruction": "query",
            "system": "persona"}``; None for a part or a column that is not to be read, as in ``{"images": None}``. By
            default the names are those of the known formats. Answers of multiple-choice rows that can be understood
            in two ways are settled here: ``{"answer_from_1": "label"}``, ``{"answer_text": "answer"}``.
        eval_dataset: What models are evaluated on, of the same kinds as ``dataset``. By default a tenth of the rows (8
            to 256) is held out and never chosen; a callable ``utility`` needs none.
        eval_columns: The same for ``eval_dataset`` alone; by default ``columns`` is used for both where it fits.
        test_dataset: Rows of the same kinds that have no part in the choice. At the end the chosen rows are compared
            with random ones on them, where that takes less than a fifth of the game: see `CuratedDataset.verify`. None
            by default: no comparison.
        drop_invalid: Whether rows are left out that cannot be read or that the model's chat template refuses, Parquet
            files that are broken or have other columns than most, and what follows where a stream breaks off; by
            default the first one is named in an error.
        size: How many rows to keep: a number, a share in (0, 1], or a percentage such as ``"10%"``. ``"auto"``, the
            default, is a tenth, or, with the samplers ``Full()`` and ``Given(rows)``, as many as they take.
        sampler: What chooses rows. ``"auto"``, the default, goes by the model that is fine-tuned, on at most 20,000
            rows: ``"credit-coverage"`` where outcomes compare the options of evaluation items, as ``"choice"`` and
            ``"accuracy"`` do, else ``"rds"``, and of more rows ``"extrapolated"``. Where ``merit``, ``constraints`` or
            a race ask for clusters, for callable utilities, and where options are compared among more rows, it is
            ``"qocs"``; without a game and a model ``"retrieval"``.
            ``"row-values"`` weighs signals of single rows, and clusters, by what the game shows of them; where it shows
            nothing, it is ``"credit-coverage"``. From valued clusters draw ``"qocs"`` (the best clusters first, none
            filling more than a quarter, or 2 / clusters where there are fewer than eight), ``"qwcs"`` (at random,
            clusters of higher value more often), ``"random"``, or a sampler such as ``QOCS(most=0.5)``. Single rows,
            whatever the clusters are worth, choose ``"retrieval"``, ``"rds"`` (retrieval by the hidden states of the
            model that is fine-tuned), ``"extrapolated"`` (for large pools: the same states of a sample of rows, learned
            for the others from embeddings), ``"credit-coverage"``, ``"dsir"``, ``"dataset-quantization"``,
            ``"longest"``, ``"ifd"``, ``"full"``, a selector such as ``Retrieval(by="mean")``, or ``Given(rows)``;
            the game then only says what the clusters are worth.
        merit: Which rows of a cluster are taken first: ``"credit"`` (what the row did for the evaluation in one
            training run over all rows), ``"learned-credit"`` (the same of 4,000 rows, learned for the others from
            embeddings), ``"ifd"``, ``"loss"``, or None for random ones; `curate` also takes a number
            for every row. ``"auto"``, the default, is credit where the utility gives it, there are at most 20,000 rows
            and the sampler takes rows from clusters, else None.
        constraints: Columns of the evaluation rows, or of ``dataset`` where rows of it are held out, that name each
            item's group, to how far a group's mean outcome may be expected to fall below that of the untuned model, as
            in ``{"subject": 0.01}``, in units of the outcome; ``"0.01:random"``, or ``Tolerance(0.01,
            against="random")``, for below that of random rows. The rows are then those of the largest mean for which no
            group is expected to fall further (`shed_hf.results.group_outcomes` says how that is expected). Only with
            ``sampler="qocs"``. None by default.
        require_signal: Whether values that can't be told from noise raise `NoSignal`; by default there is a warning.
        require_better: Whether rows that are not shown to be better than random ones on ``test_dataset`` raise
            `NotBetter`; the comparison is then made whatever it takes. Where it can't be made, since all rows are kept
            or there is no ``test_dataset`` of at least 16 items that are new, `InputError` comes before anything is
            measured.
        budget: The most fine-tunings to spend, or the time that measuring may take, as in ``"30min"`` or ``"4h"``; by
            default the estimator's own number. A race has its own: ``Race(budget=…)``.
        n_coalitions: How many sets of clusters ``estimator="least-squares"``, ``"hierarchical"`` or ``"banzhaf"``
            measures, each a fine-tuning; by default as many as the number of clusters needs. ``budget`` is a limit,
            this is a number.
        proxies_per_cluster: How many rows stand for a cluster in one set of proxies: 4 by default, None for all of
            them; the paper has 1.
        proxy_sets: How many disjoint sets of proxies a cluster sends, a player each: 1 by default. Where they disagree,
            the cluster is called mixed.
        warmup: How many rows outside the game the model is trained on before it begins; none by default.
        ledger: A path, where every outcome is written the moment it is measured; the same call resumes from it, and
            ``shed-hf resume`` repeats the call. By default outcomes stay in memory, and are saved to a file if the run
            is stopped. A ledger of an earlier version goes on with the clusters and the default sampler of then.
        report_to: ``"tensorboard"``, ``"trackio"`` or ``"wandb"``, or several: what values, reliability and noise are
            logged to while they are measured. None by default: nothing.
        method: ``"shapley"``, the default: ``sampler`` decides what is kept. ``"race"``, or ``Race(…)``: subsets by
            ``sampler``, by the selectors of single rows and random ones are tuned on and measured on one half of the
            evaluation items by successive halving; the best is kept where it is better than random rows, else random
            rows. The other half of the items gives the verdict. It takes four fine-tunings on ``size`` rows for every
            candidate, beside those of the game, and at least 16 evaluation items; see `Race`.
        embedder: The name of a sentence-transformers model, by default ``sentence-transformers/all-MiniLM-L6-v2``, or
            ``"lexical"`` (TF-IDF, downloads nothing). `curate` also takes an object with ``.encode(texts)`` and a
            matrix ``(n_rows, d)``.
        clusterer: ``"kmeans"``, the default, ``"agglomerative"``, ``"hdbscan"``, or the name of a column of labels.
            `curate` also takes a clusterer such as ``KMeans(12)`` or ``KMeans()``, which makes the paper's 3·√n, and a
            label for every row.
        n_clusters: How many clusters ``clusterer="kmeans"`` or ``"agglomerative"`` makes; by default one for about 20
            rows, at least 4, at most 64, and no more than the budget can tell apart; four times as many for
            ``estimator="hierarchical"``.
        features: What the model makes of a row, to cluster by beside its embedding: ``"loss"``, ``"ifd"`` (how much the
            prompt lowers the completion's loss), ``"length"``, several of them, or `Features`. None by default.
        estimator: ``"least-squares"``, the default, ``"hierarchical"`` (many small clusters, valued in groups that are
            split where that may change the choice), ``"regression-adjusted"``, ``"banzhaf"``, ``"in-run"``,
            ``"permutation"``, ``"exact"``, ``"shed"`` (the paper's), or an estimator such as
            ``Permutation(n_orders=20)``. None to play no game, where ``sampler`` chooses rows by itself: clusters then
            have no values, and the cost is the sampler's.
        objective: The outcome of a fine-tuned model on an item: ``"loss"``, ``"choice"``, ``"accuracy"``,
            ``"normalised-accuracy"``, ``"contrast"``; ``"macro"`` or ``"worst-group"`` over groups of items; or, in
            `curate`, ``Metric(…)``, ``Judged(…)``, ``Macro(column, objective)`` or a callable. By default ``"choice"``
            where items have options, else ``"loss"``; ``"accuracy"`` of an item without options is 1 only where greedy
            decoding gives its whole completion, which it hardly does for long ones. Only with ``utility="fine-tune"``.
        seed: A whole number, the seed of every random draw; 0 by default.
        model: The causal language model to fine-tune: a Hub id, a path, or ``"small"`` for the one that ships with the
            package; ``HuggingFaceTB/SmolLM2-135M-Instruct`` by default. `curate` also takes a loaded model. This and
            what follows go with ``utility="fine-tune"``; what is None is as `FineTune` has it. They are fields of TRL's
            `SFTConfig` and of peft's `LoraConfig` under the names that TRL's scripts give them.
        precision: What the weights are loaded in: ``"float32"``, ``"bfloat16"``, ``"stored"`` for what the model's
            files have, or ``"auto"``, the default: the faster of the first two on this device.
        learning_rate: The learning rate; None for 3e-3 for models of up to 200 million parameters, 1e-3 for larger.
        num_train_epochs: How often the rows of a coalition are gone through; a whole number.
        lr_scheduler_type: How the learning rate changes, as transformers names it.
        warmup_steps: Over how many steps the learning rate rises.
        weight_decay: The weight decay.
        max_grad_norm: The norm that gradients are clipped to.
        optim: The optimiser, as transformers names it.
        per_device_train_batch_size: How many rows go through the model at once.
        gradient_accumulation_steps: How many such batches make a step.
        gradient_checkpointing: Whether activations are computed again in the backward pass, to save memory.
        max_length: How many tokens of a row are read.
        lora_r: The rank of the adapter.
        lora_alpha: The scale of the adapter.
        lora_dropout: The dropout of the adapter.
        lora_target_modules: Which layers have an adapter.
        sft_config: Any other field of `trl.SFTConfig`, by name.
        lora_config: Any other field of `peft.LoraConfig`, by name.
        coalitions_per_batch: How many coalitions a device trains at once; by default as many as a GPU has room for.

    Raises:
        InputError: For a value of another kind, naming the field.
    """

    dataset: Place | None = setting(
        None, DATA, DATASET, "A Hub id, an hf:// address, a folder, or a .jsonl, .json, .csv or .parquet file."
    )
    split: str | None = setting(None, DATA, TEXT, "The split to curate.")
    columns: Mapping[str, str | None] | None = setting(
        None, DATA, COLUMNS, "Where a part of a row is, as in instruction=query; once for each part."
    )
    eval_dataset: Place | None = setting(
        None, DATA, DATASET, "What to evaluate on, like DATASET; by default rows are held out."
    )
    eval_columns: Mapping[str, str | None] | None = setting(
        None, DATA, COLUMNS, "The same as --columns for --eval-dataset alone."
    )
    test_dataset: Place | None = setting(
        None, DATA, DATASET, "What the kept rows are compared with random ones on, like DATASET."
    )
    drop_invalid: bool = setting(False, DATA, FLAG, "Leave unreadable rows and files out.")
    size: int | float | str = setting(
        "auto", WHAT_TO_KEEP, SIZE, "How much to keep: a number of rows (500) or a share (0.1, 10%); auto is a tenth."
    )
    sampler: Part = setting(
        "auto",
        WHAT_TO_KEEP,
        PART,
        f"{WAYS_TO_CHOOSE} auto: rds, or credit-coverage where options are compared; of more than 20,000 rows "
        "extrapolated, or qocs; without a model qocs, without a game and a model retrieval.",
    )
    merit: str | None = setting(
        "auto",
        WHAT_TO_KEEP,
        TEXT,
        "Which rows of a cluster come first: auto, credit, learned-credit, ifd, loss; none for random ones.",
        none="none",
    )
    constraints: Mapping[str, float | str] | None = setting(
        None,
        WHAT_TO_KEEP,
        TOLERANCES,
        "How far groups of evaluation items may fall: subject=0.01 (below untuned) or subject=0.01:random (below "
        "random rows); once for each column.",
    )
    require_signal: bool = setting(False, WHAT_TO_KEEP, FLAG, "Fail where the values can't be told from noise.")
    require_better: bool = setting(False, WHAT_TO_KEEP, FLAG, "Fail where the rows are not shown to beat random ones.")
    budget: int | str | None = setting(None, COST, BUDGET, "The most fine-tunings to spend (200), or the time (4h).")
    n_coalitions: int | None = setting(None, COST, WHOLE, "How many sets of clusters are measured, each a fine-tuning.")
    proxies_per_cluster: int | None = setting(4, COST, WHOLE, "Rows that stand for a cluster, or all.", none="all")
    proxy_sets: int = setting(1, COST, WHOLE, "Disjoint sets of such rows, to tell mixed clusters.")
    warmup: int = setting(0, COST, WHOLE_OR_ZERO, "Rows outside the game to train on beforehand.")
    ledger: str | None = setting(None, COST, PATH, "Where outcomes are written, and resumed from.")
    report_to: str | Sequence[str] | None = setting(
        None,
        COST,
        NAMES,
        "What values are logged to: tensorboard, trackio, wandb; once for each.",
    )
    method: Part = setting(
        "shapley",
        METHOD,
        PART,
        "shapley: the sampler decides. race: subsets by all selectors and random rows are tuned and measured, and the "
        "best is kept.",
    )
    embedder: Part = setting(
        "sentence-transformers/all-MiniLM-L6-v2",
        METHOD,
        PART,
        "A sentence-transformers model, or lexical, which downloads nothing.",
    )
    clusterer: Part = setting("kmeans", METHOD, PART, "kmeans, agglomerative, hdbscan or a column's name.")
    n_clusters: int | None = setting(None, METHOD, WHOLE, "How many clusters kmeans or agglomerative makes.")
    features: Part | Sequence[str] | None = setting(
        None, METHOD, FEATURES, "What the model makes of a row, to cluster by: loss, ifd, length; once for each."
    )
    estimator: Part | None = setting(
        "least-squares",
        METHOD,
        PART,
        "What values clusters: least-squares, hierarchical, regression-adjusted, banzhaf, in-run, permutation, exact, "
        "shed; none for no game.",
        none="none",
    )
    objective: Part | None = setting(
        None,
        METHOD,
        PART,
        "What is measured: loss, choice, accuracy, normalised-accuracy, contrast, macro or worst-group.",
    )
    seed: int = setting(0, METHOD, SEED, "The seed of every draw.")
    model: str | None = setting(
        None, TUNING, TEXT, "The model to fine-tune: a Hub id, a path, or small, which ships with shed-hf."
    )
    precision: str = setting(
        "auto", TUNING, TEXT, "auto, float32, bfloat16, or stored for what the model's files have."
    )
    learning_rate: float | None = setting(None, TUNING, POSITIVE, "The learning rate.")
    num_train_epochs: int | None = setting(None, TUNING, WHOLE, "How often rows are gone through; 1 by default.")
    lr_scheduler_type: str | None = setting(None, TUNING, TEXT, "How the learning rate changes; constant by default.")
    warmup_steps: int | None = setting(
        None, TUNING, WHOLE_OR_ZERO, "Over how many steps the learning rate rises; 0 by default."
    )
    weight_decay: float | None = setting(None, TUNING, NOT_NEGATIVE, "The weight decay; 0 by default.")
    max_grad_norm: float | None = setting(
        None, TUNING, NOT_NEGATIVE, "The norm that gradients are clipped to; 1 by default."
    )
    optim: str | None = setting(None, TUNING, TEXT, "The optimiser, such as adamw_torch.")
    per_device_train_batch_size: int | None = setting(
        None, TUNING, WHOLE, "Rows that go through the model at once; 8 by default."
    )
    gradient_accumulation_steps: int | None = setting(None, TUNING, WHOLE, "Such batches in a step; 1 by default.")
    gradient_checkpointing: bool | None = setting(
        None, TUNING, FLAG, "Compute activations again in the backward pass, to save memory."
    )
    max_length: int | None = setting(None, TUNING, WHOLE, "Tokens of a row that are read; 512 by default.")
    lora_r: int | None = setting(None, TUNING, WHOLE, "The rank of the adapter; 8 by default.")
    lora_alpha: int | None = setting(None, TUNING, WHOLE, "The scale of the adapter; 16 by default.")
    lora_dropout: float | None = setting(None, TUNING, SHARE, "The dropout of the adapter; 0 by default.")
    lora_target_modules: str | Sequence[str] | None = setting(
        None, TUNING, NAMES, "Layers with an adapter, once for each; all-linear by default."
    )
    sft_config: Mapping[str, Any] | None = setting(
        None, TUNING, SETTINGS, "Any other field of trl.SFTConfig, as in adam_beta2=0.95; once for each."
    )
    lora_config: Mapping[str, Any] | None = setting(
        None, TUNING, SETTINGS, "Any other field of peft.LoraConfig, as in use_rslora=true; once for each."
    )
    coalitions_per_batch: int | None = setting(None, TUNING, WHOLE, "Coalitions that a device trains at once.")

    def __post_init__(self) -> None:
        check_settings(self)

    def given(self) -> dict[str, Any]:
        """The settings that differ from their defaults, by name."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        }

    def to_yaml(self) -> str:
        """The text of a recipe file with the settings that differ from their defaults."""
        return as_yaml(self.given(), {})


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where the shell keeps a result: keys of a recipe file, and options, beside those of `ShedConfig`.

    Attributes:
        output: The folder to save the result to.
        push_to_hub: The repository to publish it in, as ``namespace/name``.
        private: Whether a new repository is private; by default unless the source is public.
    """

    output: str | None = setting(None, PUBLISH, PATH, "The folder to save the result to.")
    push_to_hub: str | None = setting(None, PUBLISH, TEXT, "The repository to publish the result in.")
    private: bool | None = setting(
        None, PUBLISH, FLAG, "Whether a new repository is private; by default unless the source is public."
    )

    def __post_init__(self) -> None:
        check_settings(self)


SETTINGS_BY_NAME: Mapping[str, Setting] = settings_of(ShedConfig)
"""What `curate` can be told in writing."""

DESTINATIONS: Mapping[str, Setting] = settings_of(Destination)
"""What the shell can be told beside that."""

TUNING_NAMES = frozenset(name for name, known in SETTINGS_BY_NAME.items() if known.panel == TUNING and name != "model")
"""How `curate` fine-tunes, beside which model: what `FineTune` is made with."""
