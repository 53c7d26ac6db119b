"""`shed-hf report`."""

import json
from pathlib import Path

import pytest
from datasets import Dataset
from typer.testing import CliRunner

from shed_hf import CuratedDataset
from shed_hf.cli import app
from tests.helpers.curations import curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.pages import Page
from tests.helpers.rows import make_rows


def title_of(page: Page) -> str:
    return next(text for tag, _, text in page.texts if tag == "title")


def test_a_saved_folder_and_a_repository_become_a_page_and_a_space(
    tmp_path: Path, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_me_secret")
    monkeypatch.chdir(tmp_path)
    curated = curated_of(Dataset.from_list(make_rows(40)), 10)
    curated.save_to_disk("run", pages=False)
    curated.push_to_hub("me/reported")
    shell = CliRunner()
    first = shell.invoke(app, ["report", "run"])
    assert (first.exit_code, "report.html; open it in a browser" in first.output) == (0, True), first.output
    page = Page(Path("report.html").read_text(encoding="utf-8"))
    assert (page.content["kept"], title_of(page)) == (10, "run · shed_hf")
    second = shell.invoke(
        app, ["report", "me/reported", "--output", "other.html", "--push-to-hub", "me/run-report", "--json"]
    )
    assert second.exit_code == 0, second.output
    told = json.loads(second.output.splitlines()[-1])
    assert told == {"report": str(tmp_path / "other.html"), "space": f"{hub.url}/spaces/me/run-report"}
    page = Page(Path("other.html").read_text(encoding="utf-8"))
    assert (page.content["pool"], title_of(page)) == (40, "me/reported · shed_hf")
    resampled = CuratedDataset.load_from_disk("run", Dataset.from_list(make_rows(40))).resample(5)
    assert "run" not in title_of(Page(Path(resampled.report("run.html")).read_text(encoding="utf-8")))
    assert "index.html" in hub.files("me/run-report", "spaces")


def test_no_report_of_another_result_is_written_over_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    curated = curated_of(Dataset.from_list(make_rows(40)), 10)
    for folder, result in (("first", curated), ("other/second", curated.resample(5)), ("second", curated.resample(7))):
        result.save_to_disk(folder, pages=False)

    def written(*arguments: str) -> dict[str, int]:
        done = CliRunner().invoke(app, ["report", *arguments])
        assert done.exit_code == 0, done.output
        return {path.name: Page(path.read_text("utf-8")).content["kept"] for path in Path().glob("*.html")}

    assert written("first") == written("first") == {"report.html": 10}
    kept = {"report.html": 10, "report-second.html": 5}
    assert written("other/second") == written("other/second") == written("first") == kept
    assert written("second") == kept | {"report-second-2.html": 7}
    assert written("second", "--output", "report.html") == kept | {"report.html": 7, "report-second-2.html": 7}
    Path("report.html").write_text("mine")
    curated.save_to_disk("me", pages=False)
    CliRunner().invoke(app, ["report", "me"])
    assert (Path("report.html").read_text(), Path("report-me.html").is_file()) == ("mine", True)


def test_what_cannot_be_reported_ends_in_one_line(tmp_path: Path) -> None:
    for arguments in (["report", str(tmp_path)], ["report", "me/x", "--private"]):
        told = CliRunner().invoke(app, arguments)
        assert told.exit_code == 1
        assert "error: " in told.output
        assert "Traceback" not in told.output
