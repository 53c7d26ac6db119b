"""Publishing curated datasets and scorers on the Hugging Face Hub, and reading them back.

`publish.push` and `publish.pull` are for curated datasets, `scorer_repository` is for scorers; both go through
`upload`. `card` writes the page of a repository, in words from `card_text`.
"""
