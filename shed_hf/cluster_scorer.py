"""`ClusterScorer`: values for new rows, with its files and its repository."""

import os
from dataclasses import dataclass

from shed_hf.embedding.encoders import Encoder
from shed_hf.hub.scorer_repository import load, push, save
from shed_hf.results.cluster_scores import ClusterScores
from shed_hf.utils.quiet import only_own_output


@dataclass(frozen=True, eq=False)
class ClusterScorer(ClusterScores):
    """`ClusterScores` that can be saved, published and read back."""

    @only_own_output()
    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write centroids, values and the encoder's name to a folder: safetensors, JSON and a card.

        Args:
            folder: Where; it is created where it does not exist, and files of a scorer saved there before are written
                over.
        """
        save(self, folder)

    @classmethod
    @only_own_output()
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        encoder: Encoder | None = None,
        revision: str | None = None,
        token: str | None = None,
    ) -> "ClusterScorer":
        """The scorer that `save_pretrained` or `push_to_hub` wrote; nothing in it is executed.

        Args:
            name: A folder, or a model repository as ``namespace/name``.
            encoder: What embeds new rows; needed where it was one of the owner's own, None for the one that was saved.
            revision: A branch, tag or commit; None for the main branch.
            token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``, if any.

        Returns:
            The scorer.

        Raises:
            InputError: For files of another kind, altered files, and where ``encoder`` is needed.
            HubError: When there is no such repository, or it can't be reached and is not in the cache.
        """
        return cls(**vars(load(name, encoder, revision, token)))

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
        """Publish it as a model repository with a card, in one commit.

        Args:
            repo_id: The repository, as ``namespace/name``; it is created where it does not exist.
            private: Whether a new repository is private; None: that of a `Lexical` embedder, which holds the words of
                its pool, is private, and any other takes the namespace's default.
            revision: The branch to commit to, created where it does not exist; None for the main one.
            commit_message: The title of the commit; None for a generated one.
            token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

        Returns:
            The address of the repository's page.

        Raises:
            InputError: For arguments that can't be used, and for a repository that shed_hf did not make.
            HubError: When the Hub refuses or can't be reached.
        """
        return push(self, repo_id, private, revision, commit_message, token)
