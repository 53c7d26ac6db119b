"""A name for what a user plugs in, where its code and state cannot or should not say what it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shed_hf.errors import InputError


@dataclass(frozen=True)
class Named:
    """A callable with a name of the caller's, by which a ledger knows it in place of its code and state.

    For a utility, objective or metric that holds what cannot be read, such as a connection, or what changes from call
    to call, such as a counter. Choose another name whenever its outcomes would be others.

    Attributes:
        name: The name that ledgers and recipes have.
        thing: What is called.
    """

    name: str
    thing: Callable[..., Any] = field(repr=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.strip() and callable(self.thing)):
            raise InputError(f"Named({self.name!r:.40}, a {type(self.thing).__name__}): pass a name and a callable")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call what is named."""
        return self.thing(*args, **kwargs)
