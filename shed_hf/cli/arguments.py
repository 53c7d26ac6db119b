"""Options of the shell as the values that the public functions take."""

import re
from typing import TYPE_CHECKING, Any

from shed_hf.errors import InputError

if TYPE_CHECKING:
    from shed_hf.evaluation.constraints import Tolerance


def columns_from(pairs: list[str] | None, option: str) -> dict[str, str | None] | None:
    """Parts of a row to columns.

    Args:
        pairs: ``part=column`` each; nothing behind the sign leaves the part out.
        option: The option's name, for the error.

    Returns:
        Columns by part; None where there are none.

    Raises:
        InputError: For another form, and a part that is named twice.
    """
    if not pairs:
        return None
    found: dict[str, str | None] = {}
    for pair in pairs:
        part, sign, column = pair.partition("=")
        if not sign or not part.strip() or part.strip() in found:
            problem = "names a part twice" if part.strip() in found else "is not PART=COLUMN"
            raise InputError(f"{option} {pair!r} {problem}; pass each part once, as in {option} instruction=query")
        found[part.strip()] = column.strip() or None
    return found


def constraints_from(pairs: list[str] | None) -> "dict[str, float | Tolerance] | None":
    """Columns to tolerances.

    Args:
        pairs: ``column=0.01`` or ``column=0.01:random`` each.

    Returns:
        Tolerances by column; None where there are none.

    Raises:
        InputError: For another form, a column that is named twice, and a tolerance that is not a number >= 0.
    """
    from shed_hf.evaluation.constraints import Tolerance

    found: dict[str, float | Tolerance] = {}
    for pair in pairs or []:
        column, sign, tolerance = pair.rpartition("=")
        amount, _, against = tolerance.partition(":")
        if not sign or not column.strip() or column.strip() in found or against not in ("", "untuned", "random"):
            problem = "names a column twice" if column.strip() in found else "is not COLUMN=TOLERANCE"
            raise InputError(
                f"--constraint {pair!r} {problem}; pass each column once, as in --constraint subject=0.01 or "
                "--constraint subject=0.01:random"
            )
        try:
            number = float(amount)
        except ValueError:
            raise InputError(
                f"--constraint {pair!r} has {amount!r}, which is not a number; pass how far a group may fall, as in "
                "--constraint subject=0.01"
            ) from None
        found[column.strip()] = Tolerance(number, "random" if against == "random" else "untuned")
    return found or None


def size_from(text: str) -> int | float | str:
    """How many rows to keep.

    Args:
        text: A number of rows, a share, a percentage or ``auto``.

    Returns:
        A number, or the text where it is a percentage or ``auto``.

    Raises:
        InputError: For any other text.
    """
    number: int | str = number_or_text(text)
    if isinstance(number, str) and number != "auto" and not number.strip().endswith("%"):
        try:
            return float(number)
        except ValueError:
            raise InputError(
                f'size={text!r} is neither a number of rows nor a share; pass 500, 0.1 or "10%" as --size'
            ) from None
    return number


def number_or_text(text: Any) -> Any:
    """A whole number where the text is one.

    Args:
        text: What was passed; None for nothing.

    Returns:
        The number, else what was passed.
    """
    return int(text) if isinstance(text, str) and re.fullmatch(r"-?[0-9]{1,18}", text) else text
