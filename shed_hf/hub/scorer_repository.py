"""A scorer as a folder, and as a model repository on the Hub: safetensors and JSON, nothing that runs.

::

    model.safetensors  centroids, values, stderr; of a `Lexical` embedder also its weights
    config.json        the encoder's name, how rows are read, the version of this format
    words.json         the words of a `Lexical` embedder
    README.md          the card
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from shed_hf.data.formats import RowFormat
from shed_hf.embedding.encoders import Encoder, FittedLexical, SentenceTransformerEncoder
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.hub.client import check_name, check_push, fetch
from shed_hf.hub.markdown import as_code
from shed_hf.hub.readme import FRAME, TAGS, is_hub_name, joined, parsed, template
from shed_hf.hub.upload import Contents, PushSettings, publish
from shed_hf.results.cluster_scores import VERSION, ClusterScores
from shed_hf.results.recipe import FormatEntry
from shed_hf.storage.files import WORDS, encoder_of, read_arrays, read_json, write_arrays, write_json
from shed_hf.storage.schema import check_typed
from shed_hf.utils.checks import check_new_path, check_path, require
from shed_hf.utils.redaction import without_secrets

CONFIG, ARRAYS = "config.json", "model.safetensors"


def _is_ours(files: Sequence[str], readme: str | None) -> bool:
    return WORDS in files or parsed(readme)[0].get("library_name") == "shed_hf"


CONTENTS = Contents("model", (CONFIG, ARRAYS, WORDS), _is_ours)


class ScorerEntry(TypedDict):
    """The fields of ``config.json``."""

    version: int
    library_name: str
    encoder: dict[str, str | None]
    format: FormatEntry
    clusters: int
    dimensions: int


_FIELDS = set(ScorerEntry.__annotations__)


def save(scorer: ClusterScores, folder: str | os.PathLike[str]) -> None:
    """Write the files of a scorer; those of a scorer saved there before are written over.

    Args:
        scorer: What to save.
        folder: Where; it is created where it does not exist.

    Raises:
        InputError: For what is no path, and where nothing can be written.
    """
    target = check_new_path(folder, "a folder", "folder")
    arrays: dict[str, Any] = {"centroids": scorer.centroids, "values": scorer.values, "stderr": scorer.stderr}
    try:
        target.mkdir(parents=True, exist_ok=True)
        write_arrays(target / ARRAYS, arrays, scorer.encoder)
        write_json(target / CONFIG, _config(scorer))
        (target / "README.md").write_text(_card(scorer, target.name, None), encoding="utf-8")
    except OSError as error:
        raise InputError(f"folder={str(folder)!r} cannot be written ({error}); pass another") from error


@without_secrets
def load(
    name: str | os.PathLike[str], encoder: Encoder | None, revision: str | None, token: str | None
) -> ClusterScores:
    """The scorer in a folder, or else in a repository of that name.

    Args:
        name: A folder, or ``namespace/name`` on the Hub.
        encoder: What embeds new rows; None for the one that was saved.
        revision: A branch, tag or commit; None for the main branch.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``, if any.

    Returns:
        The scorer.

    Raises:
        InputError: For files that are missing, damaged or of a newer version.
        HubError: When the Hub refuses, or can't be reached and the cache lacks the files.
    """
    folder = check_path(name, "a folder, or a name on the Hub", "name")
    if not folder.is_dir():
        _check_is_name(str(name))
        folder = fetch(str(name), "model", revision, token, [CONFIG, ARRAYS, WORDS], CONFIG)
    if not (folder / CONFIG).is_file() or not (folder / ARRAYS).is_file():
        raise InputError(
            f"{str(name)!r} holds no scorer ({CONFIG} or {ARRAYS} is missing); pass what save_pretrained or "
            "push_to_hub wrote"
        )
    config = _checked(read_json(folder / CONFIG, str(name)), str(name))
    arrays = _arrays(folder / ARRAYS, str(name))
    try:
        row_format = RowFormat.from_json(config["format"])
        require(
            config["clusters"] == len(arrays["values"]), f"{config['clusters']} clusters of {len(arrays['values'])}"
        )
        require(
            all(isinstance(column, str) for column in row_format.columns.values()),
            "the columns of the format are not names",
        )
        found = encoder or _encoder(config["encoder"], arrays, folder, str(name))
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} is damaged: {CONFIG} says {one_line(repr(error))}; get it again") from error
    return ClusterScores(arrays["centroids"], arrays["values"], arrays["stderr"], found, row_format)


@without_secrets
def push(
    scorer: ClusterScores,
    repo_id: str,
    private: bool | None,
    revision: str | None,
    message: str | None,
    token: str | None,
) -> str:
    """Publish the files of a scorer in one commit.

    The words of a `Lexical` embedder are those of its pool: its repository is private unless ``private`` is False.

    Args:
        scorer: What to publish.
        repo_id: The repository, as ``namespace/name``.
        private: Whether a new repository is private; None for the namespace's default.
        revision: The branch to commit to; None for the main one.
        message: The title of the commit; None for a generated one.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Returns:
        The address of the repository's page.

    Raises:
        InputError: For arguments or a repository that can't be used.
        HubError: When the Hub refuses, or can't be reached.
    """
    check_push(repo_id, token)
    lexical = isinstance(scorer.encoder, FittedLexical)
    settings = PushSettings(
        private=(True if lexical else None) if private is None else bool(private),
        revision=revision,
        message=message or f"Values of {len(scorer.values)} clusters",
        token=token,
    )
    with tempfile.TemporaryDirectory(prefix="shed_hf_") as folder:
        save(_portable(scorer), folder)
        return publish(
            repo_id, Path(folder), lambda existing: _card(_portable(scorer), repo_id, existing), CONTENTS, settings
        )


def _portable(scorer: ClusterScores) -> ClusterScores:
    """The scorer with the encoder's folder on this machine cut to its last name."""
    encoder = scorer.encoder
    if not isinstance(encoder, SentenceTransformerEncoder) or not encoder.model.startswith(("/", "~")):
        return scorer
    named = SentenceTransformerEncoder(f"./{Path(encoder.model).name}")
    return ClusterScores(scorer.centroids, scorer.values, scorer.stderr, named, scorer.format)


def _config(scorer: ClusterScores) -> dict[str, Any]:
    encoder = scorer.encoder
    model = encoder.model if isinstance(encoder, SentenceTransformerEncoder) else None
    return {
        "library_name": "shed_hf",
        "version": VERSION,
        "encoder": {"name": type(encoder).__name__, "model": model},
        "format": scorer.format.as_json(),
        "clusters": len(scorer.values),
        "dimensions": scorer.centroids.shape[1],
    }


def _check_is_name(name: str) -> None:
    try:
        check_name(name)
    except InputError as error:
        raise InputError(
            f"{name!r} is neither a folder nor the name of a repository; pass the folder that save_pretrained wrote, "
            "or a repository as namespace/name"
        ) from error


def _checked(config: Any, name: str) -> dict[str, Any]:
    found = config.get("version") if isinstance(config, dict) else None
    if isinstance(found, int) and found > VERSION:
        raise InputError(
            f"{name} was written in format {one_line(found, 20)}, this version of shed_hf reads up to {VERSION}; "
            "upgrade it with pip, from where it was installed"
        )
    if not isinstance(config, dict) or set(config) != _FIELDS or type(found) is not int:
        got = one_line(sorted(config) if isinstance(config, dict) else type(config).__name__)
        raise InputError(f"{name} is no scorer: {CONFIG} has {got}, expected {sorted(_FIELDS)}; get it again")
    try:
        check_typed(config, ScorerEntry, CONFIG)
    except ValueError as error:
        raise InputError(f"{name} is damaged: {error}; get it again") from error
    return config


def _arrays(path: Path, name: str) -> dict[str, Any]:
    arrays = read_arrays(path, name)
    shapes = {part: arrays[part].shape if part in arrays else None for part in ("centroids", "values", "stderr")}
    centroids = arrays.get("centroids", np.empty(0))
    n = len(centroids)
    if centroids.ndim != 2 or not n or shapes["values"] != (n,) or shapes["stderr"] != (n,):
        raise InputError(f"{name} is damaged: its arrays have the shapes {shapes}; get it again")
    if any(arrays[part].dtype.kind != "f" for part in ("centroids", "values", "stderr")):
        raise InputError(f"{name} is damaged: its arrays are not floating point; get it again")
    if not np.isfinite(centroids).all() or np.isinf(arrays["values"]).any() or np.isnan(arrays["values"]).all():
        raise InputError(f"{name} is damaged: centroids or values are not finite; get it again")
    return arrays


def _encoder(described: dict[str, Any], arrays: dict[str, Any], folder: Path, name: str) -> Encoder:
    found = encoder_of(described, arrays, folder, name)
    if found is None:
        raise InputError(
            f"{name} was made with an encoder of its owner's, {described['name']}; pass encoder= with that one, "
            "anything with .encode(texts)"
        )
    return found


def _card(scorer: ClusterScores, repo_id: str, existing: str | None) -> str:
    from huggingface_hub import ModelCard, ModelCardData

    old, text = parsed(existing)
    generated = {"library_name": "shed_hf", "tags": list(dict.fromkeys([*(old.get("tags") or []), *TAGS]))}
    own = isinstance(scorer.encoder, SentenceTransformerEncoder | FittedLexical)
    if isinstance(scorer.encoder, SentenceTransformerEncoder) and is_hub_name(scorer.encoder.model):
        generated["base_model"] = scorer.encoder.model
    values = scorer.values[~np.isnan(scorer.values)]
    page = template("scorer_card").render(
        title=as_code(repo_id.rsplit("/", 1)[-1]),
        repo_id=repo_id,
        encoder_argument="" if own else ", encoder=my_encoder",
        n_clusters=len(scorer.values),
        n_valued=len(values),
        lowest=f"{values.min():+.4f}",
        highest=f"{values.max():+.4f}",
        format=as_code(scorer.format.name),
        columns=", ".join(as_code(column) for column in scorer.format.read_columns),
        encoder=_encoder_in_words(scorer.encoder),
    )
    data = ModelCardData(**{**old, **generated})
    card = ModelCard.from_template(data, template_str=FRAME, text="")
    card.text = joined(text, page)
    return str(card)


def _encoder_in_words(encoder: Encoder) -> str:
    if isinstance(encoder, SentenceTransformerEncoder):
        return as_code(encoder.model)
    if isinstance(encoder, FittedLexical):
        return f"TF-IDF of {len(encoder.vocabulary):,} words and a projection, both in this repository"
    return f"an encoder of the owner's, {as_code(type(encoder).__name__)}"
