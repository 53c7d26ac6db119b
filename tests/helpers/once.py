"""Work that many tests need with the same arguments, done once in each process."""

import copy
import hashlib
import pickle
from collections.abc import Callable
from typing import Any


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function; what it made of equal arguments before is given out again, as a copy."""
    made: dict[bytes, Any] = {}

    def remembered(*args: Any, **kwargs: Any) -> Any:
        key = hashlib.blake2b(pickle.dumps((args, kwargs))).digest()
        if key not in made:
            made[key] = function(*args, **kwargs)
        return copy.deepcopy(made[key])

    return remembered
