"""Keep the tenth of Dolly that is most worth fine-tuning on. Needs the Hub, and an hour or two without a GPU."""

from datasets import load_dataset

import shed_hf

dolly = load_dataset("databricks/databricks-dolly-15k", split="train")

curated = shed_hf.curate(dolly, size=0.1, ledger="dolly.ledger")

print(curated)
print(curated.clusters.sort("value", reverse=True)[:5])
curated.save_to_disk("dolly-shed-10pct")
