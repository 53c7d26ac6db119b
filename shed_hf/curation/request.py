"""The arguments of one call of `curate` as a record."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shed_hf.clustering.clusterers import Given
from shed_hf.config.recipe_file import WrittenSettings
from shed_hf.curation.loaded_pool import LoadedPool
from shed_hf.curation.race import Race
from shed_hf.curation.trackers import tracker_names
from shed_hf.data.loading import load_source
from shed_hf.data.splits import check_split
from shed_hf.data.spooling import if_stream
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.evaluation.constraints import Constraints, tolerances_from
from shed_hf.evaluation.item_groups import Grouped
from shed_hf.evaluation.objectives import Objective
from shed_hf.game.utility import TrainableUtility, Utility
from shed_hf.sampling.registry import AnySampler
from shed_hf.utils.checks import check_flag, check_whole

if TYPE_CHECKING:
    from shed_hf.finetuning.fine_tune import FineTune


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """The arguments of `curate`, which documents them in full; `shed_hf.config` has their defaults.

    Attributes:
        dataset: The rows to choose from.
        size: How many rows to keep: a number, a share, a percentage, or ``"auto"``.
        eval_dataset: What models are evaluated on; None to hold rows out.
        test_dataset: What the chosen rows are compared with random ones on; None for no comparison.
        model: The model to fine-tune; None for the default.
        embedder: What makes vectors of rows.
        clusterer: What makes clusters of vectors.
        features: What the model makes of a row, to cluster by; None for nothing.
        proxies_per_cluster: How many rows stand for a cluster; None for all.
        proxy_sets: How many disjoint sets of proxies a cluster sends.
        utility: What measures sets of rows.
        method: How it is decided what is kept.
        objective: The outcome on an item; None for the default.
        constraints: How far groups of evaluation items may be expected to fall, by column; None for any distance.
        warmup: How many rows to train on before the game.
        estimator: What values the players; None to play no game.
        budget: The most fine-tunings or time; None for the estimator's own.
        require_signal: Whether values that can't be told from noise raise.
        require_better: Whether rows that are not shown to be better than random ones raise.
        sampler: What draws rows from valued clusters, or chooses rows by what is known of each.
        merit: Which rows of a cluster are taken first.
        seed: The seed of every random draw.
        ledger: Where outcomes are written and resumed from; None for memory.
        split: The split to curate.
        columns: The dataset's column for each part of a row; None where names are known.
        eval_columns: The same for ``eval_dataset``; None where ``columns`` holds for both.
        drop_invalid: Whether unreadable rows are left out.
        report_to: Trackers that values are logged to; None for none.
        tuning: How the model is fine-tuned, by the names of settings; what is not named is as `FineTune` has it.
        written: What of the call can be written down, to be noted beside the ledger; None to note nothing.
        lines: What errors about settings that stand in a file begin with, by name; see `WrittenSettings.places`.
        rows: The rows, where they were read before; None to read them.
    """

    dataset: Any
    size: int | float | str
    eval_dataset: Any
    test_dataset: Any
    model: Any
    embedder: Any
    clusterer: Any
    features: Any
    proxies_per_cluster: int | None
    proxy_sets: int
    utility: "str | FineTune | Utility | TrainableUtility"
    method: "str | Race"
    objective: str | Objective | Grouped | None
    constraints: Constraints | None
    warmup: int
    estimator: str | Estimator | None
    budget: int | str | None
    require_signal: bool
    require_better: bool
    sampler: str | AnySampler | Given
    merit: Any
    seed: int
    ledger: str | os.PathLike[str] | None
    split: str | None
    columns: Mapping[str, str | None] | None
    eval_columns: Mapping[str, str | None] | None
    drop_invalid: bool
    report_to: str | Sequence[str] | None = None
    tuning: Mapping[str, Any] = field(default_factory=dict)
    written: WrittenSettings | None = None
    lines: Mapping[str, str] = field(default_factory=dict)
    rows: LoadedPool | None = None

    def __post_init__(self) -> None:
        """Checks those arguments that no later part checks.

        Raises:
            InputError: Naming the first that cannot be used.
        """
        check_flag(require_signal=self.require_signal, require_better=self.require_better)
        check_flag(drop_invalid=self.drop_invalid)
        tracker_names(self.report_to)
        check_whole(proxy_sets=self.proxy_sets)
        tolerances_from(self.constraints)
        if self.proxies_per_cluster is not None:
            check_whole(proxies_per_cluster=self.proxies_per_cluster, otherwise="None for all members")
        check_split(self.split)
        _check_columns("columns", self.columns)
        _check_columns("eval_columns", self.eval_columns)
        if self.ledger is not None and not isinstance(self.ledger, str | os.PathLike):
            raise InputError(f'ledger={self.ledger!r} is not a path; pass one, such as "run.ledger"')

    def with_items_loaded(self) -> "Request":
        """The same with test rows, and evaluation rows that are a stream, as datasets: they are used more than once.

        Returns:
            The request.

        Raises:
            InputError: For what can't be loaded.
            HubError: For a gated dataset, and where the Hub can't be reached and the cache lacks it.
        """
        test = self.test_dataset
        return replace(
            self,
            eval_dataset=if_stream(self.eval_dataset, "eval_dataset"),
            test_dataset=None if test is None else load_source(test, name="test_dataset"),
        )

    def plain_arguments(self) -> dict[str, Any]:
        """The arguments that are numbers, words or None, for comparing ranks.

        Returns:
            Arguments by name, without the ledger's path and trackers, which may differ among ranks.
        """
        left_out = ("ledger", "report_to", "written", "rows")
        plain = {name: value for name, value in vars(self).items() if name not in left_out}
        plain["constraints"] = str(tolerances_from(self.constraints))
        plain["tuning"] = str(sorted(self.tuning.items()))
        return {name: value for name, value in plain.items() if value is None or isinstance(value, int | float | str)}


def _check_columns(name: str, columns: object) -> None:
    if columns is None:
        return
    if not isinstance(columns, Mapping):
        raise InputError(
            f"{name}={columns!r:.100} is a {type(columns).__name__}; pass a dict from the parts of a row to columns, "
            'as in columns={"instruction": "query"}'
        )
    for part, column in columns.items():
        if not isinstance(part, str) or not isinstance(column, str | None):
            raise InputError(f"{name}={{{part!r}: {column!r}}} does not map a part of a row, by its name, to a column")
