"""The models of a comparison, each with a name and the arguments of `curate` that tune it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from shed_hf.errors import InputError
from shed_hf.game.utility import TrainableUtility, UtilityFactory
from shed_hf.utils.checks import is_listed

UNNAMED = "model"


def models_from(models: Any, utility: Any) -> dict[str, dict[str, Any]]:
    """The arguments of `curate` for every model, by the model's name.

    Args:
        models: A Hub id, a path, a loaded model or a utility such as ``FineTune(…)``; a list of them, or a dict from
            names to them; None for the model of ``utility``.
        utility: What tunes: ``"fine-tune"``, ``FineTune(…)``, whose model each of ``models`` takes the place of, or a
            callable.

    Returns:
        ``model`` and ``utility`` by name.

    Raises:
        InputError: For no model, two of one name, and models that the utility has no place for.
    """
    if models is None:
        return {_name_of(utility): {"model": None, "utility": utility}}
    found: dict[str, dict[str, Any]] = {}
    for name, one in _named(models):
        if name in found:
            raise InputError(
                f"models= has two of the name {name!r}; name them, as in models={{{name!r}: …, {name + ' 2'!r}: …}}"
            )
        found[name] = _arguments(one, utility)
    if not found:
        raise InputError("models= is empty; pass at least one model, or leave it out")
    return found


def _named(models: Any) -> list[tuple[str, Any]]:
    if isinstance(models, Mapping):
        wrong = [name for name in models if not isinstance(name, str) or not name.strip()]
        if wrong:
            raise InputError(f"models= has the key {wrong[0]!r}, which is no name; name every model by some text")
        return list(models.items())
    single = isinstance(models, str | os.PathLike) or not is_listed(models)
    return [(_name_of(one), one) for one in ([models] if single else models)]


def _arguments(one: Any, utility: Any) -> dict[str, Any]:
    if isinstance(one, UtilityFactory | TrainableUtility):
        return {"model": None, "utility": one}
    if isinstance(utility, str):
        return {"model": one, "utility": utility}
    from shed_hf.finetuning.fine_tune import FineTune

    if not isinstance(utility, FineTune):
        raise InputError(
            f"models= goes with a utility that tunes them, and utility= is a {type(utility).__name__}; pass "
            "utility=FineTune(…), or leave models out"
        )
    if utility.tokenizer is not None:
        raise InputError(
            "utility= has a tokenizer=, which is that of one model, and every one of models= has its own; pass those "
            'with settings of their own as models={"name": FineTune(model, tokenizer=…)}'
        )
    return {"model": None, "utility": replace(utility, model=one)}


def _name_of(one: Any) -> str:
    """The last part of a model's name or path."""
    if isinstance(one, str) and one == "fine-tune":
        from shed_hf.finetuning.known_models import DEFAULT_MODEL

        one = DEFAULT_MODEL
    elif isinstance(one, UtilityFactory):
        one = getattr(one, "model", UNNAMED)  # a tuner of one's own may have none
    config = getattr(one, "config", None)  # of a loaded model
    name = str(one) if isinstance(one, str | os.PathLike) else str(getattr(config, "name_or_path", "") or UNNAMED)
    return PurePath(name).name or UNNAMED
