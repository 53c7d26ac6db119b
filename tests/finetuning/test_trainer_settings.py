"""What a fine-tuning asks of its device: its precision, its attention, and nothing to be read back on the way."""

import collections
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, AutoTokenizer, masking_utils
from trl import SFTConfig

from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool, read_pool
from shed_hf.data.tokenization import IGNORED
from shed_hf.finetuning import sft_trainer
from shed_hf.finetuning import tokenized_rows as tokenised_rows
from shed_hf.finetuning.callback import ProxyValueCallback
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args, matmul_precision, measuring
from shed_hf.finetuning.trainer_utility import TrainerUtility
from tests.helpers.rows import make_rows, make_rows_of_many_lengths


@pytest.fixture(scope="module")
def rows() -> Pool:
    return read_pool(Dataset.from_list(make_rows_of_many_lengths(80)))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return read_pool(Dataset.from_list(make_rows(6, seed=99))).examples(np.arange(6))


def bound(model: Path, rows: Pool, examples: list[Example], **fields: Any) -> TrainerUtility:
    args = default_args()
    for name, field in fields.items():
        setattr(args, name, field)
    return FineTune(str(model), "loss", args=args).bind(rows, examples, 7)


class Nothing:
    """No evaluation, as where only the training is looked at."""

    def measure(self, model: torch.nn.Module) -> tuple[Any, dict[str, float]]:
        return np.zeros(1), {}


def train(utility: TrainerUtility, row_sets: list[Any]) -> ProxyValueCallback:
    """One run over the row sets; returns its callback also where the run's end fails."""
    callback = ProxyValueCallback(row_sets, Nothing())
    with utility.isolation:
        callback.attach(utility.trainer, utility.rows)
        try:
            utility.trainer.train()
        finally:
            callback.detach(utility.trainer)
    return callback


class Read(TorchDispatchMode):
    """Counts the numbers that Python reads out of tensors, by the file that asked."""

    def __init__(self) -> None:
        super().__init__()
        self.by_file: collections.Counter[str] = collections.Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            files = [Path(frame.filename) for frame in traceback.extract_stack()]
            own = [file for file in files if "torch" not in file.parts and file != Path(__file__)]
            self.by_file[own[-1].name] += 1
        return func(*args, **(kwargs or {}))


def test_a_step_reads_nothing_but_what_transformers_asks_of_the_mask(
    tiny_model: Path, rows: Pool, examples: list[Example]
) -> None:
    utility = bound(tiny_model, rows, examples)
    reads = {}
    for n_steps in (2, 8):
        with Read() as read:
            train(utility, [np.arange(8 * n_steps)])
        reads[n_steps] = read.by_file
    of_steps = reads[8] - reads[2]
    assert set(of_steps) == {"masking_utils.py"}
    assert of_steps.total() <= 2 * 6


class Sent(TorchDispatchMode):
    """Copies from the host to a device, and which of them the host waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for: list[bool] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and str(args[0].device) != str(kwargs.get("device", args[0].device)):
            self.waited_for.append(not kwargs.get("non_blocking", False))
        return func(*args, **kwargs)


def test_a_device_that_cannot_be_read_trains_to_the_end(
    tiny_model: Path, rows: Pool, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    utility = bound(tiny_model, rows, examples, optim="adamw_torch", gradient_accumulation_steps=2)
    trainer, asked = utility.trainer, []
    trainer.args.__dict__["_setup_devices"] = torch.device("meta")  # tensors of it have shapes but no numbers
    trainer.accelerator.device_placement = False
    trainer.model.to("meta")
    # transformers asks this of a batch without a mask: whether its rows are packed
    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda positions: asked.append(positions.device))
    callback = ProxyValueCallback([np.arange(20), np.arange(30, 64)], Nothing())
    with utility.isolation, Sent() as sent, pytest.raises(RuntimeError, match="meta") as raised:
        callback.attach(trainer, utility.rows)
        trainer.train()
    assert "_finalize_training" in [entry.name for entry in raised.traceback]  # the whole run's loss, read once
    assert len(callback.outcomes) == 2
    n_batches = 2 * (2 + 3)
    assert asked == [torch.device("meta")] * n_batches
    assert sent.waited_for == [False] * 3 * n_batches  # rows, labels, and where they are learned


def batch_of(utility: TrainerUtility, n_rows: int) -> dict[str, torch.Tensor]:
    return dict(utility.trainer.data_collator([utility.rows[row] for row in range(n_rows)]))


def prepared(utility: TrainerUtility, n_rows: int) -> dict[str, Any]:
    with utility.isolation:
        return dict(utility.trainer._prepare_inputs(batch_of(utility, n_rows)))


def loss_and_gradient(utility: TrainerUtility, inputs: dict[str, Any]) -> tuple[float, torch.Tensor]:
    trainer = utility.trainer
    trainer.model.zero_grad()
    with utility.isolation:
        loss = trainer.compute_loss(trainer.model, inputs)
        loss.backward()
    return float(loss.detach()), torch.cat([p.grad.flatten() for p in utility.origin.parameters])


def test_a_loss_without_the_mask_is_the_loss_with_it(tiny_model: Path, rows: Pool, examples: list[Example]) -> None:
    utility = bound(tiny_model, rows, examples)
    masked = prepared(utility, 6)
    assert int(masked["attention_mask"].sum()) < masked["attention_mask"].numel()
    bare = {name: tensor for name, tensor in masked.items() if name != "attention_mask"}
    loss, gradient = loss_and_gradient(utility, masked)
    other, other_gradient = loss_and_gradient(utility, bare)
    assert loss == pytest.approx(other, abs=1e-6)
    torch.testing.assert_close(gradient, other_gradient, atol=1e-6, rtol=0)


def test_the_loss_is_trls(tiny_model: Path, rows: Pool, examples: list[Example]) -> None:
    utility = bound(tiny_model, rows, examples)
    selective = prepared(utility, 6)
    fused = {name: tensor for name, tensor in selective.items() if name != "learned"}
    loss, gradient = loss_and_gradient(utility, selective)
    other, other_gradient = loss_and_gradient(utility, fused)
    assert loss == pytest.approx(other, abs=1e-5)
    torch.testing.assert_close(gradient, other_gradient, atol=1e-5, rtol=0)


def test_on_a_device_trls_head_takes_over_where_logits_are_many(
    tiny_model: Path, rows: Pool, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    utility = bound(tiny_model, rows, examples)
    utility.trainer.args.__dict__["_setup_devices"] = torch.device("meta")
    few = prepared(utility, 6)
    assert set(few) == {"input_ids", "labels", "learned"}
    n_logits = 6 * len(few["learned"]) * utility.trainer.model.config.vocab_size
    monkeypatch.setattr(sft_trainer, "LOGITS_AT_MOST", n_logits - 1)
    many = prepared(utility, 6)
    assert set(many) == {"input_ids", "labels", "attention_mask"}


def test_logits_are_computed_where_tokens_are_learned(tiny_model: Path, rows: Pool, examples: list[Example]) -> None:
    utility = bound(tiny_model, rows, examples)
    labels = batch_of(utility, 6)["labels"]
    learned = int((labels[:, 1:] != IGNORED).any(dim=0).sum())
    shapes: list[torch.Size] = []
    hook = utility.trainer.model.register_forward_hook(lambda _, __, made: shapes.append(made.logits.shape))
    loss_and_gradient(utility, prepared(utility, 6))
    hook.remove()
    assert shapes == [(6, learned, utility.trainer.model.config.vocab_size)]
    assert learned < labels.shape[1] - 5


def test_rows_are_tokenised_and_the_model_loaded_once(
    tiny_model: Path, rows: Pool, examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenised, loaded = [], []
    tokenise, load = tokenised_rows.tokenise, AutoModelForCausalLM.from_pretrained
    keep = tokenised.extend
    monkeypatch.setattr(tokenised_rows, "tokenise", lambda given, *rest: keep(given) or tokenise(given, *rest))
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda name: loaded.append(name) or load(name))
    utility = bound(tiny_model, rows, examples)
    for row_sets in ([np.arange(10), np.arange(5, 15)], [np.arange(12)]):
        utility(row_sets)
    assert len(tokenised) == 15
    assert loaded == [str(tiny_model)]


@pytest.fixture
def switches() -> Iterator[dict[str, Any]]:
    """The places where TF32 is switched on, as they are and as they were."""
    places = {"matmul": torch.backends.cuda.matmul, "conv": torch.backends.cudnn.conv}
    before = {name: place.fp32_precision for name, place in places.items()}
    yield places
    for name, place in places.items():
        place.fp32_precision = before[name]


@pytest.mark.parametrize(("asked", "inside"), [(None, "ieee"), (False, "ieee"), (True, "tf32")])
@pytest.mark.parametrize("outside", ["ieee", "tf32"])
def test_tf32_is_what_the_arguments_say(
    switches: dict[str, Any], asked: bool | None, inside: str, outside: str
) -> None:
    for place in switches.values():
        place.fp32_precision = outside
    with pytest.raises(KeyError), matmul_precision(asked):
        assert {place.fp32_precision for place in switches.values()} == {inside}
        raise KeyError
    assert {place.fp32_precision for place in switches.values()} == {outside}


def test_a_measurement_is_in_float32_whatever_the_process_does(
    tiny_model: Path, rows: Pool, examples: list[Example], switches: dict[str, Any]
) -> None:
    utility = bound(tiny_model, rows, examples)
    assert utility.trainer.args.tf32 is None
    switches["matmul"].fp32_precision = "tf32"
    seen: list[str] = []
    utility.measure([[np.arange(3)]], lambda *_: seen.append(switches["matmul"].fp32_precision))
    assert seen == ["ieee"]
    assert switches["matmul"].fp32_precision == "tf32"


def test_attention_is_scaled_dot_product_attention(tiny_model: Path, rows: Pool, examples: list[Example]) -> None:
    assert bound(tiny_model, rows, examples).trainer.model.config._attn_implementation == "sdpa"


def test_a_bfloat16_checkpoint_stays_bfloat16(
    tiny_model: Path, rows: Pool, examples: list[Example], tmp_path: Path
) -> None:
    AutoModelForCausalLM.from_pretrained(tiny_model).to(torch.bfloat16).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    utility = bound(tmp_path, rows, examples)
    kinds = {parameter.requires_grad: parameter.dtype for parameter in utility.trainer.model.parameters()}
    assert kinds == {False: torch.bfloat16, True: torch.float32}  # what is trained keeps small steps
    assert not utility.trainer.args.bf16
    outcomes = utility([np.arange(12), np.arange(12, 24)])
    assert np.isfinite(outcomes).all()
    assert np.abs(outcomes[0] - outcomes[1]).max() > 1e-4


def test_a_trainer_that_measures_looks_at_no_loss_and_restarts_nothing(tmp_path: Path) -> None:
    given = SFTConfig(
        output_dir=str(tmp_path),
        include_num_input_tokens_seen="all",
        auto_find_batch_size=True,
        use_cpu=True,
        bf16=False,
    )
    args = measuring(given, str(tmp_path), 0)
    assert not args.logging_nan_inf_filter
    assert not args.auto_find_batch_size
    assert args.include_num_input_tokens_seen == "no"
    assert given.logging_nan_inf_filter
    assert given.auto_find_batch_size
