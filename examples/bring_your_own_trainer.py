"""Value clusters with a trainer of your own: your model, your arguments, your optimizer, your loss.

The trainer below trains with plain SGD and label smoothing, which `FineTune` would not. ``ProxyValueCallback`` measures
single row sets with it; ``TrainerUtility`` makes it the utility of a whole curation. Runs in a minute on the small
model that ships with the demo, without a network.
"""

import tempfile

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

import shed_hf
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL


def main() -> None:
    """Measure two row sets, then curate."""
    rows = Dataset.from_list(demo_pool.damaged(demo_pool.rows("pool"), ["boilerplate"] * 3, seed=0))
    dev = read_pool(Dataset.from_list(demo_pool.rows("dev")))
    tokenizer = AutoTokenizer.from_pretrained(SMALL_MODEL)
    evaluation = shed_hf.Evaluation(dev.examples(range(len(dev))), shed_hf.Loss(), tokenizer, max_length=256)
    trainer = my_trainer(rows.map(chat, remove_columns=rows.column_names), tokenizer)

    callback = shed_hf.ProxyValueCallback([range(16), range(160, 176)], evaluation)
    callback.attach(trainer)
    trainer.train()
    callback.detach(trainer)
    print("two sets of 16 rows are worth", [round(float(outcome.mean()), 4) for outcome in callback.outcomes])

    curated = shed_hf.curate(
        rows,
        size=32,
        utility=shed_hf.TrainerUtility(trainer, evaluation),
        embedder="lexical",
        clusterer="topic",
        proxies_per_cluster=4,
        estimator=shed_hf.Permutation(n_orders=2),
    )
    print(curated.clusters.select_columns(["cluster", "size", "selected", "in_words"]).to_pandas().to_string())


def my_trainer(rows: Dataset, tokenizer: object) -> SFTTrainer:
    """An `SFTTrainer` as one might have it already; its training set is the pool, row for row."""
    model = AutoModelForCausalLM.from_pretrained(SMALL_MODEL)
    args = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=8,
        learning_rate=0.3,
        label_smoothing_factor=0.1,
        max_length=256,
        save_strategy="no",
        logging_strategy="no",
        bf16=False,
        activation_checkpointing=False,
        disable_tqdm=True,
    )
    return SFTTrainer(
        model=model,
        args=args,
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"),
        optimizer_cls_and_kwargs=(torch.optim.SGD, {"lr": args.learning_rate, "momentum": 0.9}),
    )


def chat(row: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """A row as TRL's conversational prompt and completion."""
    question = "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
    return {
        "prompt": [{"role": "user", "content": question}],
        "completion": [{"role": "assistant", "content": row["output"]}],
    }


if __name__ == "__main__":
    main()
