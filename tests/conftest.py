"""Fixtures: a tiny language model made on the spot, small pools, and a Hub of our own."""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Iterator
from pathlib import Path

from tests.the_hub import HUB, LoopbackHub  # before the clients, which read where the Hub is when they are imported

import datasets
import huggingface_hub.utils
import numpy as np
import pytest

TOPICS = {
    "cooking": ["pan", "salt", "oven", "butter", "flour", "simmer", "recipe", "garlic"],
    "animals": ["dog", "cat", "fur", "tail", "paw", "feather", "burrow", "whiskers"],
    "sports": ["goal", "team", "ball", "match", "referee", "league", "sprint", "coach"],
    "music": ["chord", "guitar", "melody", "drum", "tempo", "choir", "violin", "verse"],
}
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@pytest.fixture(autouse=True, scope="session")
def _no_bars() -> None:
    datasets.disable_progress_bars()
    huggingface_hub.utils.disable_progress_bars()


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


def make_rows(n: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows of four topics in turn, told apart by their words; no two are equal."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        topic = list(TOPICS)[number % 4]
        words = rng.choice(TOPICS[topic], size=6)
        rows.append(
            {
                "instruction": f"Say something about {words[0]} and {words[1]}.",
                "output": f"The {words[2]} and the {words[3]} go with {words[4]} {words[5]} number {number}.",
                "topic": topic,
            }
        )
    return rows


def make_rows_of_many_lengths(n: int) -> list[dict[str, str]]:
    """The same, with outputs once to four times as long: no two rows of a batch need have as many tokens."""
    return [{**row, "output": row["output"] * (1 + number % 4)} for number, row in enumerate(make_rows(n))]


@pytest.fixture
def pool() -> datasets.Dataset:
    """120 instruction rows of four topics."""
    return datasets.Dataset.from_list(make_rows(120))


@pytest.fixture
def items() -> datasets.Dataset:
    """16 further rows of the same topics."""
    return datasets.Dataset.from_list(make_rows(16, seed=99))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of 2 layers and a byte-level tokenizer with a chat template; random weights."""
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
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, eos_token_id=0, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
