"""What is known of a setting: its name, default and kind, and how help shows it; read from the fields of a class."""

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

from shed_hf.config.kinds import Kind, TooLargeError
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line

Panel: TypeAlias = Literal["Data", "What to keep", "Cost", "Method", "Model and fine-tuning", "Publish"]
"""Under which heading help lists a setting."""


@dataclass(frozen=True)
class Setting:
    """A setting, as every place that knows settings sees it.

    Attributes:
        name: The name: of a field, a keyword and a key; with dashes, of an option.
        default: What it is where nobody says anything.
        kind: What it takes.
        panel: Where help lists it.
        help: What help says of it, in a line.
        none: What a command line and a file say for a None that means something; empty where None is the default.
    """

    name: str
    default: Any
    kind: Kind
    panel: Panel
    help: str
    none: str

    @property
    def option(self) -> str:
        """The option of the shell."""
        return f"--{self.name.replace('_', '-')}"

    def read(self, value: Any) -> Any:
        """The value that a file, a command line or a caller means.

        Args:
            value: What was said.

        Returns:
            The value, None for None and for the word that stands for it.

        Raises:
            ValueError: For what is not of the setting's kind; the message says what is expected.
        """
        said = value is None or (isinstance(value, str) and bool(self.none) and value == self.none)
        if said and (self.none or self.default is None):
            return None
        try:
            return self.kind.read(value)
        except TooLargeError:
            raise
        except (ValueError, TypeError, OverflowError):
            also = f', or "{self.none}"' if self.none else ""
            raise ValueError(f"{self.kind.expected}{also}") from None

    def as_said(self, value: Any) -> Any:
        """A value as a command line says it: the word that stands for a None that means something.

        Args:
            value: What `read` returned.

        Returns:
            The value, or the word; None where None says nothing.
        """
        return self.none if value is None and self.none else value


def setting(default: Any, panel: Panel, kind: Kind, help: str, *, none: str = "") -> Any:
    """A field of a configuration.

    Args:
        default: What it is where nobody says anything.
        panel: Where help lists it.
        kind: What it takes.
        help: What help says of it, in a line.
        none: What stands for a None that means something.

    Returns:
        The field, for a dataclass.
    """
    return field(default=default, metadata={"panel": panel, "kind": kind, "help": help, "none": none})


def settings_of(config: type) -> dict[str, Setting]:
    """The settings of a class whose fields were made by `setting`.

    Args:
        config: The class.

    Returns:
        Settings by name, in order.
    """
    return {each.name: Setting(each.name, each.default, **each.metadata) for each in fields(config)}


def shown(value: Any) -> str:
    """The repr of a value for an error: on one line, shortened where it is long.

    Args:
        value: Anything.

    Returns:
        The beginning of its repr.
    """
    return one_line(reprlib.repr(value), 100)


def check_settings(config: Any) -> None:
    """Check the values of a configuration, and put each into the one form that it has.

    Args:
        config: An object of a frozen dataclass whose fields were made by `setting`, while it is being made.

    Raises:
        InputError: For a value of another kind, naming the field.
    """
    for name, known in settings_of(type(config)).items():
        value = getattr(config, name)
        try:
            object.__setattr__(config, name, known.read(_plain(name, value)))
        except ValueError as error:
            also = "" if _is_plain(value) else f", or pass it to curate as {name}="
            raise InputError(f"{name}={shown(value)} is not {error}; pass one that is{also}") from None


def _plain(name: str, value: Any) -> Any:
    """A value as it would be written, where it is an object."""
    if _is_plain(value):
        return value
    from shed_hf.config.parts import as_value

    return as_value(name, value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(each) for each in value.values())
    return value is None or isinstance(value, str | bool | int | float | list | tuple)
