"""An `SFTTrainer` that takes its loss where tokens are learned, and asks the device for nothing on the way."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl import SFTTrainer

from shed_hf.data.tokenization import IGNORED

LOGITS_AT_MOST = 2**28
"""On a device, of how many logits a loss keeps what its gradient needs: 3 to 4 GB."""


class LeanSFTTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped here
    """Takes the loss from the model's own logits instead of TRL's fused head.

    The fused head works in float32, computes logits again on the way back and entropies on the side: on a CPU that was
    four tenths of a step of SmolLM2-135M in bfloat16. On a GPU it also waits for the device five times a step, to log
    what nobody reads. Here whatever has to be known of a batch is found while it is on the host. For any loss but the
    plain one, and where logits would take gigabytes, the trainer is TRL's.
    """

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean negative log-likelihood over the learned tokens of the step."""
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

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The micro-batches of a step and how many tokens it learns, a number that stays on the host."""
        alone = self.accelerator.num_processes == 1
        return super().get_batch_samples(epoch_iterator, num_batches, torch.device("cpu") if alone else device)  # type: ignore[no-any-return]

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: going through all parameters of SmolLM2-135M for it took 10 ms of every batch."""
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
