"""One configuration of a curation: for Python's keywords, recipe files, options of the shell and what a result says.

Every setting is a field of `ShedConfig`, made by `setting` with its default, kind and help. From these fields follow
the keywords of `curate`, what a recipe file may say, and the options of the shell.
"""
