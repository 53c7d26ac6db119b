"""A finished curation goes on: its ranking measured with another model, its pool grown by new rows."""
