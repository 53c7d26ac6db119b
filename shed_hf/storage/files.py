"""Files of plain data, JSON and safetensors, which hold what a result and a scorer have in common."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.embedding.encoders import Encoder, FittedLexical, SentenceTransformerEncoder
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.storage.schema import check_depth

WORDS = "words.json"


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], encoder: Encoder | None) -> None:
    """Write arrays by name as safetensors; a `Lexical` encoder's are added, with its words in a file beside them.

    Args:
        path: The file of arrays.
        arrays: The arrays.
        encoder: The encoder of the result.
    """
    from safetensors.numpy import save_file

    lexical: dict[str, NDArray[Any]] = {}
    if isinstance(encoder, FittedLexical):
        lexical = {"lexical_idf": encoder.idf, "lexical_components": encoder.components}
        write_json(path.with_name(WORDS), encoder.ordered_words)
    path.touch()
    mode = path.stat().st_mode  # what the umask leaves; safetensors makes files that only their owner may read
    save_file({name: np.ascontiguousarray(array) for name, array in {**arrays, **lexical}.items()}, path)
    path.chmod(mode)


def read_arrays(path: Path, name: str) -> dict[str, Any]:
    """Read arrays by name.

    Args:
        path: A safetensors file.
        name: What errors call the whole that it belongs to.

    Returns:
        The arrays.

    Raises:
        InputError: Where the file can't be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, name, error) from error
    except (TypeError, AttributeError, KeyError, ValueError) as error:  # types that numpy does not have, such as BF16
        raise _unreadable(path, name, f"a type of number that numpy does not have: {error}") from error
    other = sorted(part for part, array in arrays.items() if array.dtype.kind not in "iuf")
    if other:
        raise _unreadable(path, name, f"{other[:3]} are neither whole numbers nor floating point")
    return arrays


def _unreadable(path: Path, name: str, why: object) -> InputError:
    return InputError(f"{name} is damaged: {path.name} can't be read ({one_line(why)}); get it again")


def write_json(path: Path, content: Any) -> None:
    """Write JSON, indented for people to read.

    Args:
        path: The file.
        content: What JSON can hold.
    """
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_json(path: Path, name: str) -> Any:
    """Read JSON.

    Args:
        path: The file.
        name: What errors call the whole that it belongs to.

    Returns:
        What the file holds.

    Raises:
        InputError: Where the file can't be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        check_depth(content)
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, name, error) from error
    return content


def encoder_of(described: Mapping[str, Any], arrays: dict[str, Any], folder: Path, name: str) -> Encoder | None:
    """The encoder of a result, where it can be had by a model's name or from arrays and words.

    Args:
        described: Its class as ``name``, and its fields.
        arrays: The arrays of the result.
        folder: Where the file of words is, if there is one.
        name: What errors call the whole.

    Returns:
        The encoder, or None for one of the user's own.

    Raises:
        ValueError: When words and arrays are not each other's.
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
