"""An `SFTTrainer` that computes its loss only where tokens are learned, and reads nothing back from the device."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl import SFTTrainer

from shed_hf.data.tokenization import IGNORED
from shed_hf.finetuning.schedule import NULL_LENGTH

LOGITS_AT_MOST = 2**28
"""On a device, of how many logits a loss keeps what its gradient needs: 3 to 4 GB."""


class LearnedTokensSFTTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped here
    """Takes the loss from the model's own logits at the learned tokens instead of TRL's fused head.

    The fused head works in float32, computes logits again in the backward pass and entropies on the side: on a CPU
    that was four tenths of a step of SmolLM2-135M in bfloat16. On a GPU it also waits for the device five times a
    step, to log what nobody reads. Here everything that has to be known of a batch is found while it is on the host.
    For any other loss and where logits would take gigabytes the trainer is TRL's.
    """

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean negative log-likelihood over the learned tokens of the step.

        Args:
            model: The model, as the trainer wraps it.
            inputs: The batch, with ``learned`` positions where this trainer takes the loss.
            return_outputs: Whether to return the model's outputs too.
            num_items_in_batch: How many tokens the whole step learns; None for those of this batch.

        Returns:
            The loss in nats a token, with the outputs where asked for.
        """
        learned = inputs.pop("learned", None)
        if return_outputs or learned is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs["labels"][:, 1:][:, learned]
        features = {name: inputs[name] for name in ("input_ids", "attention_mask") if name in inputs}
        logits = model(**features, use_cache=False, logits_to_keep=learned).logits.float()  # (B, len(learned), V)
        total = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
        tokens = (labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        together = self.args.average_tokens_across_devices and num_items_in_batch is not None
        ranks = self.accelerator.num_processes if together else 1  # whose gradients are averaged, and tokens summed
        return ranks * total / torch.as_tensor(tokens).clamp(min=1)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro-batch's part of a step; the null row, which fills up a step's micro-batches, is not read.

        Args:
            model: The model, as the trainer wraps it.
            inputs: The micro-batch.
            num_items_in_batch: How many tokens the whole step learns.

        Returns:
            The micro-batch's part of the loss.
        """
        if self.accelerator.num_processes == 1 and _is_null(inputs.get("labels")):
            return torch.zeros((), device=self.args.device)
        step: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        return step

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The micro-batches of a step and how many tokens it learns, a number that stays on the host.

        Args:
            epoch_iterator: The batches of the epoch.
            num_batches: How many micro-batches a step has.
            device: Where the count is put by default.

        Returns:
            The micro-batches and the number of tokens.
        """
        alone = self.accelerator.num_processes == 1
        return super().get_batch_samples(epoch_iterator, num_batches, torch.device("cpu") if alone else device)  # type: ignore[no-any-return]

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: going through all parameters of SmolLM2-135M for it took 10 ms of every batch.

        Args:
            inputs: The batch.

        Returns:
            0.
        """
        return 0

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The batch on the device, with the positions where any row has a token to learn."""
        device, labels = self.args.device, inputs.get("labels")
        if labels is not None and labels.device.type == "cpu" and self._plain():
            learned = (labels[:, 1:] != IGNORED).any(dim=0).nonzero()[:, 0]
            if device.type == "cpu":
                inputs = {**inputs, "learned": learned}
            elif self._few(len(labels) * len(learned)):  # rows end in their padding; a mask would be read back
                inputs = {"input_ids": inputs["input_ids"], "labels": labels, "learned": learned}
        return super()._prepare_inputs(inputs)  # type: ignore[no-any-return]

    def _prepare_input(self, data: Any) -> Any:
        if isinstance(data, torch.Tensor):
            return data.to(self.args.device, non_blocking=True)
        return super()._prepare_input(data)

    def _few(self, n_tokens: int) -> bool:
        """Whether this rank has the whole model, and room for the logits of so many tokens."""
        n_logits = n_tokens * self.model.config.get_text_config().vocab_size
        return bool(self.accelerator.num_processes == 1 and n_logits <= LOGITS_AT_MOST)

    def _plain(self) -> bool:
        args = self.args
        plain = args.loss_type == "nll" and self.label_smoother is None and self.compute_loss_func is None
        slow_autocast = args.device.type == "cpu" and args.bf16
        return bool(plain and not self.aux_loss_enabled and not slow_autocast)


def _is_null(labels: torch.Tensor | None) -> bool:
    """Whether a batch is the null row alone, as far as it can be seen without waiting for a device."""
    if labels is None or labels.shape != (1, NULL_LENGTH) or labels.device.type != "cpu":
        return False
    return not bool((labels != IGNORED).any())
