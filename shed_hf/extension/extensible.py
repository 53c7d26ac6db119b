"""`ExtensibleCuration`: a curation that can be measured further."""

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from shed_hf.clustering.clusterers import Given
from shed_hf.extension.transfer import TransferRequest, transfer
from shed_hf.extension.update import update
from shed_hf.extension.update_request import UpdateRequest
from shed_hf.game.utility import TrainableUtility, Utility
from shed_hf.results.curation import Curation
from shed_hf.results.transfer import Transfer, transfers_of
from shed_hf.sampling.registry import AnySampler
from shed_hf.utils.quiet import only_own_output

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from shed_hf.finetuning.fine_tune import FineTune


@dataclass(frozen=True, eq=False, repr=False)
class ExtensibleCuration(Curation):
    """A `Curation` whose ranking can be compared with another model's, and whose pool can grow."""

    @classmethod
    def of(cls, curation: Curation) -> Self:
        """The same record with its verbs.

        Args:
            curation: The record.

        Returns:
            One of this class with the same parts.
        """
        return cls(**{part.name: getattr(curation, part.name) for part in fields(Curation)})

    @only_own_output()
    def transfer(
        self,
        *,
        model: "str | PreTrainedModel | None" = None,
        utility: "FineTune | Utility | TrainableUtility | None" = None,
        budget: int = 16,
        seed: int | None = None,
        ledger: str | os.PathLike[str] | None = None,
        eval_dataset: Any = None,
        source: Any = None,
    ) -> Transfer:
        """Whether the ranking of the clusters holds for another model, seed or setting.

        Some of the coalitions that were measured are measured again, and the values that both explain are compared:
        their rank correlation, and how many of the chosen rows would also be chosen. The result remembers the answer,
        which its summary, its card and whoever loads it see. Among several ranks every rank makes the call.

        Args:
            model: Another model to fine-tune in the same way: a Hub id, a path or a loaded model.
            utility: What measures instead, as `curate` takes it, such as ``FineTune(other, args=…)`` for another
                learning rate. Without ``model`` and ``utility`` the same fine-tuning is measured with another seed.
            budget: The most fine-tunings, at least 8; 16 by default.
            seed: The seed of the training orders; by default one more than the curation's, so that both measurements
                have luck of their own.
            ledger: A path such as that of the curation's ledger; outcomes are written beside it, to
                ``<ledger>.transfer-<model>-<digest>``, and the same call resumes from there. By default they stay in
                memory.
            eval_dataset: The evaluation items as `curate` took them. Needed only where they are not at hand, as after
                `load_from_disk`, and were neither held out nor taken from the Hub.
            source: The dataset that was curated, as in `resample`.

        Returns:
            The answer with its interval; printed, it is a summary in words.

        Raises:
            InputError: For what can't be used, such as a model that can't be had or whose chat template refuses rows.
            LedgerError: For a ledger that can't be written.
            Diverged: When training ends in outcomes that are not finite.
        """
        return transfer(self, TransferRequest(model, utility, budget, seed, ledger, eval_dataset, source))

    @only_own_output()
    def update(
        self,
        new_rows: Any,
        budget: int = 20,
        *,
        size: int | float | str | None = None,
        sampler: str | AnySampler | Given | None = None,
        merit: str | None = "auto",
        utility: "FineTune | Utility | TrainableUtility | None" = None,
        ledger: str | os.PathLike[str] | None = None,
        eval_dataset: Any = None,
        source: Any = None,
        drop_invalid: bool = False,
    ) -> Self:
        """The pool has grown: what was measured is kept, and only what is new or uncertain is measured.

        Rows are known by content: those that the pool has already are left out, a row that was changed is a new one.
        A new row joins the nearest cluster where it lies no farther out than 95 % of that cluster's members; the others
        found new clusters, as does every new value where clusters were made of a column. Old clusters keep their
        proxies, and new ones send proxies of their own, so that coalitions measured before are coalitions of the grown
        game. The budget goes to those that say most beyond them. Among several ranks every rank makes the call.

        Args:
            new_rows: The rows to add, or the whole dataset with them, as `curate` takes a dataset: in the format of the
                curated rows. They are numbered after those of the source.
            budget: The most fine-tunings of coalitions, at least 3; 20 by default. A training run over all rows comes
                on top where rows are chosen by credit (``CreditCoverage``), and one where rows
                within clusters are ordered by it.
            size: How many rows to keep, as in `resample`; by default as many as before.
            sampler: How rows are drawn from the clusters; by default as before.
            merit: ``"auto"``, the default, orders the rows within clusters as before; None at random.
            utility: What measures; by default what the curation was measured with, in memory or made again from the
                recipe. A callable has to measure the new rows too.
            ledger: A path, where the outcomes kept and every new one are written; the same call resumes from it. By
                default they stay in memory, and are saved to a file if the run is stopped.
            eval_dataset: The evaluation items as `curate` took them, where they are not at hand; see `transfer`.
            source: The dataset that was curated, as in `resample`.
            drop_invalid: Whether new rows are left out that can't be read; by default the first is named in an error.

        Returns:
            A new result, of the grown pool; this one stays as it is.

        Raises:
            InputError: For what can't be used: rows of another format, none that is new, another model or other
                evaluation items than were measured with.
            LedgerError: For a ledger of another run, or one that can't be written.
            Diverged: When training ends in outcomes that are not finite.
        """
        arguments = (new_rows, budget, size, sampler, merit, utility, ledger, eval_dataset, source, drop_invalid)
        return self.of(update(self, UpdateRequest(*arguments)))

    @property
    def transfers(self) -> list[Transfer]:
        """What `transfer` found, first to last."""
        return transfers_of(self.recipe)
