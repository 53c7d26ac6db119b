"""How large a run of the paper's scripts is: from two cores and minutes to the authors' own settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from peft import LoraConfig
from trl import SFTConfig

import shed_hf
from shed_hf.demo.models import SMALL_MODEL

SEED = 0


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    Attributes:
        model: The model that is tuned.
        embedder: What embeds rows.
        files: The files of ``--data``: pools, and the questions to choose and to test by.
        pool: How many rows of a pool are used, None for all.
        longest: The longest instruction rows that are used, in characters; None for any length.
        sizes: How many rows are chosen, ascending; the last but one is the size that methods are compared at.
        clusters: Into how many clusters a pool is divided.
        proxies: How many rows stand for a cluster.
        estimator: What values clusters.
        budget: The most fine-tunings of a game; None for the estimator's own number.
        items: How many questions rows are chosen by; None for all.
        tests: How many questions of each task tuned models are measured on; None for all.
        shots: How many worked examples stand before a question of MMLU.
        seeds: How many times every choice is tuned on.
        objective: What clusters are valued by.
        args: Settings of training.
        adapter: Settings of the adapter; none for the default's.
    """

    model: str
    embedder: str
    files: Mapping[str, str]
    pool: int | None
    longest: int | None
    sizes: tuple[int, ...]
    clusters: int
    proxies: int
    estimator: Any
    budget: int | None
    items: int | None
    tests: int | None
    shots: int
    seeds: int
    objective: Any
    args: Mapping[str, Any] = field(default_factory=dict)
    adapter: Mapping[str, Any] = field(default_factory=dict)

    def tuner(self, model: Any = None) -> shed_hf.FineTune:
        """What tunes, with another model in place of the scale's.

        Args:
            model: The other model.
        """
        args = SFTConfig(bf16=False, activation_checkpointing=False, lr_scheduler_type="constant", **self.args)
        adapter = LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", **self.adapter)
        return shed_hf.FineTune(model or self.model, args=args, peft_config=adapter)

    def game(self) -> dict[str, Any]:
        """The arguments of `curate` that decide how clusters are valued."""
        return {
            "utility": self.tuner(),
            "embedder": self.embedder,
            "clusterer": shed_hf.KMeans(self.clusters),
            "proxies_per_cluster": self.proxies,
            "estimator": self.estimator,
            "budget": self.budget,
            "objective": self.objective,
            "merit": None,
            "seed": SEED,
        }

    def described(self) -> dict[str, Any]:
        """The settings as plain JSON."""
        plain = {one.name: getattr(self, one.name) for one in fields(self)}
        return json.loads(json.dumps({**plain, "model": Path(self.model).name}, default=repr))


_FILES = {
    "mmlu pool": "mmlu_validation.jsonl",
    "instruction pool": "alpaca_gpt4_demo1k.jsonl",
    "hand-made": "selfinstruct_seed175.jsonl",
    "mmlu dev": "mmlu_dev.jsonl",
    "mmlu test": "mmlu_test.jsonl",
    "arc test": "arc_challenge_test.jsonl",
    "mt-bench": "mtbench_questions.jsonl",
}

SCALES = {
    "smoke": Scale(  # two cores, five minutes a script: the model that ships with the demo, which knows little
        model=str(SMALL_MODEL), embedder="lexical",
        files=_FILES, pool=300, longest=400, sizes=(15, 30, 60), clusters=6, proxies=4,
        estimator="least-squares", budget=14, items=57, tests=57, shots=0, seeds=2, objective="macro",
        args={"learning_rate": 3e-3, "per_device_train_batch_size": 8, "num_train_epochs": 1, "max_length": 448},
        adapter={"r": 8, "lora_alpha": 16},
    ),
    "gpu": Scale(  # one GPU, an hour or two a script
        model="HuggingFaceTB/SmolLM2-135M", embedder="sentence-transformers/all-MiniLM-L6-v2",
        files=_FILES, pool=None, longest=None,
        sizes=(50, 100, 200, 400), clusters=24, proxies=6, estimator="least-squares", budget=64, items=None, tests=1140,
        shots=0, seeds=5, objective="macro",
        args={"learning_rate": 1e-3, "per_device_train_batch_size": 8, "num_train_epochs": 1, "max_length": 1024},
        adapter={"r": 8, "lora_alpha": 16},
    ),
    "paper": Scale(  # the authors' published scripts: a 7B model, 3,000 players, ten times 50 fine-tunings
        model="huggyllama/llama-7b", embedder="sentence-transformers/all-MiniLM-L6-v2",
        files=_FILES | {"mmlu pool": "mmlu_auxiliary_train.jsonl", "instruction pool": "wizardlm.jsonl",
                        "hand-made": "lima.jsonl"},
        pool=None, longest=None, sizes=(1000, 4000, 7000, 10000, 13000), clusters=3000, proxies=1,
        estimator=shed_hf.Shed(iterations=10, group_size=60), budget=None, items=None, tests=None, shots=0, seeds=3,
        objective=shed_hf.Macro("subject", "accuracy"),
        args={"learning_rate": 3e-4, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 16,
              "num_train_epochs": 3, "max_length": 1024, "warmup_steps": 0.04},
        adapter={"r": 128, "lora_alpha": 256, "lora_dropout": 0.1},
    ),
}  # fmt: skip
