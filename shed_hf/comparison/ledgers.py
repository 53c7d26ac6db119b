"""The ledgers of a comparison: one for the tunings of each model, and one for each game, side by side."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shed_hf.comparison.design import ChoosingCost
from shed_hf.errors import LedgerError
from shed_hf.game.interruption import how_to_resume
from shed_hf.game.ledger import Ledger, read_ledger
from shed_hf.game.ledger_files import base_of, check_place, replace_whole, unused
from shed_hf.utils.console import plural, say

RESCUED = "comparison.ledger"
"""What the path is called that outcomes are saved beside where none was given and the run is stopped."""


class LedgerFamily:
    """Where the outcomes of a comparison are kept; whatever ends it early, they are in files, and a line says which.

    Args:
        base: The path that all names begin with; None to hold outcomes in memory.
        is_main: Whether this is rank 0, which writes what is in memory to files when the run is stopped.

    Raises:
        LedgerError: Where no file can have that name, or none can be made beside it; nothing is made yet.
    """

    def __init__(self, base: str | os.PathLike[str] | None, is_main: bool = True) -> None:
        self._base = None if base is None else str(base_of(base))
        if self._base is not None:
            check_place(self._base)
        self._is_main = is_main
        self._held: dict[str, Ledger] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or not self._is_main:
            return
        trained = any(any(entry.blocks) for ledger in self._held.values() for entry in ledger)
        if self._base is None and trained:
            self._base = self._rescued()
        kept = 0 if self._base is None else sum(_n_outcomes(path) for path in self._files(""))
        if kept:
            say(
                f"stopped; {plural(kept, 'outcome')} kept beside {self._base}: {how_to_resume(error)} "
                f"ledger={self._base!r} to go on"
            )

    def of_tunings(self, model: str) -> tuple[str, str | None]:
        """The ledger of a model's tunings.

        Args:
            model: The model's name.

        Returns:
            Its name among the family, and its path; None in memory.
        """
        return self._named(f"{_of_model(model)}.tunings")

    def of_game(self, model: str, arguments: dict[str, Any], seed: int) -> tuple[str, str | None]:
        """The ledger of a game that values clusters.

        Args:
            model: The model's name.
            arguments: The game's own arguments of `curate`, as plain data.
            seed: The game's seed.

        Returns:
            Its name among the family, and its path; None in memory.
        """
        return self._named(f"{_of_model(model)}.game-{_short([arguments, seed])}")

    def known_of(self, model: str) -> str | None:
        """Any ledger of a model that an earlier run left, to go on in its precision.

        Args:
            model: The model's name.

        Returns:
            A path; None where there is none.
        """
        return next((str(path) for path in self._files(f"{_of_model(model)}.")), None)

    def costs(self, model: str, methods: Mapping[str, str]) -> dict[str, ChoosingCost]:
        """What choosing took in an earlier run of the same call.

        Args:
            model: The model's name.
            methods: What decides how long each method takes to choose, as text, by name.

        Returns:
            The costs of those methods that were measured then.
        """
        path = self._path_of_costs(model)
        if path is None:
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return {
                name: ChoosingCost(int(found[name]["fine_tunings"]), float(found[name]["seconds"]))
                for name, decided_by in methods.items()
                if name in found and found[name]["decided_by"] == _short(decided_by)
            }
        except (ValueError, TypeError, LookupError, OSError):  # whatever it holds, they can be measured again
            return {}

    def keep_costs(self, model: str, methods: Mapping[str, str], costs: Mapping[str, ChoosingCost]) -> None:
        """Write down what choosing took, so that the same call tells the same when it resumes.

        Args:
            model: The model's name.
            methods: What decides how long each method takes to choose, as text, by name.
            costs: What it took.

        Raises:
            LedgerError: Where the file can't be written.
        """
        path = self._path_of_costs(model)
        if path is None or not costs:
            return
        content = {name: {**asdict(cost), "decided_by": _short(methods[name])} for name, cost in costs.items()}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_whole(path, [json.dumps(content, indent=1).encode()]).close()
        except OSError as error:
            raise LedgerError(f"{path} cannot be written ({error}); pass another path as ledger=") from error

    def _path_of_costs(self, model: str) -> Path | None:
        return None if self._base is None else Path(f"{self._base}.{_of_model(model)}.choosing.json")

    def hold(self, name: str, ledger: Ledger) -> None:
        """Keep a ledger in memory until the comparison has ended.

        Args:
            name: Its name among the family.
            ledger: The ledger.
        """
        if self._base is not None:
            return
        held = self._held.setdefault(name, ledger)
        for entry in ledger if held is not ledger else ():
            held.put(entry)

    def _named(self, name: str) -> tuple[str, str | None]:
        return name, None if self._base is None else f"{self._base}.{name}"

    def _files(self, start: str) -> list[Path]:
        if self._base is None:
            return []
        base = Path(self._base)
        beginning = f"{base.name}.{start}"
        there = base.parent.iterdir() if base.parent.is_dir() else iter(())
        ends = re.compile(r"\.(tunings|game-[0-9a-f]+)")
        return sorted(path for path in there if path.name.startswith(beginning) and ends.fullmatch(path.suffix))

    def _rescued(self) -> str:
        base = str(unused(Path.cwd() / RESCUED))
        for name, ledger in self._held.items():
            ledger.dump(f"{base}.{name}")
        return base


def _of_model(model: str) -> str:
    """A model's name as part of a file's."""
    return f"{re.sub(r'[^a-z0-9]+', '-', model.lower()).strip('-')[:40]}-{_short(model)}"


def _short(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _n_outcomes(path: Path) -> int:
    try:
        return len(read_ledger(path))
    except LedgerError:
        return 0
