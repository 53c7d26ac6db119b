"""`ClusterScorer`: values for new rows, with its files and its repository."""

import os
from dataclasses import dataclass

from shed_hf.embedding.encoders import Encoder
from shed_hf.hub.scorer_repository import load, push, save
from shed_hf.results.cluster_scores import ClusterScores


@dataclass(frozen=True, eq=False)
class ClusterScorer(ClusterScores):
    """`ClusterScores` that can be saved, published and read back."""

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write centroids, values and the encoder's name to a folder: safetensors, JSON and a card."""
        save(self, folder)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        encoder: Encoder | None = None,
        revision: str | None = None,
        token: str | None = None,
    ) -> "ClusterScorer":
        """The scorer that `save_pretrained` or `push_to_hub` wrote to a folder or a repository; nothing in it is
        executed.

        ``encoder`` is needed where it was one of the owner's. Raises `InputError` for other or altered files,
        `HubError` where there is no such repository.
        """
        return cls(**vars(load(name, encoder, revision, token)))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        token: str | None = None,
    ) -> str:
        """Publish it as a model repository with a card, in one commit; returns the page's address.

        A `Lexical` embedder holds the words of its pool: its repository is private unless ``private=False``. Raises
        `HubError` when the Hub refuses or can't be reached.
        """
        return push(self, repo_id, private, revision, commit_message, token)
