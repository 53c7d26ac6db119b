"""`VerifiableCuration`: a result that can be compared with random rows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shed_hf.results.curation import Curation
from shed_hf.results.verdict import Verdict
from shed_hf.utils.quiet import only_own_output
from shed_hf.verification.request import VerdictRequest
from shed_hf.verification.verify import verify

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from shed_hf.finetuning.fine_tune import FineTune
    from shed_hf.game.utility import TrainableUtility, Utility


@dataclass(frozen=True, eq=False)
class VerifiableCuration(Curation):
    """A `Curation` that can be compared with random rows, with no tuning, and with all rows."""

    @only_own_output()
    def verify(
        self,
        test_dataset: Any = None,
        *,
        seeds: int = 5,
        draws: int | None = None,
        utility: "FineTune | Utility | TrainableUtility | None" = None,
        model: "str | PreTrainedModel | None" = None,
        source: Any = None,
        full: bool | Literal["auto"] = "auto",
        eval_dataset: Any = None,
        columns: Mapping[str, str | None] | None = None,
        drop_invalid: bool = False,
        seed: int | None = None,
        ledger: str | os.PathLike[str] | None = None,
        ways_tried: int = 1,
    ) -> Verdict:
        """Whether tuning on these rows is better than on random ones, than none and than on all, on unseen test items.

        The model is tuned on the chosen rows in ``seeds`` training orders, and on random subsets of the same number of
        rows, each in an order of its own, always from the same initial weights. Test items that repeat rows of the
        pool, evaluation items or one another are left out. The verdict stays with the result: its summary, its card and
        its folder have it. Every rank of a launch calls this.

        Args:
            test_dataset: Rows that had no part in any choice, of the kinds that `curate` takes; at least 16 for a
                verdict. Where rows were chosen by groups of evaluation items (``"macro"``, ``"worst-group"``), they are
                judged by the groups in the same column of these; pass them beside a callable as well then, in the
                order in which it measures them. None for any other utility that brings its own test items.
            seeds: How many times the chosen rows are tuned on, at least 2; 5 by default.
            draws: How many random subsets are tuned on, at least 2; by default as many as ``seeds``.
            utility: What tunes and measures: ``FineTune(…)``, or a callable from a list of arrays of row numbers of
                the source to outcomes on test items ``(m, n_items)``; by default that of the curation.
            model: Another model to tune; by default that of the curation.
            source: The dataset that was curated, as in `resample`.
            full: Whether all candidate rows are tuned on once as well; ``"auto"``, the default, where that takes no
                more rows than all other tunings together.
            eval_dataset: The evaluation items that decided the choice, to leave out test items that repeat them; needed
                only for a result that was read from a folder or the Hub. Items that were held out are found again in
                the source, those of a dataset of the Hub on it. Others than those of the recipe are an error.
            columns: The test set's column for each part of a row, as in `curate`.
            drop_invalid: Whether test rows that cannot be read are left out; by default the first is an error.
            seed: The seed of draws and training orders; by default that of the curation.
            ledger: A path, where every outcome is written the moment it is measured; the same call resumes from it.
            ways_tried: Among how many choices this one was picked by their outcomes on these test items; intervals
                are widened by it.

        Returns:
            The verdict; its ``claim`` says it in words.

        Raises:
            InputError: For what cannot be used.
            LedgerError: For a ledger of another run, or one that cannot be written.
            Diverged: When training ends in outcomes that are not finite.
        """
        arguments = {name: value for name, value in locals().items() if name != "self"}
        verdict = verify(self, VerdictRequest(**arguments))
        self.recipe["verdict"] = verdict.as_json()
        return verdict
