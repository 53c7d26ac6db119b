"""One configuration of a curation: for Python's keywords, recipe files, options of the shell and what a result says."""
