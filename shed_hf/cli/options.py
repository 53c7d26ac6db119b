"""Options of the shell, made from the fields of a configuration, and the settings that they and a file give."""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from shed_hf.config.kinds import FLAG
from shed_hf.config.setting import Setting
from shed_hf.config.shed_config import DESTINATIONS, SETTINGS_BY_NAME
from shed_hf.errors import InputError

if TYPE_CHECKING:
    from shed_hf.config.recipe_file import WrittenSettings

Command = TypeVar("Command", bound=Callable[..., None])

OTHER_NAMES: Mapping[str, tuple[str, ...]] = {"constraints": ("--constraint",)}
"""Names that options had before, or have beside their own."""

KNOWN: Mapping[str, Setting] = {**SETTINGS_BY_NAME, **DESTINATIONS}
"""All settings that options are made from."""

ALL = tuple(name for name in SETTINGS_BY_NAME if name != "dataset")
"""What `curate` can be told, beside the dataset, which is an argument."""

Dataset = Annotated[
    str | None,
    typer.Argument(
        metavar="DATASET", help="A Hub id, a folder or a .jsonl, .json, .csv or .parquet file; or --config names it."
    ),
]

Config = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|RESULT",
        help="A recipe file (YAML), or the folder or repository of a result; other options count more.",
    ),
]


AS_BEFORE = "as before"
"""The default of what a command takes over from the result that it goes on with."""


def with_options(
    *names: str, defaults: Mapping[str, str] = MappingProxyType({}), helps: Mapping[str, str] = MappingProxyType({})
) -> Callable[[Command], Command]:
    """Give a command an option for each of some settings; it gets those that were passed as ``**given``.

    Args:
        *names: The settings.
        defaults: What help says of a default that is not `curate`'s; empty for an option that must be passed.
        helps: What help says of an option that means something else than it does to `curate`.

    Returns:
        A decorator.
    """

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        arguments = [each for each in own if each.kind is not inspect.Parameter.KEYWORD_ONLY]
        shell = [each for each in own if each.kind is inspect.Parameter.KEYWORD_ONLY]
        options = [_option(name, defaults.get(name), helps.get(name)) for name in names]
        made: Any = command
        made.__signature__ = signature.replace(parameters=[*arguments, *options, *shell])
        return command

    return decorate


def _option(name: str, default: str | None, help_text: str | None) -> inspect.Parameter:
    setting = KNOWN[name]
    kind: Any = bool | None if setting.kind is FLAG else list[str] | None if setting.kind.repeats else str | None
    declared = [setting.option, *OTHER_NAMES.get(name, ())]
    if setting.kind is FLAG:
        declared = [f"{setting.option}/--no-{setting.option.removeprefix('--')}"]
    usual = "" if setting.default is None or setting.default is False else str(setting.default)
    usual = usual if default is None else default
    option = typer.Option(
        *declared,
        help=help_text or setting.help,
        rich_help_panel=setting.panel,
        metavar=setting.kind.metavar or None,
        show_default=usual or False,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )  # fmt: skip


def check_dataset(place: Any, name: str = "dataset") -> None:
    """Refuse a dataset that is not there before what was typed behind it is looked at; the Hub is not asked.

    Args:
        place: A Hub id, an address, a path, or a mapping with the path; None for nothing.
        name: What errors call it.

    Raises:
        InputError: For a file or a folder that is not there, or of another kind.
    """
    from shed_hf.data.loading import check_named

    named = place.get("path") if isinstance(place, Mapping) else place
    if named is not None:
        check_named(named, name)


def read_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a command line gives.

    Args:
        given: What was passed for each option, None and empty lists where nothing was.

    Returns:
        Values by name.

    Raises:
        InputError: For a value of another kind, naming the option.
    """
    return {name: read_option(name, value) for name, value in given.items() if value is not None and value != []}


def read_option(name: str, value: Any, option: str = "") -> Any:
    """The value of one option.

    Args:
        name: The setting that it is for, or that it is like.
        value: What was passed; None and an empty list for nothing.
        option: What the option is called; by default as the setting.

    Returns:
        The value; None for nothing.

    Raises:
        InputError: For a value of another kind, naming the option.
    """
    if value is None or value == []:
        return None
    try:
        return KNOWN[name].read(value)
    except ValueError as error:
        passed = " ".join(value) if isinstance(value, list) else value
        raise InputError(f"{option or KNOWN[name].option} {passed!r:.100} is not {error}") from None


def as_part(name: str, value: Any) -> Any:
    """A setting as the object that Python functions take.

    Args:
        name: The setting.
        value: Its value.

    Returns:
        What a mapping describes; anything else as it is.

    Raises:
        InputError: For a mapping that describes no part.
    """
    from shed_hf.config.parts import part_from, tolerances_of

    if not isinstance(value, Mapping):
        return value
    return tolerances_of(value) if name == "constraints" else part_from(name, value)


def settings_from(config: str | None, dataset: str | None, given: Mapping[str, Any]) -> "WrittenSettings":
    """The settings of a file and a command line, of which the command line counts more.

    Args:
        config: What ``--config`` names; None for nothing.
        dataset: The dataset on the command line; None for none.
        given: What was passed for each option.

    Returns:
        The settings.

    Raises:
        InputError: For what cannot be used, and where there is no dataset.
        HubError: For a repository that cannot be reached.
    """
    from shed_hf.curation.sources import settings_from_args

    return merged(settings_from_args(config), dataset, given)


def merged(written: "WrittenSettings", dataset: str | None, given: Mapping[str, Any]) -> "WrittenSettings":
    """The settings that were written down, with those of a command line in their place.

    Args:
        written: The settings of a file.
        dataset: The dataset on the command line; None for none.
        given: What was passed for each option.

    Returns:
        The settings.

    Raises:
        InputError: For what cannot be used, and where something is missing.
    """
    from shed_hf.config.recipe_file import WrittenSettings

    passed = read_options({"dataset": dataset, **given})
    values = {**written.values, **passed}
    missing = {name: words for name, words in written.not_written.items() if name not in passed}
    for name, words in missing.items():
        if name not in SETTINGS_BY_NAME:
            raise InputError(
                f"{name} of {written.name} was {words}, which is not written down; call shed_hf.curate from Python "
                f"with args={written.name!r} and {name}="
            )
        raise InputError(f"{name} of {written.name} is not written down ({words}); pass {_as_passed(name)}")
    if "dataset" not in values:
        raise InputError("there is no dataset to curate; pass DATASET, or --config that names one")
    lines = {name: line for name, line in written.lines.items() if name.partition(".")[0] not in passed}
    return WrittenSettings(values, {}, written.name, lines)


def _as_passed(name: str) -> str:
    return "DATASET" if name == "dataset" else KNOWN[name].option
