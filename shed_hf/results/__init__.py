"""The result of a curation as records, and what follows without a fine-tuning: tables, resampling, re-estimation."""
