"""Fine-tune with TRL's SFTTrainer on a curated dataset from the Hub, as on any dataset.

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

train = load_dataset(args.repo, split="train")
written = shed_hf.CuratedDataset.from_hub(args.repo).recipe["format"]
print(f"{len(train)} rows, read as {written['name']}: {written['columns']}")
if written["name"] == "instruction":  # TRL reads messages, and prompt with completion, by itself
    read = {part: train[column] for part, column in written["columns"].items()}
    asked = zip(*(read[part] for part in ("instruction", "input") if part in read), strict=True)
    prompts = [[{"role": "user", "content": "\n\n".join(filter(None, parts))}] for parts in asked]
    completions = [[{"role": "assistant", "content": text}] for text in read["output"]]
    train = Dataset.from_dict({"prompt": prompts, "completion": completions})

trainer = SFTTrainer(
    model=args.model,
    train_dataset=train,
    args=SFTConfig(args.output, max_steps=args.max_steps, learning_rate=2e-4, save_strategy="no", bf16=False),
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
)
trainer.train()
trainer.save_model(args.output)
print("adapter saved to", args.output)
