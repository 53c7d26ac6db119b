"""Verification: whether the chosen rows are better than random ones, measured on items that had no part in a choice."""
