"""Where settings come from: a `ShedConfig`, a recipe file, and the folder or repository of a result."""

import os
from pathlib import Path
from typing import Any

from shed_hf.config.recipe_file import WrittenSettings, read_recipe_file
from shed_hf.config.recipe_settings import settings_of_recipe
from shed_hf.config.setting import Setting
from shed_hf.config.shed_config import DESTINATIONS, SETTINGS_BY_NAME, ShedConfig
from shed_hf.errors import InputError
from shed_hf.hub.client import fetch
from shed_hf.results.recipe import Recipe
from shed_hf.storage.checks import check_manifest
from shed_hf.storage.curated_folder import FORMAT_VERSION, MANIFEST
from shed_hf.storage.files import read_json
from shed_hf.utils.console import say

_FILES = (".yaml", ".yml", ".json")


def is_recipe(thing: Any) -> bool:
    """Whether a second positional argument is a configuration or a recipe file, and not a size.

    Args:
        thing: Anything.

    Returns:
        True for a `ShedConfig`, a path object, and text that ends as recipe files do.
    """
    if isinstance(thing, ShedConfig | WrittenSettings | Path):
        return True
    return isinstance(thing, str) and thing.lower().endswith(_FILES)


def settings_from_args(args: Any) -> WrittenSettings:
    """The settings that ``args=`` or ``--config`` stands for.

    Args:
        args: A `ShedConfig`; a recipe file; the folder of a result; its repository as ``namespace/name``, with
            ``@revision`` behind it for one that is not the newest; None for nothing.

    Returns:
        The settings that were given or that were in force.

    Raises:
        InputError: For anything else, and for what is wrong in it.
        HubError: For a repository that cannot be reached.
    """
    if args is None or isinstance(args, WrittenSettings):
        return args or WrittenSettings({})
    if isinstance(args, ShedConfig):
        return WrittenSettings(args.given(), name="args")
    if not isinstance(args, str | os.PathLike):
        raise InputError(
            f"args is a {type(args).__name__}; pass a ShedConfig or the path of a recipe; a trl.SFTConfig goes into "
            "utility=FineTune(args=…)"
        )
    return _written_at(os.fspath(args))


def _written_at(place: str) -> WrittenSettings:
    path, named = Path(place).expanduser(), place.lower().endswith(_FILES)
    if path.is_dir():
        return _repeating(_recipe_in(path, place), place)
    if path.exists() or named or place.count("/") != 1 or place.startswith((".", "/", "~")):
        return read_recipe_file(path, _all_settings())
    repo, _, revision = place.partition("@")
    folder = fetch(repo, "dataset", revision or None, None, [MANIFEST], MANIFEST)
    return _repeating(_recipe_in(folder, place), place)


def _repeating(recipe: Recipe, name: str) -> WrittenSettings:
    if recipe["reestimate"] is not None or recipe["sampling_seed"] != recipe["seed"]:
        say(f"{name} was valued or drawn anew after its curation; what is repeated is the curation")
    return settings_of_recipe(recipe, name)


def _all_settings() -> dict[str, Setting]:
    return {**SETTINGS_BY_NAME, **DESTINATIONS}


def _recipe_in(folder: Path, name: str) -> Recipe:
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{name} holds no result of shed_hf ({MANIFEST} is missing); pass one, or a recipe file")
    recipe: Recipe = check_manifest(read_json(folder / MANIFEST, name), name, FORMAT_VERSION)["recipe"]
    return recipe
