"""A ledger's header says of loss masks only where they are not those of version 0.1."""

import pytest

from shed_hf.data.loss_masks import masks_digest
from tests.helpers.trl_oracle import TEMPLATES, make_tokenizer

MARKED = (
    "{% for m in messages %}<|{{ m['role'] }}|>{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}"
    "<|end|>{% endgeneration %}{% else %}{{ m['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.mark.parametrize("template", [None, MARKED])
@pytest.mark.parametrize("conversations", [True, False])
def test_masks_that_are_as_before_are_not_in_the_header(template: str | None, conversations: bool) -> None:
    assert masks_digest(make_tokenizer(template), conversations) == ""


@pytest.mark.parametrize("name", ["qwen2_5", "phi3"])
def test_other_masks_of_conversations_are(name: str) -> None:
    tokenizer = make_tokenizer(TEMPLATES[name])
    assert masks_digest(tokenizer, conversations=False) == ""
    assert len(masks_digest(tokenizer, conversations=True)) == 32
    assert masks_digest(tokenizer, conversations=True) == masks_digest(make_tokenizer(TEMPLATES[name]), True)


def test_masks_of_two_templates_differ() -> None:
    digests = {masks_digest(make_tokenizer(TEMPLATES[name]), conversations=True) for name in ("qwen2_5", "phi3")}
    assert len(digests) == 2
