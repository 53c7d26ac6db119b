"""Keep the tenth of a dataset that is most worth fine-tuning on. Dolly needs the Hub, and an hour or two without a GPU.

python examples/quickstart.py
python examples/quickstart.py rows.jsonl --embedder lexical --output my-subset
"""

import argparse

import shed_hf

parser = argparse.ArgumentParser(description="Keep a tenth of a dataset.")
parser.add_argument("dataset", nargs="?", default="databricks/databricks-dolly-15k", help="a Hub id or a file")
parser.add_argument("--model", default="HuggingFaceTB/SmolLM2-135M-Instruct", help="what to fine-tune")
parser.add_argument("--embedder", default="sentence-transformers/all-MiniLM-L6-v2", help='or "lexical": no download')
parser.add_argument("--output", default="dolly-shed-10pct", help="the folder to save to")
args = parser.parse_args()

curated = shed_hf.curate(args.dataset, 0.1, model=args.model, embedder=args.embedder, ledger="quickstart.ledger")
print(curated)
print(curated.clusters.sort("value", reverse=True)[:5])
curated.save_to_disk(args.output)
