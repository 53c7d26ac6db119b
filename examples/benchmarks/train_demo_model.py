"""Train the small language model that `shed-hf demo` falls back on: tokenizer, weights, chat template.

The model is a Llama of 3.3 million parameters over a byte-level BPE of 4,096 tokens. It reads openly licensed rows as
chats (questions with their right answer, instructions with their output) and a little web text, and never a row of the
demo's pool, nor a near copy of one of the rows that the demo measures on:

    python examples/benchmarks/train_demo_model.py --data DIR --out shed_hf/demo/model --minutes 35

`DIR` holds the sources as JSON Lines files under the names in `SOURCES`.
"""

import argparse
import json
import math
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SOURCES = (
    "dolly_3k gpteacher_codegen gpteacher_roleplay gpteacher_toolformer selfinstruct_seed175 selfinstruct_user252 "
    "gsm8k_train csqa_train openbookqa_train strategyqa arc_easy_train arc_challenge_train mmlu_dev mmlu_validation "
    "c4_demo300"
)
POOL = Path(__file__).resolve().parents[2] / "shed_hf" / "demo" / "pool.jsonl"
PAD, USER, ASSISTANT, END = "<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    f"{ASSISTANT}{{% generation %}}{{{{ message['content'] }}}}{END}{{% endgeneration %}}"
    f"{{% else %}}{USER}{{{{ message['content'] }}}}{{% endif %}}{{% endfor %}}"
    f"{{% if add_generation_prompt %}}{ASSISTANT}{{% endif %}}"
)
VOCABULARY, CONTEXT, BATCH, LEARNING_RATE = 4096, 256, 12, 3e-3
NEAR_COPY = 0.7  # TF-IDF cosine


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def as_turns(row: dict[str, Any]) -> tuple[str, str]:
    """What the user says, which is nothing for plain text, and what follows."""
    if "text" in row:
        return "", row["text"].strip()
    if "question" in row:
        answer = row.get("rationale") or row["answer"]
        if isinstance(answer, int):
            answer = row["choices"][answer]
        answer = re.sub(r"<<.*?>>", "", answer).split("####")[0]
        return row["question"].strip(), answer.strip()
    question = [part.strip() for part in (row["instruction"], row["input"]) if part.strip()]
    return "\n\n".join(question), row["output"].strip()


def without_pool(rows: list[tuple[str, str]], pool: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The rows that are not in the pool and no near copies of its dev and test rows."""
    taken = {"".join(as_turns(row)[0].lower().split()) for row in pool}
    rows = [row for row in rows if "".join(row[0].lower().split()) not in taken]
    held_out = ["\n".join(as_turns(row)) for row in pool if row["split"] != "pool"]
    texts = ["\n".join(row) for row in rows]
    vectors = TfidfVectorizer(sublinear_tf=True).fit(texts + held_out)
    nearest = (vectors.transform(texts) @ vectors.transform(held_out).T).max(axis=1).toarray().ravel()
    return [row for row, cosine in zip(rows, nearest, strict=True) if cosine < NEAR_COPY]


def render(row: tuple[str, str]) -> str:
    """The row in the chat template's form; plain text stands alone."""
    return f"{USER}{row[0]}{ASSISTANT}{row[1]}{END}" if row[0] else f"{row[1]}{END}"


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on the texts, with the chat template."""
    bpe = Tokenizer(models.BPE())
    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, USER, ASSISTANT, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        model_max_length=2 * CONTEXT,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def blocks(rows: list[list[int]], rng: random.Random) -> torch.Tensor:
    """The rows in random order, packed from the start of each block; what does not fit in a block is cut off."""
    packed: list[list[int]] = [[]]
    for row in rng.sample(rows, len(rows)):
        if len(packed[-1]) > CONTEXT * 3 // 4:
            packed.append([])
        packed[-1] += row[: CONTEXT - len(packed[-1])]
    return torch.tensor([block + [0] * (CONTEXT - len(block)) for block in packed])


def batches(rows: list[list[int]], rng: random.Random) -> Iterator[torch.Tensor]:
    """Batches without end, packed afresh in every epoch."""
    while True:
        yield from blocks(rows, rng).split(BATCH)


def loss(model: LlamaForCausalLM, tokens: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy a token, padding left out."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result: torch.Tensor = model(input_ids=tokens, labels=tokens.masked_fill(tokens == 0, -100)).loss
    return result


@torch.no_grad()
def held_out_loss(model: LlamaForCausalLM, tokens: torch.Tensor) -> float:
    """The mean loss over the held-out blocks."""
    return float(np.mean([loss(model, batch).item() for batch in tokens.split(BATCH)]))


def fit(model: LlamaForCausalLM, rows: list[list[int]], held_out: torch.Tensor, minutes: float, seed: int) -> None:
    """Train by the clock: warm up, then follow a cosine over the steps that the minutes allow."""
    stream, start = batches(rows, random.Random(seed)), time.monotonic()
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = (
        torch.optim.Muon(matrices, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.05),
    )
    step, recent, done = 0, 0.0, 0.0
    while done < 1:
        value = loss(model, next(stream))
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        step += 1
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * min(step / 100, (1 + math.cos(math.pi * done)) / 2)
            optimizer.step()
            optimizer.zero_grad()
        recent = value.item() if step == 1 else 0.98 * recent + 0.02 * value.item()
        done = min((time.monotonic() - start) / (60 * minutes), 1.0)
        if step % 250 == 0 or done == 1:
            measured = held_out_loss(model, held_out)
            print(f"{step} steps, {done:.0%}: train {recent:.3f}, held out {measured:.3f}", flush=True)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save in half precision, to be loaded in single precision, and for transformers 4 as well as 5."""
    model.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder, save_jinja_files=False)
    tokenizer_class = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for name, changes in (("config.json", {"dtype": "float32"}), ("tokenizer_config.json", tokenizer_class)):
        content = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    """Read the sources, train, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the sources as JSON Lines")
    parser.add_argument("--out", type=Path, required=True, help="folder to save the model to")
    parser.add_argument("--minutes", type=float, default=35.0, help="time to train for")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rows = [as_turns(row) for name in SOURCES.split() for row in read(options.data / f"{name}.jsonl")]
    rows = without_pool([row for row in dict.fromkeys(rows) if row[1]], read(POOL))
    random.Random(options.seed).shuffle(rows)
    texts = [render(row) for row in rows]
    tokenizer = train_tokenizer(texts)
    encoded: list[list[int]] = tokenizer(texts)["input_ids"]
    held_out, encoded = blocks(encoded[:400], random.Random(options.seed)), encoded[400:]
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=224, intermediate_size=576, num_hidden_layers=4, num_attention_heads=7,
        num_key_value_heads=7, max_position_embeddings=2 * CONTEXT, tie_word_embeddings=True,
        bos_token_id=None, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    print(f"{len(encoded)} rows, {sum(map(len, encoded))} tokens, {model.num_parameters()} parameters", flush=True)
    fit(model, encoded, held_out, options.minutes, options.seed)
    save(model, tokenizer, options.out)


if __name__ == "__main__":
    main()
