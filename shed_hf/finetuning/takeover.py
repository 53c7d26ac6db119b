"""A trainer made to go through a schedule of coalitions, and given back its own settings afterwards."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import Trainer

from shed_hf.data.tokenization import IGNORED
from shed_hf.finetuning.schedule import NULL_LENGTH, NULL_ROW, Schedule
from shed_hf.finetuning.training_arguments import WHILE_MEASURING


class Takeover:
    """From its making until `undo`, ``trainer.train()`` goes through the schedule, and does nothing else.

    Args:
        trainer: The trainer.
        rows: The features of a row by its id.
        schedule: The steps and batches to go through.
        accumulation: How many micro-batches a step has.
    """

    def __init__(self, trainer: Trainer, rows: Any, schedule: Schedule, accumulation: int) -> None:
        loader: DataLoader[dict[str, Any]] = DataLoader(
            _WithNullRow(rows), batch_sampler=_FixedBatches(schedule.batches), collate_fn=trainer.data_collator
        )
        changes = {"max_steps": len(schedule.steps), "gradient_accumulation_steps": accumulation, **WHILE_MEASURING}
        self._trainer = trainer
        self._settings = {name: getattr(trainer.args, name) for name in changes}
        self._loader = vars(trainer).get("get_train_dataloader")
        trainer.get_train_dataloader = lambda: loader
        for name, value in changes.items():
            setattr(trainer.args, name, value)

    def undo(self) -> None:
        """Give the trainer back its arguments, its data loader and its learning rates."""
        trainer = self._trainer
        for name, value in self._settings.items():
            setattr(trainer.args, name, value)
        vars(trainer).pop("get_train_dataloader", None)
        if self._loader is not None:
            trainer.get_train_dataloader = self._loader
        for group in [] if trainer.optimizer is None else trainer.optimizer.param_groups:
            group["lr"] = group.get("initial_lr", group["lr"])


class _FixedBatches(Sampler[list[int]]):
    """Batches that are known beforehand."""

    def __init__(self, batches: Sequence[tuple[int, ...]]) -> None:
        self.batches = [list(batch) for batch in batches]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


class _WithNullRow(Dataset[dict[str, Any]]):
    """Features by row id, where the null row is two tokens that are not learned: a batch without a gradient."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __getitem__(self, row: int) -> dict[str, Any]:
        if row == NULL_ROW:
            return {"input_ids": [0] * NULL_LENGTH, "labels": [IGNORED] * NULL_LENGTH}
        features = self.rows[row]
        return {name: features[name] for name in ("input_ids", "labels") if name in features}
