"""A curated dataset as a folder of Parquet, safetensors and JSON files, and the checks of what is read back.

`curated_folder.save` and `load` are the entries; nothing that is read runs code, and all of it is checked.
"""
