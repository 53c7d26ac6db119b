"""Utilities: what a set of rows is worth. `fine_tune` trains a model on them; any callable will do as well."""
