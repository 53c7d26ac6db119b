"""Pull a curated dataset from the Hub and fine-tune a model on it with TRL's SFTTrainer, as on any dataset.

python examples/finetune_on_curated.py me/dolly-shed-10pct --output tuned
"""

import argparse

from datasets import Dataset, load_dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

import shed_hf

parser = argparse.ArgumentParser(description="Fine-tune on a curated dataset.")
parser.add_argument("repo", help="a dataset that CuratedDataset.push_to_hub published")
parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="what to fine-tune")
parser.add_argument("--output", default="tuned", help="where the adapter is saved")
parser.add_argument("--max-steps", type=int, default=-1, help="stop earlier than after one epoch")
args = parser.parse_args()

curated = load_dataset(args.repo, split="train")
recipe = shed_hf.CuratedDataset.from_hub(args.repo).recipe
columns = recipe["format"]["columns"]
print(f"{len(curated)} rows of {recipe['source']['rows']}, read as {recipe['format']['name']}: {columns}")


def as_messages(row: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """Instruction rows as the prompt and completion that SFTTrainer masks and templates itself."""
    asked = "\n\n".join(
        row[columns[part]] for part in ("instruction", "input") if part in columns and row[columns[part]]
    )
    return {
        "prompt": [{"role": "user", "content": asked}],
        "completion": [{"role": "assistant", "content": row[columns["output"]]}],
    }


train: Dataset = curated
if recipe["format"]["name"] == "instruction":  # TRL reads messages and prompt + completion by itself
    train = curated.map(as_messages, remove_columns=curated.column_names)

trainer = SFTTrainer(
    model=args.model,
    train_dataset=train,
    args=SFTConfig(
        output_dir=args.output,
        num_train_epochs=1,
        max_steps=args.max_steps,
        learning_rate=2e-4,
        per_device_train_batch_size=8,
        bf16=False,
        activation_checkpointing=False,
        save_strategy="no",
        logging_steps=1,
    ),
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
)
trainer.train()
trainer.save_model(args.output)
print("adapter saved to", args.output)
