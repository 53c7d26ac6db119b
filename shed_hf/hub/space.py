"""A page as a static Space: a repository of the Hub that shows one HTML file."""

import tempfile
from pathlib import Path

from shed_hf.hub.client import check_push
from shed_hf.hub.readme import BEGIN, FRAME, joined, parsed
from shed_hf.hub.upload import Contents, PushSettings, publish

INDEX = "index.html"

CONTENTS = Contents("space", (INDEX,), lambda _, readme: readme is not None and BEGIN in readme)


def publish_page(
    page: str, repo_id: str, title: str, private: bool | None, message: str | None, token: str | None
) -> str:
    """Make a static Space show a page, in one commit.

    Args:
        page: HTML.
        repo_id: The Space, as ``namespace/name``; it is created where it does not exist.
        title: What the Space is called.
        private: Whether a new one is private; None for the namespace's default.
        message: The title of the commit; None for a generated one.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Returns:
        The address of the Space.

    Raises:
        InputError: For arguments that can't be used, and for a Space whose page shed_hf did not make.
        HubError: When the Hub refuses, or can't be reached.
    """
    check_push(repo_id, token)
    with tempfile.TemporaryDirectory(prefix="shed_hf_") as folder:
        (Path(folder) / INDEX).write_text(page, encoding="utf-8")
        settings = PushSettings(private, None, message or "A report by shed_hf", token)
        return publish(repo_id, Path(folder), lambda existing: _readme(title, existing), CONTENTS, settings)


def _readme(title: str, existing: str | None) -> str:
    """The Space's settings as the Hub reads them, with what its owner changed."""
    from huggingface_hub import SpaceCard, SpaceCardData

    old, text = parsed(existing)
    made = {"title": title, "emoji": "📊", "colorFrom": "blue", "colorTo": "gray", "pinned": False, "tags": ["shed"]}
    settings = {**made, **old, "sdk": "static", "app_file": INDEX}
    card = SpaceCard.from_template(SpaceCardData(**settings), template_str=FRAME, text="")
    card.text = joined(text, "The report of a dataset curated with shed_hf: one page that loads nothing else.")
    return str(card)
