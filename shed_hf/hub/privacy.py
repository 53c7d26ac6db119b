"""What of a result is published: whether its source is public, and which words and paths are left out."""

import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from shed_hf.clustering.topic_terms import LOOKED_AT, top_terms
from shed_hf.embedding.encoders import FittedLexical
from shed_hf.errors import HubError, InputError
from shed_hf.game.ledger import Ledger
from shed_hf.hub.client import client
from shed_hf.hub.retry import with_retries
from shed_hf.results.curation import Curation
from shed_hf.results.map_columns import with_places
from shed_hf.results.recipe import HubEntry, Recipe
from shed_hf.results.tables import clusters_table
from shed_hf.utils.checks import is_one_of
from shed_hf.utils.console import say


@dataclass(frozen=True)
class SourceAccess:
    """What the Hub says of the source.

    Attributes:
        public: Whether anybody may read its rows.
        card: The metadata of its card.
    """

    public: bool = False
    card: dict[str, Any] = field(default_factory=dict)

    def shows(self, excerpts: "Excerpts") -> bool:
        """Whether texts of rows are shown: as was asked, ``"auto"`` only of a public dataset of the Hub.

        Args:
            excerpts: What was asked.

        Returns:
            Whether they are.
        """
        return self.public if excerpts == "auto" else bool(excerpts)

    def makes_private(self, private: bool | None) -> bool:
        """Whether a new repository is private: as was asked, or else unless the source is public.

        Args:
            private: What was asked; None for nothing.

        Returns:
            Whether it is.
        """
        return not self.public if private is None else bool(private)


def check_excerpts(excerpts: object) -> None:
    """Raise for what says nothing of whether texts of rows are shown.

    Args:
        excerpts: What was asked.

    Raises:
        InputError: For anything but ``"auto"``, True and False.
    """
    if not is_one_of(excerpts, "auto", True, False):
        raise InputError(f'excerpts={excerpts!r} is unknown; pass "auto", True or False')


def source_access(curated: Curation, token: str | None) -> SourceAccess:
    """What the Hub says of a result's source; nothing where it came from elsewhere or can't be seen.

    Its rows count as public only where they are read, untouched, from a repository without a gate.

    Args:
        curated: The result.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Returns:
        Whether the source is public, and its card's metadata.
    """
    return access_of(curated.recipe["source"]["hub"], token)


def items_are_public(curated: Curation, source: SourceAccess, token: str | None) -> bool:
    """Whether anybody may read the evaluation items, so that digests of their texts tell nothing new.

    Args:
        curated: The result.
        source: What the Hub says of its source, whose rows items are that were held out.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Returns:
        False also where it is not known what the items are.
    """
    entry = curated.recipe["evaluation"]
    if entry is None:
        return False
    if entry["held_out"]:
        return source.public
    return access_of(entry["hub"], token, "the digests of its items are left out").public


def access_of(
    hub: HubEntry | None,
    token: str | None,
    otherwise: str = "its licence is not inherited and it counts as private",
) -> SourceAccess:
    """What the Hub says of a dataset; nothing where it came from elsewhere or can't be seen.

    Args:
        hub: Where its rows came from; None where that is unknown.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.
        otherwise: What follows where it can't be seen, in words.

    Returns:
        Whether anybody may read the rows, and its card's metadata.
    """
    if hub is None:
        return SourceAccess()
    try:
        info = with_retries(
            lambda: client(token).dataset_info(hub["repo"], revision=hub["revision"]), f"reading {hub['repo']}"
        )
    except HubError as error:
        say(f"the card of {hub['repo']} can't be read, so {otherwise}: {error}")
        return SourceAccess()
    open_to_all = not info.private and not getattr(info, "gated", False)
    card: dict[str, Any] = info.card_data.to_dict() if info.card_data is not None else {}  # type: ignore[no-untyped-call]
    return SourceAccess(open_to_all and hub["untouched"], card)


def as_published(curated: Curation, excerpts: bool, item_keys: bool = False) -> Curation:
    """The result without paths of this machine, its rows with their places on the map and, unless excerpts are shown,
    without a word of rows that were not kept.

    What is left out then: the excerpts of proxies and a `Lexical` embedder, whose vocabulary is that of the whole pool.
    Top terms are found anew among the kept rows.

    Args:
        curated: The result.
        excerpts: Whether the beginnings of rows are shown.
        item_keys: Whether digests of evaluation items go along, by which whoever has a text can tell whether it is one.

    Returns:
        The result to publish.
    """
    ledger = Ledger.of(without_paths(curated.ledger.header), curated.ledger)
    valued = replace(curated.valued, ledger=ledger)
    if not excerpts:
        valued = replace(
            valued,
            excerpts=[None] * len(valued.excerpts),
            terms=_terms_of_kept(curated),
            encoder=None if isinstance(valued.encoder, FittedLexical) else valued.encoder,
        )
    recipe = without_paths(curated.recipe if item_keys else without_item_keys(curated.recipe))
    clusters = clusters_table(valued, curated.rows)
    return replace(curated, dataset=with_places(curated), valued=valued, recipe=recipe, clusters=clusters)


def without_item_keys(recipe: Recipe) -> Recipe:
    """The recipe without the digests of single evaluation items.

    Args:
        recipe: The recipe, which stays as it is.

    Returns:
        The same but for these.
    """
    entry = recipe["evaluation"]
    if entry is None or "keys" not in entry:
        return recipe
    shown = entry.copy()
    del shown["keys"]
    return {**recipe, "evaluation": shown}


def _terms_of_kept(curated: Curation) -> list[list[str]]:
    clusters = np.array(curated.dataset["shed_cluster"][:])
    n_clusters = curated.clustering.n_clusters
    looked_at = [np.flatnonzero(clusters == number)[:LOOKED_AT] for number in range(n_clusters)]
    rows = curated.dataset.with_format(None)[np.concatenate(looked_at)]
    read_as = curated.valued.format
    examples = [read_as.read(dict(zip(rows, cells, strict=True))) for cells in zip(*rows.values(), strict=True)]
    texts = [read_as.text_of(example) for example in examples]
    return top_terms(texts, np.repeat(np.arange(n_clusters), [len(of) for of in looked_at]), n_clusters)


_FOLDERS = r"(?:(?:file://)?/|~/|[A-Za-z]:[/\\])"


_QUOTED = re.compile(rf"(?P<quote>['\"])(?P<path>{_FOLDERS}[^'\"]*[/\\][^'\"]*)(?P=quote)")


_BARE = re.compile(r"(?<=[\s(=,])(?:file://)?/(?:[\w.@+-]+/)+[\w.@+-]+")


def without_paths(record: Any) -> Any:
    """The record with folders of this machine cut to their last name: they tell who works where, and help nobody else.

    Args:
        record: Plain data.

    Returns:
        The same data with other text.
    """
    if isinstance(record, dict):
        return {name: without_paths(part) for name, part in record.items()}
    if isinstance(record, list | tuple):
        return [without_paths(part) for part in record]
    if not isinstance(record, str):
        return record
    if re.fullmatch(rf"{_FOLDERS}.*[/\\].*", record):
        return _cut(record)
    quoted = _QUOTED.sub(lambda found: found["quote"] + _cut(found["path"]) + found["quote"], record)
    return _BARE.sub(lambda found: _cut(found[0]), quoted)


def _cut(path: str) -> str:
    """``./name``, which can't be taken for a name on the Hub."""
    return "./" + re.split(r"[/\\]", path.rstrip("/\\"))[-1]


Excerpts = Literal["auto"] | bool
"""Whether a card shows the beginnings of rows; ``"auto"``: only those of a public dataset of the Hub."""
