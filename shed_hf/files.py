"""Files of plain data, JSON and safetensors, which hold what a result and a scorer have in common."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.embedding import Encoder, FittedLexical
from shed_hf.errors import InputError


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], encoder: Encoder | None) -> None:
    """Arrays by name, and those of the encoder if it is a `Lexical` one."""
    from safetensors.numpy import save_file

    lexical: dict[str, NDArray[Any]] = {}
    if isinstance(encoder, FittedLexical):
        lexical = {"lexical_idf": encoder.idf, "lexical_components": encoder.components}
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


def fitted(words: Any, arrays: dict[str, Any], **given: int) -> FittedLexical:
    """The `Lexical` embedder of words and arrays. Raises `ValueError` when they are not each other's."""
    idf, components, width = arrays["lexical_idf"], arrays["lexical_components"], arrays["centroids"].shape[1]
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("the words are not a list of words")
    if idf.shape != (len(words),) or components.shape != (width, len(words)):
        raise ValueError(
            f"{len(words)} words, idf {idf.shape} and components {components.shape} for {width} dimensions"
        )
    return FittedLexical.of(words, idf, components, **given)
