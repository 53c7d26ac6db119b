"""A curated dataset as a folder of Parquet, safetensors and JSON files, and the checks of what is read back."""
