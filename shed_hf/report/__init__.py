"""The report: one page without network, figures for notebooks and papers, and a static Space.

`write_report` writes the page and `push_report` publishes it; `figure_of` makes a figure.
"""
