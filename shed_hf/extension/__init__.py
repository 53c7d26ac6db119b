"""A finished curation goes on: its ranking measured with another model, its pool grown by new rows.

`transfer` and `update` are the entries; both measure by an `Extension`, the curation's problem bound again.
"""
