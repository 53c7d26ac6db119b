"""The report: one page without network, figures for notebooks and papers, and a static Space."""
