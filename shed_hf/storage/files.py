"""Files of plain data, JSON and safetensors, which hold what a result and a scorer have in common."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.embedding.encoders import Encoder, FittedLexical, SentenceTransformerEncoder
from shed_hf.errors import InputError

WORDS = "words.json"


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], encoder: Encoder | None) -> None:
    """Arrays by name, and those of the encoder if it is a `Lexical` one, with its words in a file beside them."""
    from safetensors.numpy import save_file

    lexical: dict[str, NDArray[Any]] = {}
    if isinstance(encoder, FittedLexical):
        lexical = {"lexical_idf": encoder.idf, "lexical_components": encoder.components}
        write_json(path.with_name(WORDS), encoder.ordered_words)
    save_file({name: np.ascontiguousarray(array) for name, array in {**arrays, **lexical}.items()}, path)


def read_arrays(path: Path, name: str) -> dict[str, Any]:
    """Arrays by name. Raises `InputError`, calling the whole ``name``, where the file can't be read."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{name} is damaged: {path.name} can't be read ({error}); get it again") from error


def write_json(path: Path, content: Any) -> None:
    """The content as JSON, for people to read as well."""
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_json(path: Path, name: str) -> Any:
    """What a JSON file holds. Raises `InputError` where it can't be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{name} is damaged: {path.name} can't be read ({error}); get it again") from error


def encoder_of(described: Mapping[str, Any], arrays: dict[str, Any], folder: Path, name: str) -> Encoder | None:
    """The encoder, where it can be had by a model's name or from arrays and the words in ``folder``. Raises
    `ValueError` when those are not each other's.
    """
    given = {field: value for field, value in described.items() if field != "name" and value is not None}
    if described["name"] == FittedLexical.__name__ and (folder / WORDS).is_file():
        return _fitted(read_json(folder / WORDS, name), arrays, **given)
    if described["name"] == SentenceTransformerEncoder.__name__:
        return SentenceTransformerEncoder(**given)
    return None


def _fitted(words: Any, arrays: dict[str, Any], **given: int) -> FittedLexical:
    idf, components, width = arrays["lexical_idf"], arrays["lexical_components"], arrays["centroids"].shape[1]
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("the words are not a list of words")
    if idf.shape != (len(words),) or components.shape != (width, len(words)):
        raise ValueError(
            f"{len(words)} words, idf {idf.shape} and components {components.shape} for {width} dimensions"
        )
    return FittedLexical.of(words, idf, components, **given)
