"""`Comparison`: what `compare` found, with what can be done with it."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shed_hf.comparison.picture import format_of, picture_of
from shed_hf.comparison.publish import pull, push
from shed_hf.comparison.record import ComparisonRecord
from shed_hf.comparison.storage import load, save
from shed_hf.comparison.table import text_of
from shed_hf.errors import InputError
from shed_hf.utils.quiet import only_own_output

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(ComparisonRecord):
    """What `compare` found: printed it is a table; it can be read as a frame, drawn, saved and published."""

    @classmethod
    def of(cls, record: ComparisonRecord) -> "Comparison":
        """The same figures with their verbs.

        Args:
            record: The figures.
        """
        return cls(record.lines, record.runs, record.failures, record.notes, record.recipe)

    def __str__(self) -> str:
        return text_of(self)

    def __repr__(self) -> str:
        return f"Comparison({text_of(self)})"

    def to_pandas(self) -> "pandas.DataFrame":
        """The lines as a frame in long form: one for each model, task, figure, size and method.

        Its columns are the attributes of `shed_hf.comparison.lines.Line`. Higher is better in ``mean`` and ``gain`` of
        every figure: of ``"loss"`` they are in minus the loss, in nats a token.
        """
        import pandas

        return pandas.DataFrame([asdict(line) for line in self.lines])

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw sizes against figures, a line for each method, with the intervals of the gains over random rows as bars.

        Args:
            path: The picture to write, by its ending a ``.png``, ``.pdf`` or ``.svg``; a file that is there is written
                over.

        Raises:
            InputError: For another ending, and where it cannot be written.
        """
        written_as = format_of(path)
        try:
            Path(path).write_bytes(picture_of(self, written_as))
        except OSError as error:
            raise InputError(f"path={str(path)!r} cannot be written ({error}); pass another") from error

    def save_to_disk(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a folder; ``load_dataset(path)`` reads its lines.

        Args:
            path: The folder, which must not exist yet or be empty; parent folders are created.

        Raises:
            InputError: Where something is there already, or nothing can be written.
        """
        save(self, path)

    @classmethod
    def load_from_disk(cls, path: str | os.PathLike[str]) -> "Comparison":
        """Read what `save_to_disk` wrote; nothing in it is executed.

        Args:
            path: The folder.

        Returns:
            The comparison, equal to the one that was saved.

        Raises:
            InputError: For any other folder.
        """
        return cls.of(load(path))

    @only_own_output()
    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        token: str | None = None,
    ) -> str:
        """Publish the table as a dataset repository, with a card and the picture, in one commit.

        Anyone can then ``load_dataset(repo_id)``, or its configuration ``"runs"``. No row of a dataset is published.

        Args:
            repo_id: The repository, as ``namespace/name``; it is created where it does not exist.
            private: Whether a new repository is private; None: unless the dataset that rows were chosen from is a
                public one of the Hub.
            revision: The branch to commit to, created where it does not exist; None for the main one.
            commit_message: The title of the commit; None for a generated one.
            token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

        Returns:
            The address of the repository's page.

        Raises:
            InputError: For arguments that can't be used, and for a repository whose files `push_to_hub` did not make.
            HubError: When the Hub refuses, or can't be reached.
        """
        return push(self, repo_id, private, revision, commit_message, token)

    @classmethod
    @only_own_output()
    def from_hub(cls, repo_id: str, *, revision: str | None = None, token: str | None = None) -> "Comparison":
        """Pull what `push_to_hub` published; nothing in it is executed.

        Args:
            repo_id: The repository, as ``namespace/name``.
            revision: A branch, tag or commit; None for the main branch.
            token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``, if any.

        Returns:
            The comparison.

        Raises:
            InputError: When the repository holds no comparison, or a damaged one.
            HubError: When there is no such repository, or it can't be reached and is not in the cache.
        """
        return cls.of(pull(repo_id, revision, token))
