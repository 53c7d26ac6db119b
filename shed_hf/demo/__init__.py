"""The demo: a real curation of a small real pool with a real language model.

`run.run` curates and compares, `show.show` prints what came of it. `choice` settles which model is taken here.
"""
