"""TODO."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shed_hf.estimators import Estimator
from shed_hf.evaluation.item_groups import Grouped
from shed_hf.evaluation.objectives import Objective
from shed_hf.game.utility import TrainableUtility, Utility
from shed_hf.sampling.samplers import Sampler

if TYPE_CHECKING:
    from shed_hf.finetuning.fine_tune import FineTune


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """The arguments of `curate`, which has their documentation and their defaults."""

    dataset: Any
    size: int | float
    eval_dataset: Any
    model: Any
    embedder: Any
    clusterer: Any
    features: Any
    proxies_per_cluster: int | None
    proxy_sets: int
    utility: "str | FineTune | Utility | TrainableUtility"
    objective: str | Objective | Grouped | None
    warmup: int
    estimator: str | Estimator
    budget: int | str | None
    require_signal: bool
    sampler: str | Sampler
    merit: Any
    seed: int
    ledger: str | os.PathLike[str] | None
    split: str | None
    columns: Mapping[str, str] | None
    drop_invalid: bool

    def plain_arguments(self) -> dict[str, Any]:
        """Those arguments that are numbers, words or None, by name; the ledger's path may differ among ranks."""
        plain = {name: value for name, value in vars(self).items() if name != "ledger"}
        return {name: value for name, value in plain.items() if value is None or isinstance(value, int | float | str)}
