"""Models that the package knows by name: the default, and the small one that ships with it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shed_hf.errors import InputError, ShedError
from shed_hf.utils.hub_problems import hub_problem, refuse_unreachable
from shed_hf.utils.local_paths import exists_locally
from shed_hf.utils.text import first_line

DEFAULT_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"

SHIPPED_MODEL = Path(__file__).parents[1] / "demo" / "model"
"""The small model of the demo; it needs no network, and knows little."""

SHORT_NAMES: Mapping[str, Path] = {"small": SHIPPED_MODEL}
"""Words that stand for a model, wherever the package is installed; a folder of that name is passed as ``./small``."""

_INSTEAD = 'a folder with a model, or "small", a small one that comes with shed_hf'


def resolve_model(model: str) -> str:
    """What a model is loaded from.

    Args:
        model: A word of `SHORT_NAMES`, a Hub id or a path.

    Returns:
        The folder that the word stands for; anything else as it is.
    """
    return str(SHORT_NAMES.get(model, model))


def short_model_name(model: str) -> str:
    """What a model is called wherever the package is installed.

    Args:
        model: A word of `SHORT_NAMES`, a Hub id or a path.

    Returns:
        The word that stands for the folder; anything else as it is.
    """
    if model in SHORT_NAMES or not Path(model).is_dir():
        return model
    return next((word for word, folder in SHORT_NAMES.items() if Path(model).resolve() == folder.resolve()), model)


def not_loaded(name: str, error: Exception) -> ShedError:
    """The error to raise for a model that could not be loaded.

    Args:
        name: The model's name or path.
        error: What its library raised.

    Returns:
        The error, which names the model that is always there.
    """
    why = first_line(error) or type(error).__name__
    problem = None if exists_locally(name, "model") else hub_problem(name, "model", "model", error, _INSTEAD)
    return problem or InputError(
        f"model={name!r} could not be loaded ({why}); pass a Hub id that can be reached, or {_INSTEAD}"
    )


def init_kwargs_of(given: Any) -> dict[str, Any]:
    """What ``model_init_kwargs`` says, which TRL takes as JSON too.

    Args:
        given: A mapping, or its JSON; None for nothing.

    Returns:
        The arguments of ``from_pretrained`` by name.

    Raises:
        InputError: For anything else.
    """
    found = given or None
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            found = given  # which is refused below
    if not isinstance(found, Mapping | None):
        raise InputError(f"model_init_kwargs={given!r:.100} is neither a mapping nor JSON of one; pass one")
    return dict(found or {})


def check_reachable(name: str, init_kwargs: Any = None) -> None:
    """Refuse a model on the Hub at once where neither the cache has it nor the Hub can be reached.

    Args:
        name: The model's name or path.
        init_kwargs: What ``from_pretrained`` will be told, such as another ``cache_dir``, as `init_kwargs_of` takes it.

    Raises:
        HubError: Where it can be had from nowhere.
        InputError: For arguments that can't be used.
    """
    told = init_kwargs_of(init_kwargs)
    cache = told.get("cache_dir")
    if not isinstance(cache, str | os.PathLike | None):
        raise InputError(f"cache_dir={cache!r:.100} in model_init_kwargs is not a path; pass one, or leave it out")
    if not told.get("local_files_only"):  # the library fails at once
        refuse_unreachable(name, "model", "model", _INSTEAD, cache)
