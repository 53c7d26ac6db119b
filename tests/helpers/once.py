"""Work that many tests need with the same arguments, done once in each run of the tests."""

import copy
import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any


def once(function: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """The same function; what it made of equal arguments before is given out again, as a copy.

    Args:
        function: What to remember.
        folder: Where processes leave for each other what they made.
    """
    made: dict[str, Any] = {}
    name = f"{function.__module__}.{function.__qualname__}"

    def remembered(*args: Any, **kwargs: Any) -> Any:
        key = hashlib.blake2b(pickle.dumps((name, args, kwargs)), digest_size=32).hexdigest()
        if key not in made:
            made[key] = _of_a_file(folder / key, lambda: function(*args, **kwargs))
        return copy.deepcopy(made[key])

    return remembered


def _of_a_file(path: Path, make: Callable[[], Any]) -> Any:
    if path.exists():
        return pickle.loads(path.read_bytes())
    made = make()
    written = path.with_name(f"{path.name}.{os.getpid()}")
    written.write_bytes(pickle.dumps(made))
    written.rename(path)  # a file of this name is whole
    return made
