"""`ReportableCuration`: a result that can be looked at."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shed_hf.hub.privacy import Excerpts
from shed_hf.report.figures import PlotKind, figure_of
from shed_hf.report.notebook import html_of
from shed_hf.report.page import write_report
from shed_hf.report.publish import push_report
from shed_hf.results.curation import Curation
from shed_hf.results.source_rows import attach_source

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ReportableCuration(Curation):
    """A `Curation` with a report, figures and a table for notebooks."""

    def report(self, path: str | os.PathLike[str], *, source: Any = None) -> str:
        """Write one HTML page that opens without a network: verdict, clusters, map, rows, other subsets, cost, recipe.

        At most 10,000 rows are on it, each with the first 400 characters of its text. Rows that were not kept have
        texts only where the dataset that was curated is at hand.

        Args:
            path: The file; an earlier report there is replaced.
            source: The dataset that was curated, as `curate` takes it; only needed after `load_from_disk` or
                `from_hub`, for the texts of rows that were not kept.

        Returns:
            The absolute path of the page.

        Raises:
            InputError: For a path that can't be written or is no report, and for a source that lacks rows.
        """
        return str(write_report(self if source is None else attach_source(self, source), path))

    def plot(self, kind: PlotKind = "values") -> "Figure":
        """A matplotlib figure, for notebooks and papers; ``savefig`` on it writes PNG, PDF or SVG.

        Args:
            kind: ``"values"``, what each cluster is worth, with two standard errors; ``"map"``, which rows of the pool
                were kept; ``"convergence"``, how values moved as more was measured.

        Returns:
            The figure.

        Raises:
            InputError: For another kind, and where there is nothing to draw.
        """
        return figure_of(self, kind)

    def push_report_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        excerpts: Excerpts = "auto",
        commit_message: str | None = None,
        token: str | None = None,
    ) -> str:
        """Publish the report as a static Space, in one commit.

        Args:
            repo_id: The Space, as ``namespace/name``; it is created where it does not exist.
            private: Whether a new Space is private; None: unless the source is a public dataset of the Hub. An existing
                one stays as it is, and a public one takes rows that are not public only with False.
            excerpts: Whether texts of rows are on the page; ``"auto"``: only those of a public dataset of the Hub.
            commit_message: The title of the commit; None for a generated one.
            token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

        Returns:
            The address of the Space.

        Raises:
            InputError: For arguments that can't be used, and for a Space whose page shed_hf did not make.
            HubError: When the Hub refuses or can't be reached.
        """
        return push_report(self, repo_id, private, excerpts, commit_message, token)

    def _repr_html_(self) -> str:
        return html_of(self)
