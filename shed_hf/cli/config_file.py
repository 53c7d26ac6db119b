"""``--config`` for commands that take other options than `curate`: a file in the place of a command line."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer

from shed_hf.cli.shell import DEBUG, LINES, errors_in_one_line
from shed_hf.config.kinds import DATASET, Kind
from shed_hf.config.setting import Setting
from shed_hf.config.shed_config import DATA, DESTINATIONS, SETTINGS_BY_NAME

if TYPE_CHECKING:
    from shed_hf.config.recipe_file import WrittenSettings

_NOT_WRITTEN = {"config", "as_json", "debug"}
"""Options that a file has no say in."""

_PLACES = ("output", "push_to_hub", "private", "ledger")
"""Where `curate` keeps what it makes: another command that wrote there would publish unasked, or collide with it."""

AUTO = "auto"
"""What a recipe says where it leaves a setting open, which is then as the command has it."""

_FOUND = "shed_hf.config_file"
"""Under which name a context has what the file says."""

_LINES = "shed_hf.config_file.lines"
"""Under which name a context has where the file says it."""


@dataclass(frozen=True)
class _Reading:
    """How a command reads a file.

    Attributes:
        whole: Options that are numbers here, whatever `curate` takes under their names.
        others: Options that mean something else here than they do to `curate`, each with the option that a file's
            setting could be meant for.
    """

    whole: frozenset[str]
    others: Mapping[str, str]


def _take_from_file(reading: _Reading, context: typer.Context, path: str | None) -> str | None:
    """Let what the file says stand for options that are not passed."""
    if path is None:
        return None
    from shed_hf.config.recipe_file import read_recipe_file

    with errors_in_one_line(bool(context.meta.get(DEBUG))):
        options = {str(each.name): each for each in context.command.params if each.name not in _NOT_WRITTEN}
        own = {
            name: _setting_of(context, option, name in reading.whole)
            for name, option in options.items()
            if name not in reading.others
        }
        written = read_recipe_file(path, {**SETTINGS_BY_NAME, **DESTINATIONS, **own})
        _say_what_is_not_taken(written, {**{name: name for name in _PLACES if name in options}, **reading.others})
        found = {name: own[name].as_said(value) for name, value in written.values.items() if name in own}
        found = {name: value for name, value in found.items() if value not in (None, AUTO) and name not in _PLACES}
        context.meta[_FOUND], context.meta[_LINES] = found, written.places()
        # what must be passed is there already, so that it is not missed; `takes_file` puts the values in
        context.default_map = {
            name: [path] if getattr(options[name], "multiple", False) else path
            for name in found
            if options[name].required
        }
    return path


def _setting_of(context: typer.Context, option: Any, whole: bool) -> Setting:
    """What a file may say for an option: what `curate` takes under that name, or else what the command line takes."""
    name, many = option.name, getattr(option, "multiple", False)
    known = SETTINGS_BY_NAME.get(name) or DESTINATIONS.get(name)
    if known is not None and many == known.kind.repeats and not whole:
        return known
    kind = Kind(f"what {option.opts[0]} takes", lambda value: _as_on_a_line(context, option, value))
    if name == "source":
        kind = DATASET
    elif name == "test_dataset":
        kind = Kind("a dataset, or datasets by name", lambda value: _test_datasets(value))
    return Setting(name, None, kind, DATA, "", "")


def _as_on_a_line(context: typer.Context, option: Any, value: Any) -> Any:
    """A value as a command line gives it, where that has it as text, or as texts for what is passed several times."""
    if isinstance(value, Mapping):
        value = [f"{name}={'' if part is None else part}" for name, part in value.items()]
    many = getattr(option, "multiple", False)
    if isinstance(value, list) != many:
        if not many:
            raise TypeError
        value = [value]
    texts = [str(part) for part in value] if many else value if isinstance(value, bool) else str(value)
    try:
        return option.process_value(context, texts)
    except typer.BadParameter as error:
        raise ValueError from error


def _test_datasets(value: Any) -> Any:
    """One dataset or several, as `compare` takes them: texts, or a mapping of names to datasets."""
    if isinstance(value, list):
        return [DATASET.read(one) for one in value]
    if isinstance(value, Mapping) and "path" not in value:
        return {str(name): DATASET.read(one) for name, one in value.items()}
    return [DATASET.read(value)]


def _say_what_is_not_taken(written: "WrittenSettings", options: Mapping[str, str]) -> None:
    from shed_hf.utils.console import say

    said = [name for name in options if written.values.get(name) is not None]
    if said:
        passed = ", ".join(dict.fromkeys(f"--{options[name].replace('_', '-')}" for name in said))
        say(f"{', '.join(said)} of {written.name}: taken by curate alone; for this command pass {passed}")


def _option(command: inspect.Signature, others: Mapping[str, str]) -> Any:
    whole = frozenset(name for name, each in command.parameters.items() if int in _types(each.annotation))

    def take(context: typer.Context, path: str | None) -> str | None:
        return _take_from_file(_Reading(whole, others), context, path)

    return typer.Option(
        metavar="FILE",
        is_eager=True,
        callback=take,
        help="A YAML file with these options by name, but for places to write to; what is passed as well counts more.",
    )


def _types(annotation: Any) -> tuple[Any, ...]:
    """What an option is read as: ``int`` and ``None`` of ``Annotated[int | None, …]``."""
    plain = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return get_args(plain) or (plain,)


def takes_file(**others: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the option ``--config``.

    Args:
        **others: Settings that a curation's recipe has for itself, and that mean something else to this command, such
            as the model: a file's are not taken. Each with the option to pass instead.

    Returns:
        A decorator. The command isn't told of the option: what the file says is passed as options are, but as the
        values that it has there.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        return _taking(command, others)

    return decorate


def _taking(command: Callable[..., None], others: Mapping[str, str]) -> Callable[..., None]:
    @functools.wraps(command)
    def run(context: typer.Context, **given: Any) -> None:
        given.pop("config")
        passed = {name for name in given if _is_passed(context, name)}
        given.update({name: value for name, value in context.meta.get(_FOUND, {}).items() if name not in passed})
        lines = context.meta.get(_LINES, {})
        known = LINES.set({name: line for name, line in lines.items() if name.partition(".")[0] not in passed})
        try:
            command(**given)
        finally:
            LINES.reset(known)

    signature = inspect.signature(command, eval_str=True)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    option = inspect.Parameter(
        "config",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, _option(signature, others)],
    )
    made: Any = run
    made.__signature__ = signature.replace(parameters=[context, *signature.parameters.values(), option])
    return run


def _is_passed(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
