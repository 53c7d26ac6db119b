"""shed_hf: find the part of an instruction dataset worth fine-tuning on, by Shapley values of clusters.

Names are loaded when first used, so that ``import shed_hf`` is instant and needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shed_hf.callbacks import ProxyValueCallback
    from shed_hf.clustering import HDBSCAN, Agglomerative, Clustering, Given, KMeans
    from shed_hf.curated import CuratedDataset
    from shed_hf.curation import curate, plan
    from shed_hf.embedding import Lexical, SentenceTransformerEncoder
    from shed_hf.errors import Diverged, HubError, InputError, LedgerError, NoSignal, ShedError
    from shed_hf.estimators import (
        BanzhafMSR,
        Exact,
        InRun,
        LeastSquares,
        Permutation,
        RegressionAdjusted,
        Shed,
        ValueEstimate,
    )
    from shed_hf.features import Features
    from shed_hf.game import Game
    from shed_hf.grouping import Macro, WorstGroup
    from shed_hf.ledger import Ledger, read_ledger
    from shed_hf.objectives import Accuracy, Choice, Contrast, Loss, Metric
    from shed_hf.planning import Plan
    from shed_hf.samplers import QOCS, QWCS, Random
    from shed_hf.scoring import ClusterScorer
    from shed_hf.utilities.evaluation import Evaluation
    from shed_hf.utilities.fine_tune import FineTune, TrainerUtility

_HOMES = {
    "callbacks": ("ProxyValueCallback",),
    "clustering": ("Agglomerative", "Clustering", "Given", "HDBSCAN", "KMeans"),
    "curated": ("CuratedDataset",),
    "curation": ("curate", "plan"),
    "embedding": ("Lexical", "SentenceTransformerEncoder"),
    "errors": ("Diverged", "HubError", "InputError", "LedgerError", "NoSignal", "ShedError"),
    "estimators": (
        "BanzhafMSR",
        "Exact",
        "InRun",
        "LeastSquares",
        "Permutation",
        "RegressionAdjusted",
        "Shed",
        "ValueEstimate",
    ),
    "features": ("Features",),
    "game": ("Game",),
    "grouping": ("Macro", "WorstGroup"),
    "ledger": ("Ledger", "read_ledger"),
    "objectives": ("Accuracy", "Choice", "Contrast", "Loss", "Metric"),
    "planning": ("Plan",),
    "samplers": ("QOCS", "QWCS", "Random"),
    "scoring": ("ClusterScorer",),
    "utilities.evaluation": ("Evaluation",),
    "utilities.fine_tune": ("FineTune", "TrainerUtility"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "HDBSCAN",
    "QOCS",
    "QWCS",
    "Accuracy",
    "Agglomerative",
    "BanzhafMSR",
    "Choice",
    "ClusterScorer",
    "Clustering",
    "Contrast",
    "CuratedDataset",
    "Diverged",
    "Evaluation",
    "Exact",
    "Features",
    "FineTune",
    "Game",
    "Given",
    "HubError",
    "InRun",
    "InputError",
    "KMeans",
    "LeastSquares",
    "Ledger",
    "LedgerError",
    "Lexical",
    "Loss",
    "Macro",
    "Metric",
    "NoSignal",
    "Permutation",
    "Plan",
    "ProxyValueCallback",
    "Random",
    "RegressionAdjusted",
    "SentenceTransformerEncoder",
    "Shed",
    "ShedError",
    "TrainerUtility",
    "ValueEstimate",
    "WorstGroup",
    "curate",
    "plan",
    "read_ledger",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'shed_hf' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"shed_hf.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
