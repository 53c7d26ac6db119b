"""Verification: whether the chosen rows are better than random ones, measured on items that had no part in a choice.

`verify` tunes on the chosen rows and on random ones as `Trials`, and `judge` makes a `Verdict` of their outcomes.
"""
