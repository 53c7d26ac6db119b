"""What the model reads, and which of it is learned: the assistant's words and their end, as TRL has it."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerBase
from trl import SFTConfig, SFTTrainer

from shed_hf.data.formats import Example, Turn
from shed_hf.data.pool import read_pool
from shed_hf.data.tokenization import (
    IGNORED,
    Tokens,
    check_tokenizer,
    prompt_ids,
    split_at_completion,
    tokenise,
    warn_of_cuts,
)
from shed_hf.errors import InputError

ASK, DOG, AGAIN, CAT = (
    Turn("user", "Say dog"),
    Turn("assistant", "woof"),
    Turn("user", "again"),
    Turn("assistant", "a cat"),
)
SINGLE = Example((ASK, DOG))
MULTI = Example((Turn("system", "Be {kind}"), ASK, DOG, AGAIN, CAT))
FORGETFUL = (
    "{% for m in messages %}{{ m['role'] }}: {% if m['role'] == 'assistant' and not loop.last %}(…)"
    "{% else %}{{ m['content'] }}{% endif %}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
WITH_SYSTEM = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|system|>be kind\n{% endif %}"
    "<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ENDING = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% else %}{{ eos_token }}{% endif %}"
)
UNOPENED = "{% for m in messages %}{{ m['content'] }}{{ eos_token }}{% endfor %}"
SECRETIVE = "{% if messages[-1]['role'] == 'user' %}asked{% else %}answered: {{ messages[-1]['content'] }}{% endif %}"


@pytest.fixture
def tokenizer(tiny_model: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture
def plain(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The same tokenizer without a chat template."""
    tokenizer.chat_template = None
    return tokenizer


def learned(tokens: Tokens, tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.decode(tokens.labels[tokens.labels != IGNORED]))


def one(example: Example, tokenizer: PreTrainedTokenizerBase, max_length: int = 256) -> Tokens:
    (tokens,) = tokenise([example], tokenizer, max_length)
    return tokens


# ---- with a chat template


def test_a_conversation_reads_as_its_template_has_it(tokenizer: PreTrainedTokenizerBase) -> None:
    whole = tokenizer.apply_chat_template([turn._asdict() for turn in MULTI.turns], tokenize=False)
    ids = tokenizer.apply_chat_template([turn._asdict() for turn in MULTI.turns], return_dict=True)["input_ids"]
    assert tokenizer.decode(one(MULTI, tokenizer).ids) == whole
    assert one(MULTI, tokenizer).ids.tolist() == ids


def test_the_answer_and_its_end_are_learned_and_nothing_else(tokenizer: PreTrainedTokenizerBase) -> None:
    assert learned(one(SINGLE, tokenizer), tokenizer) == "woof<eos>\n"


def test_every_answer_of_a_conversation_is_learned(tokenizer: PreTrainedTokenizerBase) -> None:
    assert learned(one(MULTI, tokenizer), tokenizer) == "woof<eos>\na cat<eos>\n"


def test_answers_inside_a_given_prompt_are_not_learned(tokenizer: PreTrainedTokenizerBase) -> None:
    example = Example(MULTI.turns, given=4)
    assert learned(one(example, tokenizer), tokenizer) == "a cat<eos>\n"
    tokenizer.chat_template = None
    assert learned(one(example, tokenizer), tokenizer) == "a cat<eos>"
    assert learned(one(example.answering("no"), tokenizer), tokenizer) == "no<eos>"


def test_a_conversation_may_begin_with_the_assistant(tokenizer: PreTrainedTokenizerBase) -> None:
    for template in (tokenizer.chat_template, WITH_SYSTEM, ENDING):
        tokenizer.chat_template = template
        said = learned(one(Example((DOG, ASK, CAT)), tokenizer), tokenizer)
        assert said == ("woof\na cat\n<eos>" if template == ENDING else "woof<eos>\na cat<eos>\n")


def test_a_conversation_whose_first_answer_cannot_be_found_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = UNOPENED
    assert learned(one(MULTI, tokenizer), tokenizer) == "woof<eos>a cat<eos>"
    with pytest.raises(InputError, match=r"row 0: the conversation begins with the assistant.*put a user"):
        one(Example((DOG, ASK, CAT)), tokenizer)


def test_every_answer_is_learned_where_the_template_ends_whatever_is_last(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = ENDING
    assert tokenizer.decode(one(MULTI, tokenizer).ids).count("<eos>") == 1
    assert learned(one(MULTI, tokenizer), tokenizer) == "woof\na cat\n<eos>"


def test_a_template_that_rewrites_an_earlier_answer_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = FORGETFUL
    assert learned(one(SINGLE, tokenizer), tokenizer) == " woof<eos>"
    with pytest.raises(
        InputError, match=r"row 0: .* renders a conversation differently once it is answered or goes on"
    ):
        one(MULTI, tokenizer)
    assert learned(one(Example(MULTI.turns, given=4), tokenizer), tokenizer) == " a cat<eos>"


def test_a_template_that_hides_where_the_answer_begins_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.chat_template = SECRETIVE
    with pytest.raises(InputError, match=r"row 7: .* renders a conversation differently .* pass prompt \+ completion"):
        tokenise([SINGLE], tokenizer, 256, [7])


# ---- without one


def test_without_a_template_a_conversation_is_laid_out_as_alpaca(plain: PreTrainedTokenizerBase) -> None:
    assert plain.decode(one(MULTI, plain).ids) == (
        "Be {kind}\n\n### Instruction:\nSay dog\n\n### Response:\nwoof\n\n"
        "### Instruction:\nagain\n\n### Response:\na cat<eos>"
    )
    assert learned(one(MULTI, plain), plain) == "woof\n\na cat<eos>"


@pytest.mark.parametrize("completion", ["a cat", "a cat<eos>"])
def test_verbatim_rows_stay_as_they_are_and_end_once(tokenizer: PreTrainedTokenizerBase, completion: str) -> None:
    example = Example((Turn("user", "{Say} "), Turn("assistant", completion)), verbatim=True)
    assert tokenizer.decode(one(example, tokenizer).ids) == "{Say} a cat<eos>"
    assert learned(one(example, tokenizer), tokenizer).strip() == "a cat<eos>"


def test_a_text_is_learned_whole(tokenizer: PreTrainedTokenizerBase) -> None:
    tokens = one(Example((Turn("assistant", "the oven"),), verbatim=True), tokenizer)
    assert learned(tokens, tokenizer) == "the oven<eos>"
    assert tokens.n_learned == len(tokens.ids) - 1


def test_rows_of_both_kinds_keep_their_places(tokenizer: PreTrainedTokenizerBase) -> None:
    text = Example((Turn("assistant", "the oven"),), verbatim=True)
    together = tokenise([text, SINGLE, text, MULTI], tokenizer, 256)
    alone = [one(example, tokenizer) for example in (text, SINGLE, text, MULTI)]
    assert [tokens.ids.tolist() for tokens in together] == [tokens.ids.tolist() for tokens in alone]
    assert tokenise([], tokenizer, 256) == []


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=WORDS, completion=WORDS)
def test_whatever_the_text_no_character_of_the_completion_goes_unlearned(
    tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str
) -> None:
    for verbatim in (True, False):
        tokens = one(Example((Turn("user", prompt), Turn("assistant", completion)), verbatim), tokenizer, 10_000)
        assert completion in learned(tokens, tokenizer)
        assert tokens.labels[tokens.labels != IGNORED].tolist() == tokens.ids[tokens.labels != IGNORED].tolist()


# ---- the same as TRL


Rows = list[dict[str, Any]]


def prepared(rows: Rows, tokenizer: PreTrainedTokenizerBase, model: Path, out: Path, length: int) -> Dataset:
    """What an `SFTTrainer` makes of the rows."""
    args = SFTConfig(
        output_dir=str(out), max_length=length, bf16=False, use_cpu=True, report_to=[], save_strategy="no",
        activation_checkpointing=False,
    )  # fmt: skip
    loaded = AutoModelForCausalLM.from_pretrained(model)
    return SFTTrainer(loaded, args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer).train_dataset


def message(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [turn._asdict() for turn in turns]


LIKE_TRL: dict[str, Rows] = {
    "prompt and completion": [
        {"prompt": "Say dog: ", "completion": "the cat"},
        {"prompt": "Say dog:", "completion": " the cat"},
        {"prompt": "é€ dog", "completion": "ging x<eos>"},
    ],
    "messages as prompt and completion": [
        {"prompt": message([ASK]), "completion": message([DOG])},
        {"prompt": message(MULTI.turns[:4]), "completion": message([CAT])},
        {"prompt": message([ASK]), "completion": message([Turn("assistant", "\n\nthe <eos> cat ")])},
    ],
    "text": [{"text": "the oven and the cat"}, {"text": "x"}, {"text": "done<eos>"}],
}


@pytest.mark.parametrize("name", LIKE_TRL)
@pytest.mark.parametrize("max_length", [256, 9])
def test_rows_are_prepared_as_trl_prepares_them(
    name: str, max_length: int, tokenizer: PreTrainedTokenizerBase, tiny_model: Path, tmp_path: Path
) -> None:
    rows = LIKE_TRL[name]
    theirs = prepared(rows, tokenizer, tiny_model, tmp_path, max_length)
    pool = read_pool(Dataset.from_list(rows))
    kept = [row for row in tokenise(pool.examples(np.arange(len(pool))), tokenizer, max_length) if row.n_learned]
    assert list(theirs["input_ids"]) == [row.ids.tolist() for row in kept]
    assert list(theirs["labels"]) == [row.labels.tolist() for row in kept]


def test_a_leading_token_of_the_tokenizer_is_read_as_trl_reads_it(
    tokenizer: PreTrainedTokenizerBase, tiny_model: Path, tmp_path: Path
) -> None:
    from tokenizers.processors import TemplateProcessing

    begin = tokenizer.convert_tokens_to_ids("<|system|>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|system|> $A", special_tokens=[("<|system|>", begin)]
    )
    rows = LIKE_TRL["prompt and completion"][:2]
    theirs = prepared(rows, tokenizer, tiny_model, tmp_path, 256)
    ours = tokenise(read_pool(Dataset.from_list(rows)).examples([0, 1]), tokenizer, 256)
    assert [row.ids.tolist() for row in ours] == list(theirs["input_ids"])
    assert [row.labels.tolist() for row in ours] == list(theirs["labels"])
    assert all(row.ids[0] == begin for row in ours)
    assert learned(one(Example((CAT,), verbatim=True), tokenizer), tokenizer) == "<|system|>a cat<eos>"
    assert one(SINGLE, tokenizer).ids[0] != begin  # a chat template writes its own


# ---- what a completion is generated after


@pytest.mark.parametrize("example", [SINGLE, MULTI, Example(MULTI.turns, given=4), Example((ASK, DOG), verbatim=True)])
@pytest.mark.parametrize("template", [True, False])
def test_a_completion_is_generated_after_what_is_trained_before_it(
    tokenizer: PreTrainedTokenizerBase, example: Example, template: bool
) -> None:
    tokenizer.chat_template = tokenizer.chat_template if template else None
    tokens = one(example, tokenizer)
    assert prompt_ids(example, tokenizer) == tokens.ids[: split_at_completion(tokens)].tolist()


# ---- cutting


def test_what_is_too_long_is_cut_at_the_end_and_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    whole = one(SINGLE, tokenizer)
    short = one(SINGLE, tokenizer, len(whole.ids) - 2)
    assert (whole.cut, short.cut) == (0, 2)
    assert short.ids.tolist() == whole.ids[:-2].tolist()
    assert short.labels.tolist() == whole.labels[:-2].tolist()
    assert short.n_learned == whole.n_learned - 2


def test_a_row_cut_before_its_completion_has_nothing_to_learn(tokenizer: PreTrainedTokenizerBase) -> None:
    assert one(SINGLE, tokenizer, split_at_completion(one(SINGLE, tokenizer))).n_learned == 0


def test_one_warning_counts_the_cut_rows(tokenizer: PreTrainedTokenizerBase) -> None:
    rows = tokenise([SINGLE, MULTI, MULTI], tokenizer, len(one(SINGLE, tokenizer).ids))
    with pytest.warns(UserWarning, match=r"2 of 3 rows are longer than max_length=\d+ .*; 2 lost") as caught:
        warn_of_cuts(rows, len(rows[0].ids), "rows")
    assert len(caught) == 1


def test_rows_that_fit_draw_no_warning(tokenizer: PreTrainedTokenizerBase) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_cuts(tokenise([SINGLE], tokenizer, 256), 256, "rows")


# ---- where the completion begins


@pytest.mark.parametrize("example", [SINGLE, MULTI, Example((ASK, DOG), verbatim=True)])
def test_an_item_is_split_before_its_last_answer(tokenizer: PreTrainedTokenizerBase, example: Example) -> None:
    tokens = one(example, tokenizer)
    asked, answered = tokenizer.decode(tokens.ids[: split_at_completion(tokens)]), example.completion
    assert not asked.endswith(answered)
    assert tokenizer.decode(tokens.ids[split_at_completion(tokens) :]).startswith(f"{answered}<eos>")


def test_a_text_is_split_after_its_first_token_which_is_never_predicted(tokenizer: PreTrainedTokenizerBase) -> None:
    assert split_at_completion(one(Example((Turn("assistant", "the oven"),), verbatim=True), tokenizer)) == 1


def test_a_row_without_a_learned_token_is_all_prompt() -> None:
    assert split_at_completion(Tokens(np.arange(3), np.full(3, IGNORED), 0)) == 3


# ---- tokenizers


def test_a_tokenizer_that_never_ends_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.eos_token = None
    with pytest.raises(InputError, match=r"has no eos token.*set tokenizer\.eos_token"):
        tokenise([SINGLE], tokenizer, 256)


def test_a_missing_pad_token_becomes_the_end(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer.pad_token = None
    check_tokenizer(tokenizer)
    assert tokenizer.pad_token == tokenizer.eos_token == "<eos>"


def test_a_tokenizer_that_cannot_say_where_tokens_stand_is_refused() -> None:
    with pytest.raises(InputError, match=r"ByT5Tokenizer cannot say .* use_fast=True"):
        tokenise([SINGLE], ByT5Tokenizer(), 256)
