"""In which precision a model is fine-tuned where that is left open: the one that this device computes faster in.

CPUs without instructions for bfloat16 emulate it, many times slower than float32; a GPU's matrix products are many
times faster in it. What bfloat16 changes of the values of coalitions is less than what another order of training
changes (``examples/benchmarks/precision.py``). The adapter's own weights are float32 in both."""

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import torch
from accelerate.utils import get_max_memory
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import find_adapter_config_file

from shed_hf.finetuning.trainer_settings import matmul_precision
from shed_hf.game.execution import Precision

PRECISIONS = ("float32", "bfloat16")

MARGIN = 1.3
"""How many times as fast as float32 another precision has to be: less may be chance, or lost outside of products."""

ROUNDS, MOST_SECONDS = 8, 0.5
"""How often each precision is timed, and after how long no further round begins; the first warms up."""

CLEAR_AT_ONCE, CLEAR = 8.0, 3.0
"""How many times as fast one precision is where the round that warms up says enough, and where one more does."""

LEAST_WORK = 1_000_000
"""Multiplications for a token below which a CPU spends its time on calling layers, not on products."""

N_SHAPES = 4
"""How many shapes of layers are timed, those with the most work."""

_TOKENS, _MOST_WIDTH = {"cpu": 64, "cuda": 4096}, {"cpu": 1024, "cuda": 4096}
"""How many tokens a timed layer reads, and how wide it is at most."""

ROOM = 1.3
"""How much more memory than its weights a model takes."""


@dataclass(frozen=True)
class Outline:
    """What is known of a model before its weights are loaded.

    Attributes:
        layers: Width out, width in, and how many there are, of the layers with the most work.
        n_parameters: The number of parameters.
        quantised: Whether the stored weights are quantised.
    """

    layers: tuple[tuple[int, int, int], ...]
    n_parameters: int
    quantised: bool

    @property
    def work(self) -> int:
        """Multiplications for a token in these layers, forward."""
        return sum(out * width * count for out, width, count in self.layers)


def outline_of(name: str) -> Outline:
    """The outline of a model, by its configuration.

    Args:
        name: The model's Hub id or path, or that of an adapter.

    Returns:
        The outline.
    """
    adapter = find_adapter_config_file(name)
    if adapter is not None:
        name = json.loads(Path(adapter).read_text(encoding="utf-8"))["base_model_name_or_path"]
    config = AutoConfig.from_pretrained(name)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    head = model.get_output_embeddings()
    weights = [part.weight for part in model.modules() if _is_linear(part) and part is not head]
    counted = Counter((int(weight.shape[0]), int(weight.shape[1])) for weight in weights)
    by_work = sorted(counted.items(), key=lambda entry: (-entry[0][0] * entry[0][1] * entry[1], entry[0]))
    layers = tuple((*shape, count) for shape, count in by_work[:N_SHAPES])
    n_parameters = sum(weight.numel() for weight in model.parameters())
    return Outline(layers, n_parameters, getattr(config, "quantization_config", None) is not None)


def choose(outline: Outline) -> Precision:
    """The precision to load a model in: the one that this device is faster in.

    In one process the same model gets the same answer every time.

    Args:
        outline: The model.

    Returns:
        The precision, with the reason or the speeds.
    """
    kind = torch.accelerator.current_accelerator(check_available=True)
    device = torch.device("cpu") if kind is None else kind
    if outline.quantised or not outline.layers:
        return Precision(
            "stored", "the weights are quantised" if outline.quantised else "the model has no linear layer"
        )
    if device.type not in _TOKENS:
        return Precision("stored", f"no precision is measured on {device.type}")
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision("float32", "the GPU has no bfloat16")
    if device.type == "cpu" and outline.work < LEAST_WORK:
        return Precision("float32", "its layers are too small for that to matter")
    needed, room = ROOM * 4 * outline.n_parameters, _free_memory(device)
    if needed > room:
        return Precision("bfloat16", f"float32 takes {needed / 1e9:.1f} GB, and {room / 1e9:.1f} GB are free")
    return faster(measured_speeds(outline.layers, device))


def precision_in_header(header: Mapping[str, Any]) -> Precision:
    """The precision of a ledger's run; runs of earlier versions took weights as they were stored.

    Args:
        header: The ledger's header.

    Returns:
        The precision.
    """
    training = header.get("training")
    found = training.get("precision") if isinstance(training, Mapping) else None
    return Precision(found if found in PRECISIONS else "stored", "as in the ledger")


def faster(speeds: Mapping[str, float]) -> Precision:
    """The precision to take: float32, unless bfloat16 is faster by far.

    Args:
        speeds: GFLOP/s of each.

    Returns:
        The precision.
    """
    return Precision("bfloat16" if speeds["bfloat16"] > MARGIN * speeds["float32"] else "float32", speeds=speeds)


def _is_linear(part: nn.Module) -> bool:
    """Whether a module multiplies by a matrix: a linear layer, or GPT-2's, which is stored the other way round."""
    return isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"


def _free_memory(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(get_max_memory()["cpu"]) / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@cache
def measured_speeds(layers: Sequence[tuple[int, int, int]], device: torch.device) -> dict[str, float]:
    """How fast a device goes forward and backward through layers whose weights are frozen; a CPU on one thread.

    On a CPU the thread's own time is taken, which does not pass while other processes run. Precisions take turns, so
    that what else runs on the machine slows both. Of float32's times the least counts, of bfloat16's the median, so
    that chance speaks for float32.

    Args:
        layers: Width out, width in, and how many there are, of each shape.
        device: The device.

    Returns:
        GFLOP/s by precision, of those in `PRECISIONS`.
    """
    n_tokens, widest = _TOKENS[device.type], _MOST_WIDTH[device.type]
    sizes = [(min(out, widest), min(width, widest), count) for out, width, count in layers]
    work = sum(4.0 * n_tokens * out * width * count for out, width, count in sizes)
    seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    with torch.no_grad(), matmul_precision(None), _one_thread():
        passes = {precision: _timed_pass(sizes, n_tokens, device, precision) for precision in PRECISIONS}
        start = time.perf_counter()
        while not _enough(list(seconds.values()), time.perf_counter() - start):
            for precision, timed in passes.items():
                seconds[precision].append(timed())
        faster_one = min(PRECISIONS, key=lambda precision: min(seconds[precision]))
        if len(seconds[faster_one]) == 1:  # warmed up, it costs next to nothing
            seconds[faster_one].append(passes[faster_one]())
    timed_after_first = {precision: times[1:] or times for precision, times in seconds.items()}
    least = min(timed_after_first["float32"])
    return {"float32": work / least / 1e9, "bfloat16": work / median(timed_after_first["bfloat16"]) / 1e9}


def _enough(seconds: Sequence[Sequence[float]], since: float) -> bool:
    """Whether no further round is needed to know which precision is faster."""
    rounds = len(seconds[0])
    if rounds < 1:
        return False
    least = sorted(min(times[1:] or times) for times in seconds)
    apart = least[-1] / least[0]
    clear = apart > (CLEAR_AT_ONCE if rounds == 1 else CLEAR)
    return clear or rounds == ROUNDS or (rounds > 2 and since > MOST_SECONDS)


def _timed_pass(
    sizes: Sequence[tuple[int, int, int]], n_tokens: int, device: torch.device, precision: str
) -> Callable[[], float]:
    """What goes once through each shape, and returns the seconds that all layers would take."""
    generator = torch.Generator(device).manual_seed(0)

    def matrix(n_rows: int, n_columns: int) -> torch.Tensor:
        return torch.randn(n_rows, n_columns, generator=generator, device=device).to(getattr(torch, precision))

    layers = [(matrix(n_tokens, width), matrix(out, width), matrix(n_tokens, out)) for out, width, _ in sizes]

    def timed() -> float:
        total = 0.0
        for (states, weight, gradient), (_, _, count) in zip(layers, sizes, strict=True):
            start = _clock(device)
            nn.functional.linear(states, weight)
            gradient @ weight
            total += count * (_clock(device) - start)
        return max(total, 1e-9)

    return timed


def _clock(device: torch.device) -> float:
    """Seconds: of this thread on a CPU, else after all that the device was given to do."""
    if device.type == "cpu":
        return time.thread_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other take as long as what else runs on the machine lets them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
