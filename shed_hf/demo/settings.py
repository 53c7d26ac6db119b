"""How the demo curates with each of its models."""

from dataclasses import dataclass

from shed_hf.estimators import Estimator, LeastSquares


@dataclass(frozen=True)
class Setting:
    """How the demo curates with one of its models.

    Attributes:
        name: The model's name for messages.
        n_clusters: How many clusters the pool is divided into.
        proxies: How many rows stand for a cluster.
        estimator: The estimator of the values.
        learning_rate: The learning rate of every fine-tuning.
        batch_size: Rows in a training step.
        n_items: Rows to value on.
        n_test: Rows for the comparison at the end.
        share: The share of the rows to keep.
        sampler: What chooses rows, as in `curate`.
        merit: How rows of a cluster are ranked, as in `curate`.
        targets: The modules that get a LoRA adapter.
        budget: The most fine-tunings of the game; None for the estimator's own number.
        epochs: How often a fine-tuning goes over its rows.
        tunings: How often the kept rows are tuned on for the comparison: one tuning is partly luck.
        draws: On how many random subsets: one subset is partly luck as well.
    """

    name: str
    n_clusters: int
    proxies: int
    estimator: Estimator
    learning_rate: float
    batch_size: int
    n_items: int
    n_test: int
    share: float
    sampler: str
    merit: str | None = "auto"
    targets: str | tuple[str, ...] = "all-linear"
    budget: int | None = None
    epochs: int = 1
    tunings: int = 5
    draws: int = 10


SMOLLM2 = Setting(
    name="SmolLM2-135M-Instruct",
    n_clusters=9,
    proxies=3,
    estimator=LeastSquares(n_coalitions=14),
    learning_rate=4e-3,
    batch_size=4,
    n_items=15,
    n_test=27,
    share=0.2,
    sampler="qocs",
    merit=None,
    targets=("q_proj", "v_proj"),
    budget=15,
)


SMALL = Setting(
    name="the small model shipped with shed_hf",
    n_clusters=9,
    proxies=4,
    estimator=LeastSquares(n_coalitions=30),
    learning_rate=3e-3,
    batch_size=8,
    n_items=36,
    n_test=54,
    share=0.3,
    sampler="qocs",
    merit=None,
    budget=30,
    tunings=4,
)


DAMAGES = ("capitals", "capitals", "boilerplate", "boilerplate", "plain text")
"""The damages of the pool, one topic each."""


# SmolLM2's own template puts a system prompt of 20 tokens before every row; without it a row takes half the time.
SHORT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' "
    "}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
