"""The cooperative game: players bring rows, a coalition is worth what a model fine-tuned on its rows can do.

A `Game` measures coalitions by a `Utility` and records each outcome in its `Ledger`. The game and its Shapley values
follow SHED (He et al., NeurIPS 2024, arXiv 2405.00705).
"""
