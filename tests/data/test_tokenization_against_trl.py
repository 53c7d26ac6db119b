"""Tokens and loss masks are those of TRL's own data preparation, for every chat template that TRL brings along."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from shed_hf.data.tokenization import IGNORED
from shed_hf.errors import InputError
from tests.helpers.chat_rows import AGAIN, ASK, CALL, DONE, REPLY, RESULT, SYSTEM, THOUGHT, TOOLS, Row
from tests.helpers.trl_matrix import ROWS, cells, prepared_by_us
from tests.helpers.trl_oracle import TEMPLATES, make_tokenizer, prepared_by_trl

UNKNOWN = ("gemma4", "gemma4_v2", "gemma4_v3", "gemma4_v4", "gemma4_v5", "llama3_1", "llama3_2")
"""Templates that TRL has no marks for: there it can learn a completion, and not every answer of a conversation."""


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return make_tokenizer()


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_row_is_shown_or_learned_otherwise_than_by_trl(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = TEMPLATES[name]
    equal = 0
    for shape, mine, theirs in cells(tokenizer):
        if isinstance(mine, str):
            assert mine.startswith("refused: "), (shape, mine)
        elif isinstance(theirs, str):
            assert name in UNKNOWN and shape.startswith("messages"), (shape, theirs)
        else:
            assert mine == theirs, (shape, tokenizer.decode(mine.ids), tokenizer.decode(theirs.ids))
            equal += 1
    assert equal >= 3  # text, and prompts that are text, need no template


FIRM = ("qwen2_5", "qwen3", "llama3_1", "glm4moe", "gptoss", "gemma4_v5", "nemotron_3_nano")
PLAIN = ["single turn", "several turns", "ends with the user", "unicode and blanks", "missing keys", "two users"]
WITH_TOOLS = ["call and result", "call with content None", "call last"]


@pytest.mark.parametrize("name", FIRM)
def test_plain_rows_and_calls_of_tools_are_not_refused(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = TEMPLATES[name]
    for shape in (*PLAIN, *WITH_TOOLS):
        assert any(label != IGNORED for label in prepared_by_us(ROWS[f"messages: {shape}"], tokenizer).labels)


def as_completions(messages: Sequence[Row], beside: Row, tokenizer: Any) -> list[int]:
    """Labels of a conversation, each answer learned as TRL learns the completion of what stands before it."""
    ids = prepared_by_trl({"messages": list(messages), **beside}, tokenizer, assistant=False).ids
    labels = [IGNORED] * len(ids)
    for place in (place for place, message in enumerate(messages) if message["role"] == "assistant"):
        row = {"prompt": list(messages[:place]), "completion": [messages[place]], **beside}
        answered = prepared_by_trl(row, tokenizer)
        assert ids[: len(answered.ids)] == answered.ids
        labels[: len(answered.ids)] = [max(pair) for pair in zip(labels, answered.labels, strict=False)]
    return labels


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize(
    "messages",
    [
        [ASK, REPLY], [SYSTEM, ASK, REPLY, AGAIN, DONE], [ASK, REPLY, AGAIN], [ASK, CALL, RESULT, DONE], [ASK, THOUGHT],
    ],
)  # fmt: skip
def test_without_marks_each_answer_is_learned_as_a_completion(
    name: str, messages: list[Row], tokenizer: PreTrainedTokenizerBase
) -> None:
    tokenizer.chat_template = TEMPLATES[name]
    beside = {"tools": TOOLS} if CALL in messages else {}
    mine = prepared_by_us({"messages": messages, **beside}, tokenizer)
    assert mine.ids == prepared_by_trl({"messages": messages, **beside}, tokenizer, assistant=False).ids
    assert mine.labels == as_completions(messages, beside, tokenizer)


@pytest.mark.parametrize("name", ["qwen2_5", "llama3", "phi3", "gemma3"])
@pytest.mark.parametrize("shape", ["messages", "prompt and completion"])
def test_a_trainer_makes_the_same_of_a_dataset(
    name: str, shape: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    tokenizer.chat_template = TEMPLATES[name]
    conversations = [[ASK, REPLY], [ASK, REPLY, AGAIN, DONE], [SYSTEM, ASK, REPLY]]
    whole = [{"messages": turns} for turns in conversations]
    parted = [{"prompt": turns[:-1], "completion": turns[-1:]} for turns in conversations]
    rows = whole if shape == "messages" else parted
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    args = SFTConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to=[], activation_checkpointing=False,
        max_length=40, assistant_only_loss=shape == "messages",
    )  # fmt: skip
    model = LlamaForCausalLM(LlamaConfig(vocab_size=512, **sizes))
    theirs = SFTTrainer(model, args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer).train_dataset
    mine = [
        row
        for row in (prepared_by_us(row, tokenizer, 40) for row in rows)
        if any(label != IGNORED for label in row.labels)
    ]
    assert [row.ids for row in mine] == list(theirs["input_ids"])
    assert [row.labels for row in mine] == list(theirs["labels"])


# ---- what is not shown is refused by name


@pytest.mark.parametrize(
    ("name", "messages", "beside", "key"),
    [
        ("llama3", [ASK, REPLY], {"tools": TOOLS}, "tools"),
        ("llama3", [ASK, CALL], {}, "tool_calls"),
        ("phi3", [ASK, REPLY, RESULT, DONE], {}, "tool turn"),
        ("phi3", [{"role": "developer", "content": "Be brief."}, ASK, REPLY], {}, "developer turn"),
        ("idefics3", [ASK, REPLY], {}, "user turn"),
        ("cohere2", [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}, REPLY], {}, "content parts"),
        ("gemma", [SYSTEM, ASK, REPLY], {}, "System role not supported"),
    ],
)
def test_a_row_that_its_template_does_not_show_is_refused(
    name: str, messages: list[Row], beside: Row, key: str, tokenizer: PreTrainedTokenizerBase
) -> None:
    tokenizer.chat_template = TEMPLATES[name]
    with pytest.raises(InputError, match=rf"row 0: the chat template of .*{key}"):
        prepared_by_us({"messages": messages, **beside}, tokenizer)


@pytest.mark.parametrize("row", [{"messages": [ASK, CALL]}, {"messages": [ASK, REPLY], "tools": TOOLS}])
def test_without_a_chat_template_tools_have_no_place(row: Row, tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = None
    with pytest.raises(InputError, match=r"row 0: it has 'tool.*no chat template.*set tokenizer\.chat_template"):
        prepared_by_us(row, tokenizer)
