"""What can go wrong, as types.

ShedError
├── InputError    (ValueError)       what the caller passed: size, columns, rows, budget, labels ...
├── LedgerError   (RuntimeError)     a ledger that belongs to another run or is damaged
├── NoSignal      (ValueError)       values that can't be told from noise, where a real ranking was required
├── HubError      (RuntimeError)     the Hub refused, could not be reached, or has no such repository
└── Diverged      (ArithmeticError)  a fine-tuning ended in outcomes that are not finite
"""


class ShedError(Exception):
    """The parent of every error that shed_hf raises on purpose."""


class InputError(ShedError, ValueError):
    """Something the caller passed cannot be used; the message says what, the value received and what to do."""


class LedgerError(ShedError, RuntimeError):
    """A ledger cannot be continued: it was written by another run, or a line inside it is damaged."""


class HubError(ShedError, RuntimeError):
    """The Hub refused a push or a pull, or could not be reached; what was to be pushed is kept on the disk."""


class NoSignal(ShedError, ValueError):
    """Values that can't be told from noise, where a ranking that is real was required."""


class Diverged(ShedError, ArithmeticError):
    """A coalition's outcome is NaN or infinite; what was measured before it stays in the ledger."""
