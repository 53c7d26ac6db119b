"""Whether a name that may be a Hub id is a local file or folder."""

from pathlib import Path

from shed_hf.errors import InputError
from shed_hf.utils.text import first_line


def exists_locally(named: str, name: str = "dataset") -> bool:
    """Whether a name is that of a local file or folder.

    Args:
        named: The id, address or path.
        name: What error messages call it: the name of the caller's argument.

    Returns:
        Whether it is there.

    Raises:
        InputError: Where the system can't tell, as of a name that is too long or a folder that may not be searched.
    """
    try:
        return Path(named).expanduser().exists()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: the home of a user that is not known
        shown = f"{named!r:.60}" + ("…" if len(repr(named)) > 60 else "")
        why = (error.strerror if isinstance(error, OSError) else None) or first_line(error)
        raise InputError(
            f"{name}={shown} can't be looked for on this machine ({why}); pass the path of a file or a folder that can "
            'be read, or a Hub id such as "user/dataset"'
        ) from error
