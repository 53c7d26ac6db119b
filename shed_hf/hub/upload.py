"""Uploads a folder to the Hub in one commit, over files of an earlier push but over nobody else's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shed_hf.errors import InputError
from shed_hf.errors.safe_text import redacted
from shed_hf.hub.client import Kind, client
from shed_hf.hub.retry import with_retries
from shed_hf.utils.checks import is_one_of
from shed_hf.utils.console import say
from shed_hf.utils.progress import progress
from shed_hf.utils.quiet import only_own_output

if TYPE_CHECKING:
    from huggingface_hub import HfApi


CardBuilder = Callable[[str | None], str]
"""The README of a repository, given the one it has, or None."""


@dataclass(frozen=True)
class Contents:
    """What shed_hf keeps in a repository; all else there is its owner's.

    Attributes:
        kind: The type of the repository.
        owned: Files, and folders ending in a slash, that a push replaces.
        is_ours: Whether an earlier push made the repository, from the names of its files and its README.
    """

    kind: Kind
    owned: tuple[str, ...]
    is_ours: Callable[[Sequence[str], str | None], bool]

    def owns(self, name: str) -> bool:
        """Whether a file is one of the ``owned``, or in one of the owned folders.

        Args:
            name: Its path in the repository.
        """
        return any(name.startswith(place) if place.endswith("/") else name == place for place in self.owned)


@dataclass(frozen=True)
class PushSettings:
    """How a user wants something published.

    Attributes:
        private: Whether a new repository is private; None for the namespace's default.
        revision: The branch to commit to, created where it does not exist; None for the main one.
        message: The title of the commit.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.
    """

    private: bool | None
    revision: str | None
    message: str
    token: str | None

    def check(self) -> None:
        """Refuse what can't be used, before the Hub is asked for anything.

        Raises:
            InputError: Naming the argument.
        """
        for name, given in (("revision", self.revision), ("commit_message", self.message)):
            if given is not None and not isinstance(given, str):
                raise InputError(f"{name}={given!r} is a {type(given).__name__}; pass a string")
            if given is not None and redacted(given) != given:
                raise InputError(f"{name}={given!r} holds an access token, which would be published; leave it out")
        if not is_one_of(self.private, None, True, False):
            raise InputError(f"private={self.private!r} is neither True, False nor None; pass one of them")


def publish(repo_id: str, folder: Path, build_card: CardBuilder, contents: Contents, settings: PushSettings) -> str:
    """Make the repository hold the files of a folder and the card, in one commit or none.

    Owned files that are not in the folder any more are deleted in the same commit; others stay. Attempts that fail for
    transient reasons are repeated: each begins by looking at what the repository holds, so a commit whose answer was
    lost is not made twice.

    Args:
        repo_id: The repository, as ``namespace/name``; it is created where it does not exist.
        folder: The files to publish; the card is written into it as ``README.md``.
        build_card: Makes the README from the one that the repository has.
        contents: What shed_hf keeps in such a repository.
        settings: How it is published.

    Returns:
        The address of the repository's page.

    Raises:
        InputError: For settings that can't be used, and for a repository whose files at ``owned`` places an earlier
            push did not make; nothing is touched then.
        HubError: When the Hub refuses, or can't be reached.
    """
    api = client(settings.token)
    settings.check()
    repository = _Repository(api, repo_id, contents, settings)

    def attempt() -> None:
        there, commit = repository.made()
        readme = repository.readme(there, commit)
        repository.check_ours(there, readme)
        (folder / "README.md").write_text(build_card(readme), encoding="utf-8")
        repository.commit(folder, there, commit)

    with only_own_output(), progress(f"pushing to {repo_id}"):
        with_retries(attempt, f"pushing to {repo_id}")
    return repository.address


@dataclass(frozen=True)
class _Repository:
    """A repository of the Hub that is pushed to."""

    api: "HfApi"
    repo_id: str
    contents: Contents
    settings: PushSettings

    @property
    def address(self) -> str:
        kind, revision = self.contents.kind, self.settings.revision
        address = f"{self.api.endpoint}/{'' if kind == 'model' else f'{kind}s/'}{self.repo_id}"
        return address if revision is None else f"{address}/tree/{revision}"

    def made(self) -> tuple[list[str], str | None]:
        """The files that it holds and its last commit, after it was made where it did not exist."""
        kind, revision, private = self.contents.kind, self.settings.revision, self.settings.private
        sdk = "static" if kind == "space" else None
        self.api.create_repo(self.repo_id, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk)
        if revision is not None:
            self.api.create_branch(self.repo_id, repo_type=kind, branch=revision, exist_ok=True)
        info = self.api.repo_info(self.repo_id, repo_type=kind, revision=revision)
        _check_visibility(self.repo_id, private, bool(info.private))
        return [sibling.rfilename for sibling in getattr(info, "siblings", None) or []], info.sha

    def readme(self, there: Sequence[str], commit: str | None) -> str | None:
        if "README.md" not in there:
            return None
        path = self.api.hf_hub_download(self.repo_id, "README.md", repo_type=self.contents.kind, revision=commit)
        return Path(path).read_text(encoding="utf-8")

    def check_ours(self, there: Sequence[str], readme: str | None) -> None:
        if any(map(self.contents.owns, there)) and not self.contents.is_ours(there, readme):
            raise InputError(
                f"{self.repo_id} holds files that shed_hf did not make, which a push would replace; pass another name"
            )

    def commit(self, folder: Path, there: Sequence[str], parent: str | None) -> None:
        """Add all files of a folder, and delete owned ones that are not in it any more."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        here = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        stale = [name for name in there if self.contents.owns(name) and name not in here]
        self.api.create_commit(
            self.repo_id,
            [
                *(CommitOperationAdd(name, path) for name, path in here.items()),
                *(CommitOperationDelete(name) for name in stale),
            ],
            commit_message=self.settings.message,
            repo_type=self.contents.kind,
            revision=self.settings.revision,
            parent_commit=parent,
        )


def _check_visibility(repo_id: str, wanted_private: bool | None, is_private: bool) -> None:
    if wanted_private is False and is_private:
        say(f"{repo_id} exists and is private; it stays so until you change its settings")
    if wanted_private and not is_private:
        raise InputError(
            f"{repo_id} exists and is public; push to another name, make it private in its settings first, or pass "
            "private=False to publish there"
        )
