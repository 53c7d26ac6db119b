"""What people read of a saved folder: the card with its pictures, and the report."""

import shutil
from pathlib import Path

from shed_hf.hub.card import folder_card, pictures_of
from shed_hf.report.page import report_page
from shed_hf.results.curation import Curation
from shed_hf.storage.partial_folders import AddPages
from shed_hf.utils.console import say
from shed_hf.utils.text import first_line

ASSETS, REPORT, README = "assets", "report.html", "README.md"


def adding_pages(curated: Curation) -> AddPages:
    """What adds the pages of a result to its folder.

    The map is laid out at once, so that the folder holds it as it is drawn. Pages that can't be drawn are left out, and
    a line says so.

    Args:
        curated: The result.

    Returns:
        A function of the folder and its name.
    """
    try:
        _ = curated.valued.embedding_map.coordinates
    except Exception as error:  # a page that can't be drawn must not cost a result that was paid for
        reason = _in_words(error)
        return lambda _folder, _name: _say_left_out(reason)

    def add(folder: Path, name: str) -> None:
        bare = (folder / README).read_text(encoding="utf-8")
        try:
            _write(curated, folder, name, bare)
        except Exception as error:  # nor may one that can't be written
            shutil.rmtree(folder / ASSETS, ignore_errors=True)
            (folder / REPORT).unlink(missing_ok=True)
            (folder / README).write_text(bare, encoding="utf-8")
            _say_left_out(_in_words(error))

    return add


def _in_words(error: Exception) -> str:
    return ": ".join(filter(None, (type(error).__name__, first_line(error))))


def _say_left_out(reason: str) -> None:
    say(f"the result is saved without card and report, which can't be drawn ({reason}); report(path) tries again")


def _write(curated: Curation, folder: Path, name: str, bare: str) -> None:
    pictures = pictures_of(curated)
    (folder / ASSETS).mkdir()
    for file, png in pictures.items():
        (folder / ASSETS / file).write_bytes(png)
    (folder / REPORT).write_text(report_page(curated, name), encoding="utf-8")
    (folder / README).write_text(folder_card(curated, name, list(pictures), bare), encoding="utf-8")
