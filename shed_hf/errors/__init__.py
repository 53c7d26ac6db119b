"""The errors that shed_hf raises on purpose, all of them subclasses of `ShedError`, and the class of its warnings.

ShedError
├── InputError    (ValueError)       what the caller passed: size, columns, rows, budget, labels ...
├── LedgerError   (RuntimeError)     a ledger that belongs to another run or is damaged
├── NoSignal      (ValueError)       values that can't be told from noise, with require_signal=True
├── NotBetter     (ValueError)       rows that are not shown to beat random ones, with require_better=True
├── RankError     (RuntimeError)     another rank of a launch is gone, stopped, or sent what can't be read
├── HubError      (RuntimeError)     the Hub refused, could not be reached, or has no such repository
└── Diverged      (ArithmeticError)  a fine-tuning ended in outcomes that are not finite
"""

from shed_hf.errors.safe_text import safe


class ShedError(Exception):
    """The parent of every error that shed_hf raises on purpose; its message is safe to print.

    Args:
        *arguments: The message. Access tokens are struck from it, and characters that act on a terminal are spelled
            out, since it may repeat what was downloaded.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(safe(part) if isinstance(part, str) else part for part in arguments))


class InputError(ShedError, ValueError):
    """Something the caller passed cannot be used; the message says what, the value received and what to do."""


class LedgerError(ShedError, RuntimeError):
    """A ledger cannot be read or gone on with: it is of another run, damaged, of a newer version, or in use."""


class RankError(ShedError, RuntimeError):
    """The ranks of a launch can't go on: one is gone or gives no sign of life, or sent what can't be read."""


class HubError(ShedError, RuntimeError):
    """The Hub refused a push or a pull, or could not be reached; what was to be pushed is kept on the disk."""


class NoSignal(ShedError, ValueError):
    """Values that can't be told from noise, where ``require_signal=True`` was passed."""


class NotBetter(ShedError, ValueError):
    """Rows that are not shown to be better than random ones, where ``require_better=True`` was passed."""


class ShedWarning(UserWarning):
    """What a caller should know of a result, or of what was passed; ``warnings.filterwarnings`` can ask for it."""


class Diverged(ShedError, ArithmeticError):
    """A coalition's outcome is NaN or infinite; what was measured before it stays in the ledger."""
