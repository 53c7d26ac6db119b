"""Publishes a report as a static Space, by the same rules of privacy as a dataset."""

from shed_hf.hub.client import check_push
from shed_hf.hub.privacy import Excerpts, as_published, check_excerpts, source_access
from shed_hf.hub.space import publish_page
from shed_hf.report.page import report_page
from shed_hf.results.curation import Curation
from shed_hf.utils.redaction import without_secrets


@without_secrets
def push_report(
    curated: Curation,
    repo_id: str,
    private: bool | None,
    excerpts: Excerpts,
    message: str | None,
    token: str | None,
) -> str:
    """Publish the report of a result.

    Args:
        curated: The result.
        repo_id: The Space, as ``namespace/name``.
        private: Whether a new Space is private; None: unless the source is public.
        excerpts: Whether texts of rows are shown; ``"auto"``: only of a public dataset of the Hub.
        message: The title of the commit; None for a generated one.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Returns:
        The address of the Space.

    Raises:
        InputError: For arguments that can't be used, and for a Space whose page shed_hf did not make.
        HubError: When the Hub refuses, or can't be reached.
    """
    check_excerpts(excerpts)
    check_push(repo_id, token)
    title = repo_id.split("/")[1]
    access = source_access(curated, token)
    shown = access.shows(excerpts)
    page = report_page(as_published(curated, shown), title, shown)
    return publish_page(page, repo_id, title, access.makes_private(private), message, token)
