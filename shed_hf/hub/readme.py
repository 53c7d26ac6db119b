"""The README of a repository: its template, its metadata, and the generated part among the owner's own text."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

BEGIN, END = "<!-- shed_hf: what follows is generated -->", "<!-- shed_hf: until here -->"


TAGS = ("shed", "shapley", "data-curation")


FRAME = "---\n{{ card_data }}\n---\n\n{{ text }}"


def template(name: str) -> Any:
    """A card's template, from the installed package or from the checkout.

    Args:
        name: The name of the file without ``.md.jinja``.

    Returns:
        A jinja2 template that refuses undefined names.
    """
    return _environment().get_template(f"{name}.md.jinja")


@cache
def _environment() -> "Environment":
    """One for all cards of a process: it keeps the templates that it has compiled."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    package = Path(__file__).parents[1]
    places = [str(package / "hub_cards"), str(package.parent / "hub_cards")]
    # Rows' text is escaped for Markdown before it gets here; escaping it for HTML as well would show the entities.
    return Environment(  # noqa: S701
        loader=FileSystemLoader(places), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )


def is_hub_name(model: str) -> bool:
    """Whether a model's name can be that of a repository, and not of a folder.

    Args:
        model: The name, as it was given.

    Returns:
        True for ``namespace/name``.
    """
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model) is not None


def parsed(existing: str | None) -> tuple[dict[str, Any], str]:
    """Metadata and text of a README; what can't be read as metadata is text.

    Args:
        existing: The README, or None.

    Returns:
        The metadata, and the text below it.
    """
    from huggingface_hub import DatasetCard
    from yaml import YAMLError

    if existing is None:
        return {}, ""
    try:
        card = DatasetCard(existing, ignore_metadata_errors=True)
    except (ValueError, TypeError, YAMLError):
        return {}, existing
    data: dict[str, Any] = card.data.to_dict()  # type: ignore[no-untyped-call]
    return data, card.text


def joined(old: str, new: str) -> str:
    """The owner's text with the generated part replaced in its place, or put before it.

    Args:
        old: The text of the README that there is.
        new: The generated part, in Markdown.

    Returns:
        The text of the new README, the generated part between its two marks.
    """
    generated = f"{BEGIN}\n\n{new.replace(BEGIN, '').replace(END, '').strip()}\n\n{END}"  # a name may hold a mark
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        return f"{before}{generated}{after}"
    return f"\n{generated}\n\n{old.strip()}".rstrip() + "\n"


def dataset_readme(existing: str | None, generated: dict[str, Any], page: str) -> str:
    """The README of a dataset repository, with the metadata and the text that its owner wrote.

    Args:
        existing: The README that the repository has, or None.
        generated: Metadata that takes the place of the owner's; tags are added to the owner's.
        page: The generated part, in Markdown.

    Returns:
        The README as text.
    """
    from huggingface_hub import DatasetCard, DatasetCardData

    old, text = parsed(existing)
    tags = old.get("tags") or []
    all_tags = [*([tags] if isinstance(tags, str) else tags), *generated.get("tags", [])]
    data = DatasetCardData(**{**old, **generated, "tags": list(dict.fromkeys(all_tags))})
    card = DatasetCard.from_template(data, template_str=FRAME, text="")
    card.text = joined(text, page)
    return str(card)
