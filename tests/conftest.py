"""Fixtures: a tiny language model made on the spot, small pools, and a Hub of our own."""

import compileall
import contextlib
import gc
import importlib
import logging
import os
import sys

# every worker and every process that tests start would compile the package and the tests anew
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # tests run beside each other

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# before the clients, which read where the Hub is when they are imported
from tests.helpers.the_hub import HUB, LoopbackHub

import pytest
from tests.helpers.fingerprints import fingerprint
from tests.helpers.once import once
from tests.helpers.rows import make_rows

if TYPE_CHECKING:
    from datasets import Dataset  # not imported by the process that hands out tests: all others wait for it to start

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def pytest_xdist_auto_num_workers() -> int:
    """A process more than there are cores: some tests wait, for another process or for a time to pass."""
    return (os.cpu_count() or 1) + 1


def pytest_sessionstart(session: pytest.Session) -> None:
    """Of several processes each compiles a part of the code, so that none has to compile all of it."""
    worker = getattr(session.config, "workerinput", None)
    if worker is not None:
        gc.disable()  # until all is imported and collected: none of it is garbage
        _compile_part(session.config, int(worker["workerid"].removeprefix("gw")), worker["workercount"])


def _compile_part(config: pytest.Config, number: int, n_workers: int) -> None:
    for folder in ("shed_hf", "tests/helpers"):
        for path in sorted((config.rootpath / folder).rglob("*.py"))[number::n_workers]:
            compileall.compile_file(path, quiet=2)
    given = [config.rootpath / name.split("::")[0] for name in config.args]
    paths = sorted({path for each in given for path in ([each] if each.is_file() else each.rglob("test_*.py"))})
    for path in paths[number::n_workers]:
        # what fails here fails again, and is told of, when it is collected
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.relative_to(config.rootpath).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long tests first, at the end there is something short left for every process; those that start scripts of
    their own beside each other, so that one server of `tests.helpers.processes` does for all of them."""
    items.sort(key=lambda item: not {"system", "test_executors.py"} & set(item.path.parts))


def pytest_collection_finish() -> None:
    """Collecting garbage among all that was imported, hundreds of times a run, finds none."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _no_bars() -> None:
    import datasets
    import huggingface_hub.utils

    datasets.disable_progress_bars()
    huggingface_hub.utils.disable_progress_bars()


@pytest.fixture(autouse=True, scope="session")
def _equal_work_is_done_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Maps and pictures are most of the time of a small curation and of a push, and choosing coalitions of a game.

    `tests/results/test_embedding_map.py` makes every map anew, `tests/hub/test_figures.py` pictures in full.
    """
    from shed_hf.estimators import coalition_design
    from shed_hf.hub import figures
    from shed_hf.results import embedding_map

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "done_once"
    folder.mkdir(exist_ok=True)
    pictures = ((figures, name) for name in ("values_picture", "map_picture", "convergence_picture"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "DPI", 20)
        for module, name in ((embedding_map, "layout"), (coalition_design, "choose_pairs"), *pictures):
            patch.setattr(module, name, once(getattr(module, name), folder))
        yield


@pytest.fixture(autouse=True, scope="session")
def _fingerprints_are_made_of_bytes() -> Iterator[None]:
    """A dataset in memory has a fingerprint of its rows, as ever, for which nothing is pickled: of a small one that is
    most of the time it takes."""
    from datasets import arrow_dataset

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrow_dataset, "generate_fingerprint", fingerprint)
        yield


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """The Hub, with nothing logged and nothing broken."""
    HUB.clear()
    yield HUB
    HUB.clear()


@pytest.fixture
def alice(monkeypatch: pytest.MonkeyPatch) -> str:
    """The user is logged in as alice; this is her token."""
    monkeypatch.setenv("HF_TOKEN", "hf_alice_secret")
    return "hf_alice_secret"


@pytest.fixture
def no_token_is_told(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "huggingface_hub")
    yield
    assert "secret" not in "".join([*capsys.readouterr(), caplog.text])


@pytest.fixture(scope="session")
def pool() -> "Dataset":
    """120 instruction rows of four topics."""
    from datasets import Dataset

    return Dataset.from_list(make_rows(120))


@pytest.fixture(scope="session")
def items() -> "Dataset":
    """16 further rows of the same topics."""
    from datasets import Dataset

    return Dataset.from_list(make_rows(16, seed=99))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of one layer and a byte-level tokenizer with a chat template; random weights."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    texts = [f"{row['instruction']} {row['output']}" for row in make_rows(200)]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=400, special_tokens=["<eos>", "<|user|>", "<|assistant|>", "<|system|>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token="<eos>", pad_token="<eos>", chat_template=CHAT_TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, eos_token_id=0, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
