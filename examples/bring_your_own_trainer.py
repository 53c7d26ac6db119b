"""Value clusters with a trainer of your own: your model, your arguments, your optimizer, your loss.

This one trains with plain SGD and label smoothing, which `FineTune` would not:

    python examples/bring_your_own_trainer.py rows.jsonl dev.jsonl --model HuggingFaceTB/SmolLM2-135M-Instruct
"""

import argparse
import tempfile

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

import shed_hf

parser = argparse.ArgumentParser(description="Curate with a trainer of your own.")
parser.add_argument("rows", help="a .jsonl file of rows with prompt and completion")
parser.add_argument("dev", help="such a file to evaluate on")
parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="what to fine-tune")
parser.add_argument("--size", type=int, default=32, help="how many rows to keep")
args = parser.parse_args()

rows = load_dataset("json", data_files=args.rows, split="train")
trainer = SFTTrainer(
    model=args.model,
    args=SFTConfig(tempfile.mkdtemp(), label_smoothing_factor=0.1, save_strategy="no", report_to="none", bf16=False),
    train_dataset=rows,
    peft_config=LoraConfig(r=8, target_modules="all-linear", task_type="CAUSAL_LM"),
    optimizer_cls_and_kwargs=(torch.optim.SGD, {"lr": 0.3, "momentum": 0.9}),
)
evaluation = shed_hf.Evaluation(args.dev, "loss", AutoTokenizer.from_pretrained(args.model), max_length=512)
utility = shed_hf.TrainerUtility(trainer, evaluation)
curated = shed_hf.curate(
    rows, args.size, utility=utility, embedder="lexical", clusterer=shed_hf.KMeans(6), budget=24, sampler="qocs",
    merit=None,  # plain SGD gives rows no credit
)  # fmt: skip
print(curated.clusters.select_columns(["cluster", "size", "selected", "in_words"]).to_pandas().to_string())
