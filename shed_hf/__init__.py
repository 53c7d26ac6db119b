"""Find the part of an instruction dataset worth fine-tuning on, by Shapley values of clusters.

Start with these; ``help(shed_hf.curate)`` has all arguments::

    plan(dataset, size)              what a curation would cost here, before anything is paid for
    curate(dataset, size)            keeps the rows worth fine-tuning on: a `CuratedDataset`
    CuratedDataset                   the rows as `.dataset`; also `verify`, `report`, `resample`, `reestimate`,
                                     `transfer`, `update`, `save_to_disk`, `push_to_hub`, `load_from_disk`, `from_hub`
    compare(dataset, ...)            ways to choose rows, the same tuning for each
    FineTune(model, ...)             how models are tuned, as `utility` of `curate`
    ShedConfig(...)                  all arguments of `curate` as one object, or read from a recipe file

Names are loaded when first used, so that ``import shed_hf`` is fast and does not load torch.

How the code is laid out; a folder imports only from itself and from lines above its own::

    errors, types, utils/        exceptions, array types; printing, text, names, random streams
    distributed/                 the ranks of a launch, and accelerate's state
    data/                        row formats, pools, loading, provenance, tokenization, evaluation items
    embedding/, clustering/      encoders, decontamination; clusterers, topic terms
    game/, evaluation/           players, coalitions, utility, ledger; objectives and how they are measured
    estimators/, sampling/       values of players, error bars, budgets; samplers, selectors and order of rows
    finetuning/, testing         FineTune, batched coalitions, credits of rows; games with known Shapley values
    results/, config/            the record of a curation; what can be said about one, and what a record says
    storage/, hub/, report/      its folder; its repository and card; its report
    verification/                whether the chosen rows are better than random ones
    extension/                   a finished curation goes on: transfer to another model, growth of the pool
    cluster_scorer, curated_dataset    the two public classes: a record, and what can be done with it
    curation/                    curate and plan
    datatrove/                   steps for pools that outgrow one machine
    comparison/                  compare: ways to choose rows, tuned on alike
    demo/, cli/                  the demo; the shell
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shed_hf.utils.logs import set_up

if TYPE_CHECKING:
    from shed_hf.cluster_scorer import ClusterScorer
    from shed_hf.clustering.clusterers import HDBSCAN, Agglomerative, Given, KMeans
    from shed_hf.clustering.clusters import Clustering
    from shed_hf.comparison.compare import compare
    from shed_hf.comparison.comparison import Comparison
    from shed_hf.config.shed_config import ShedConfig
    from shed_hf.curated_dataset import CuratedDataset
    from shed_hf.curation.curate import curate, plan
    from shed_hf.curation.plan import Plan
    from shed_hf.curation.race import Race
    from shed_hf.data.tasks import arc, mmlu
    from shed_hf.embedding.encoders import Lexical, SentenceTransformerEncoder
    from shed_hf.embedding.row_features import Features
    from shed_hf.errors import (
        Diverged,
        HubError,
        InputError,
        LedgerError,
        NoSignal,
        NotBetter,
        RankError,
        ShedError,
        ShedWarning,
    )
    from shed_hf.estimators import (
        BanzhafMSR,
        Exact,
        Hierarchical,
        InRun,
        LeastSquares,
        Permutation,
        RegressionAdjusted,
        Shed,
        ValueEstimate,
    )
    from shed_hf.evaluation.constraints import Tolerance
    from shed_hf.evaluation.evaluator import Evaluation
    from shed_hf.evaluation.item_groups import Macro, WorstGroup
    from shed_hf.evaluation.judging import Judged
    from shed_hf.evaluation.metrics import Metric
    from shed_hf.evaluation.objectives import Accuracy, Choice, Contrast, Loss, NormalisedAccuracy
    from shed_hf.finetuning.callback import ProxyValueCallback
    from shed_hf.finetuning.fine_tune import FineTune
    from shed_hf.finetuning.trainer_utility import TrainerUtility
    from shed_hf.game.game import Game
    from shed_hf.game.ledger import Ledger, read_ledger
    from shed_hf.results.race import RaceResult
    from shed_hf.results.transfer import Transfer
    from shed_hf.results.verdict import Verdict
    from shed_hf.sampling.dataset_quantization import DatasetQuantization
    from shed_hf.sampling.dsir import DSIR
    from shed_hf.sampling.extrapolated import Extrapolated
    from shed_hf.sampling.retrieval import CreditCoverage, Retrieval
    from shed_hf.sampling.row_values import RowValues
    from shed_hf.sampling.samplers import QOCS, QWCS, Random
    from shed_hf.sampling.selectors import IFD, Full, Longest
    from shed_hf.utils.named import Named

set_up()

_HOMES = {
    "clustering.clusterers": ("Agglomerative", "Given", "HDBSCAN", "KMeans"),
    "clustering.clusters": ("Clustering",),
    "comparison.compare": ("compare",),
    "comparison.comparison": ("Comparison",),
    "config.shed_config": ("ShedConfig",),
    "curation.curate": ("curate", "plan"),
    "curation.plan": ("Plan",),
    "data.tasks": ("arc", "mmlu"),
    "curation.race": ("Race",),
    "embedding.encoders": ("Lexical", "SentenceTransformerEncoder"),
    "embedding.row_features": ("Features",),
    "errors": (
        "Diverged",
        "HubError",
        "InputError",
        "LedgerError",
        "NoSignal",
        "NotBetter",
        "RankError",
        "ShedError",
        "ShedWarning",
    ),
    "estimators": (
        "BanzhafMSR",
        "Exact",
        "Hierarchical",
        "InRun",
        "LeastSquares",
        "Permutation",
        "RegressionAdjusted",
        "Shed",
        "ValueEstimate",
    ),
    "evaluation.constraints": ("Tolerance",),
    "evaluation.evaluator": ("Evaluation",),
    "evaluation.item_groups": ("Macro", "WorstGroup"),
    "evaluation.judging": ("Judged",),
    "evaluation.metrics": ("Metric",),
    "evaluation.objectives": ("Accuracy", "Choice", "Contrast", "Loss", "NormalisedAccuracy"),
    "finetuning.callback": ("ProxyValueCallback",),
    "finetuning.fine_tune": ("FineTune",),
    "finetuning.trainer_utility": ("TrainerUtility",),
    "game.game": ("Game",),
    "game.ledger": ("Ledger", "read_ledger"),
    "results.race": ("RaceResult",),
    "cluster_scorer": ("ClusterScorer",),
    "curated_dataset": ("CuratedDataset",),
    "results.transfer": ("Transfer",),
    "results.verdict": ("Verdict",),
    "sampling.dataset_quantization": ("DatasetQuantization",),
    "sampling.dsir": ("DSIR",),
    "sampling.extrapolated": ("Extrapolated",),
    "sampling.retrieval": ("CreditCoverage", "Retrieval"),
    "sampling.row_values": ("RowValues",),
    "sampling.samplers": ("QOCS", "QWCS", "Random"),
    "sampling.selectors": ("IFD", "Full", "Longest"),
    "utils.named": ("Named",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "DSIR",
    "HDBSCAN",
    "IFD",
    "QOCS",
    "QWCS",
    "Accuracy",
    "Agglomerative",
    "BanzhafMSR",
    "Choice",
    "ClusterScorer",
    "Clustering",
    "Comparison",
    "Contrast",
    "CreditCoverage",
    "CuratedDataset",
    "DatasetQuantization",
    "Diverged",
    "Evaluation",
    "Exact",
    "Extrapolated",
    "Features",
    "FineTune",
    "Full",
    "Game",
    "Given",
    "Hierarchical",
    "HubError",
    "InRun",
    "InputError",
    "Judged",
    "KMeans",
    "LeastSquares",
    "Ledger",
    "LedgerError",
    "Lexical",
    "Longest",
    "Loss",
    "Macro",
    "Metric",
    "Named",
    "NoSignal",
    "NormalisedAccuracy",
    "NotBetter",
    "Permutation",
    "Plan",
    "ProxyValueCallback",
    "Race",
    "RaceResult",
    "Random",
    "RankError",
    "RegressionAdjusted",
    "Retrieval",
    "RowValues",
    "SentenceTransformerEncoder",
    "Shed",
    "ShedConfig",
    "ShedError",
    "ShedWarning",
    "Tolerance",
    "TrainerUtility",
    "Transfer",
    "ValueEstimate",
    "Verdict",
    "WorstGroup",
    "arc",
    "compare",
    "curate",
    "mmlu",
    "plan",
    "read_ledger",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("shed-hf")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'shed_hf' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"shed_hf.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
