"""A Hub that refuses, stumbles, vanishes or holds altered files: a clear error each time, and nothing is lost."""

import functools
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset
from huggingface_hub import HfApi

import shed_hf
from shed_hf import CuratedDataset, HubError, InputError
from shed_hf.errors import ShedError
from tests.helpers.curations import _assert_equal
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.pushes import refused, result
from tests.helpers.rows import make_rows

pytestmark = pytest.mark.usefixtures("alice", "no_token_is_told", "quick")
ALWAYS = 10**6
COMMIT, INFO, CREATE = "/commit/main$", r"^/api/datasets/alice/[\w-]+(/revision/v2)?$", "^/api/repos/create$"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short waits, and a folder of one's own to work in."""
    monkeypatch.setattr("shed_hf.hub.retry.WAITS", (0.01,) * 8)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def saved(message: str) -> tuple[CuratedDataset, str]:
    """What was saved in the folder that a message names, and the line that pushes it later."""
    found = re.search(r"he result is saved in (?P<folder>\S+); to push it later: (?P<line>.+)$", message)
    assert found, message
    assert found["folder"] in found["line"]
    assert [str(path) for path in Path.cwd().iterdir()] == [found["folder"]]
    return CuratedDataset.load_from_disk(found["folder"]), found["line"]


def push(repo: Any, **arguments: Any) -> str:
    return result().push_to_hub(repo, **arguments)


# ---- pushes that are refused


@pytest.mark.parametrize(
    ("token", "repo", "told"),
    [
        (None, "alice/no-token", r"there is no token for the Hub; log in with `hf auth login`, or set HF_TOKEN"),
        ("hf_mallory_secret", "alice/bad-token", r"alice/bad-token failed, the Hub answered 401.*hf auth login"),
        ("hf_alice_reads_secret", "alice/no-write", r"alice/no-write failed, the Hub answered 403: the token has no"),
        ("hf_alice_secret", "bob/foreign", r"bob/foreign failed, the Hub answered 403: .*access to that namespace"),
    ],
)
def test_a_push_without_the_right_to_is_refused_and_kept(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, token: str | None, repo: str, told: str
) -> None:
    monkeypatch.delenv("HF_TOKEN") if token is None else monkeypatch.setenv("HF_TOKEN", token)
    kept, _ = saved(refused(lambda: push(repo), HubError, told))
    _assert_equal(result(), kept)
    assert f"datasets/{repo}" not in hub.repos


def test_a_token_that_only_reads_changes_nothing(hub: LoopbackHub) -> None:
    push("alice/read-only", excerpts=True)
    told = r"pushing to alice/read-only failed, the Hub answered 403"
    other = result().resample(9)
    refused(lambda: other.push_to_hub("alice/read-only", token="hf_alice_reads_secret"), HubError, told)
    assert len(hub.commits("alice/read-only")) == 2
    assert len(CuratedDataset.from_hub("alice/read-only", token="hf_alice_reads_secret")) == 30


@pytest.mark.parametrize("repo", ["nameonly", None, "a/b/c", "", 7])
def test_a_name_without_a_namespace_is_refused_and_the_result_kept(hub: LoopbackHub, repo: Any) -> None:
    told = rf'^repo_id={re.escape(repr(repo))} has no namespace; pass "your-name/name"'
    kept, _ = saved(refused(lambda: push(repo), InputError, told))
    _assert_equal(result(), kept)
    refused(lambda: CuratedDataset.from_hub(repo), InputError, told)
    assert hub.requests == []


@pytest.mark.parametrize("repo", ["alice/with space", "alice/-x", "alice/a..b", "/x", "alice/"])
def test_a_name_that_the_hub_does_not_take_is_refused(hub: LoopbackHub, repo: str) -> None:
    saved(refused(lambda: push(repo), InputError, r"^repo_id='.*' is not a name the Hub takes"))
    assert hub.requests == []


def test_a_model_of_the_same_name_is_left_alone(hub: LoopbackHub) -> None:
    HfApi().create_repo("alice/namesake")
    told = r"pulling alice/namesake failed, the Hub answered 404.*; there is a model of that name"
    refused(lambda: CuratedDataset.from_hub("alice/namesake"), HubError, told)
    push("alice/namesake")
    assert hub.commits("alice/namesake", "models") == ["initial commit"]
    assert len(CuratedDataset.from_hub("alice/namesake")) == 30


def test_an_unknown_choice_of_excerpts_is_refused(hub: LoopbackHub) -> None:
    refused(lambda: push("alice/excerpts", excerpts="some"), InputError, r"excerpts='some' is unknown; pass \"auto\"")
    assert "datasets/alice/excerpts" not in hub.repos


# ---- a Hub that stumbles


BUSY: list[dict[str, Any]] = [
    {"status": 429, "headers": {"Retry-After": "0"}}, *({"status": s} for s in (500, 502, 503, 504)), {"close": True},
]  # fmt: skip
CONFLICT = [{"status": 409}, {"status": 412}]
WAITED = [BUSY[1], BUSY[-1]]  # of calls that the clients repeat themselves, with longer waits
STEPS: dict[str, tuple[dict[str, Any], list[dict[str, Any]], bool]] = {
    "create": ({"path": CREATE}, BUSY, True),
    "look": ({"path": INFO}, BUSY, True),
    "preupload": ({"path": "/preupload/"}, [*WAITED, *CONFLICT], True),
    "xet": ({"path": "/xet-write-token/"}, WAITED[:1], True),
    "batch": ({"path": "/objects/batch$"}, WAITED[:1], False),
    "upload": ({"path": "^/lfs/", "method": "PUT"}, WAITED, False),
    "commit": ({"path": COMMIT}, [*BUSY, *CONFLICT], True),
}


@pytest.mark.parametrize("step", STEPS)
def test_what_passes_is_waited_for(
    hub: LoopbackHub, step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where, faults, xet = STEPS[step]
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", not xet)
    monkeypatch.setattr("shed_hf.utils.logs.quiet", lambda: False)
    for fault in faults:
        hub.fault(**where, **fault)
    repo, curated = f"alice/through-{step}", result().resample(30, "random", seed=list(STEPS).index(step))
    curated.push_to_hub(repo)
    happened = {status for _, path, status in hub.requests if re.search(where["path"], path)}
    assert {fault.get("status", 0) for fault in faults} < happened
    assert len(hub.commits(repo)) == 2
    assert (CuratedDataset.from_hub(repo).rows == curated.rows).all()
    if step in ("create", "look", "commit"):
        assert "the Hub answered 503; trying again in 0 s" in capsys.readouterr().err
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("path", [CREATE, "/branch/", COMMIT.replace("main", "v2")])
@pytest.mark.parametrize("how", [{"close": True}, {"status": 504}])
def test_work_whose_answer_was_lost_is_not_done_twice(hub: LoopbackHub, path: str, how: dict[str, Any]) -> None:
    repo = f"alice/lost-{len(path)}-{len(str(how))}"
    hub.fault(path=path, lost_reply=True, **how)
    push(repo, revision="v2")
    assert hub.commits(repo, revision="v2") == ["30 rows curated with shed_hf", "initial commit"]
    assert hub.commits(repo) == ["initial commit"]


def test_the_hub_is_given_the_time_it_asks_for(hub: LoopbackHub) -> None:
    hub.fault(path=COMMIT, status=429, headers={"Retry-After": "1"})
    start = time.monotonic()
    push("alice/asked")
    assert time.monotonic() - start > 1
    assert len(hub.commits("alice/asked")) == 2


def test_somebody_elses_commit_in_between_is_not_written_over(hub: LoopbackHub) -> None:
    push("alice/between")
    sent, answer = [], hub.answer

    def also(request: Any) -> Any:
        if re.search("/preupload/", request.path) and not sent:
            sent.append(1)
            files = hub.repos["datasets/alice/between"].at("main")["files"]
            notes = {**files, "notes.txt": hub.keep(b"mine", "notes.txt")}
            hub.repos["datasets/alice/between"].add("main", notes, "alice", "Notes")
        return answer(request)

    hub.answer = also  # type: ignore[method-assign]
    try:
        result().resample(8).push_to_hub("alice/between")
    finally:
        del hub.answer
    assert hub.commits("alice/between")[:2] == ["8 rows curated with shed_hf", "Notes"]
    assert hub.files("alice/between")["notes.txt"] == b"mine"


@pytest.mark.parametrize(
    ("path", "how"),
    [(COMMIT, {"status": 503}), (INFO, {"close": True}), (CREATE, {"status": 500})],
    ids=["commit", "look", "create"],
)
def test_a_push_given_up_is_made_later_by_the_line_in_the_message(
    hub: LoopbackHub, path: str, how: dict[str, Any]
) -> None:
    given = {"private": False, "revision": "v2", "commit_message": "Mine", "excerpts": True}
    repo, path = f"alice/later-{len(path)}", path.replace("main", "v2")
    hub.fault(path=path, times=ALWAYS, **how)
    told = f"^pushing to {repo} failed: the Hub (answered {how.get('status')} .a fault.|can't be reached)"
    kept, line = saved(refused(lambda: push(repo, **given), HubError, told))
    assert line == saved(refused(lambda: push(repo, **given), HubError, told))[1]  # the same folder again
    _assert_equal(result(), kept)
    assert "secret" not in line
    hub.clear()
    exec(line, {"shed_hf": shed_hf})
    assert not hub.is_private(repo)
    assert "a row of its sample begins" in hub.files(repo, revision="v2")["README.md"].decode()
    assert hub.commits(repo, revision="v2") == ["Mine", "initial commit"]


def test_an_interrupted_push_says_where_the_result_is(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: BaseException) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("shed_hf.utils.logs.quiet", lambda: False)
    monkeypatch.setattr("shed_hf.hub.retry._is_transient", interrupt)
    hub.fault(path=COMMIT)
    with pytest.raises(KeyboardInterrupt):
        push("alice/interrupted")
    _assert_equal(result(), saved(capsys.readouterr().err.strip())[0])


def test_the_result_is_kept_even_where_the_working_folder_is_gone(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN")
    Path.cwd().rmdir()
    refused(lambda: push("alice/gone"), HubError, rf"there is no token .*saved in {tmp_path}/gone-\w+;")


def test_a_full_disk_is_not_called_a_bad_line(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shed_hf.hub.card.dataset_card", full)
    with pytest.raises((OSError, ShedError), match="No space left on device") as caught:
        push("alice/full")
    assert "can't be reached" not in str(caught.value)


# ---- pulls that are refused


def test_what_cannot_be_pulled_says_why(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    pull = CuratedDataset.from_hub
    push("alice/there")
    refused(
        lambda: pull("alice/unknown"), HubError, r"alice/unknown failed, the Hub answered 404: there is no such repo"
    )
    refused(lambda: pull("alice/there", revision="v9"), HubError, r"alice/there at revision v9 failed.*answered 404")
    Dataset.from_list(make_rows(4)).push_to_hub("alice/ordinary")
    told = r"alice/ordinary is a dataset, but not one that shed_hf curated .*load_dataset\('alice/ordinary'\)"
    refused(lambda: pull("alice/ordinary"), InputError, told)
    monkeypatch.setenv("HF_TOKEN", "hf_bob_secret")
    refused(lambda: pull("alice/there"), HubError, r"pulling alice/there failed.*404.*or the token can't see it")
    monkeypatch.delenv("HF_TOKEN")
    refused(lambda: pull("alice/there"), HubError, r"pulling alice/there failed.*401.*log in with `hf auth login`")
    assert len(pull("alice/there", token="hf_alice_secret")) == 30


def test_a_gate_is_called_a_gate(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    push("alice/gated", private=False)
    HfApi().update_repo_settings("alice/gated", repo_type="dataset", gated="manual")
    monkeypatch.setenv("HF_TOKEN", "hf_bob_secret")
    refused(lambda: CuratedDataset.from_hub("alice/gated"), HubError, r"alice/gated.*(gated|ask for access)")


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/revision/main$", {"status": 503}),
        ("/revision/main$", {"close": True}),
        ("/tree/", {"close": True}),
        ("/resolve/.*manifest", {"status": 503}),
    ],
)
def test_a_pull_goes_on_when_the_hub_stumbles(hub: LoopbackHub, path: str, how: dict[str, Any]) -> None:
    for before in ("empty", "filled"):
        repo = f"alice/{before}-{len(path)}-{len(how)}-{how.get('status', 0)}"
        push(repo)
        if before == "filled":
            CuratedDataset.from_hub(repo)
            result().resample(5).push_to_hub(repo)
        hub.clear()
        hub.fault(path=path, **how)
        assert len(CuratedDataset.from_hub(repo)) == (30 if before == "empty" else 5)  # not what is in the cache
        assert [status for _, _, status in hub.requests if status != 200] == [how.get("status", 0)]


# ---- no Hub at all


PULLS = """
import sys, datasets, shed_hf, shed_hf.hub.retry
datasets.disable_progress_bars()
shed_hf.hub.retry.WAITS = (0.01,)
for repo in sys.argv[1:]:
    try:
        curated = shed_hf.CuratedDataset.from_hub(repo)
        print(repo, len(curated), "rows")
        curated.push_to_hub(repo)
    except shed_hf.ShedError as error:
        print(repo, type(error).__name__, error)
"""


@functools.cache
def in_the_cache() -> str:
    """How the names of three repositories begin, of which one was pulled and one loaded in part."""
    name = "alice/away"
    for part in ("whole", "partly", "never"):
        push(f"{name}-{part}")
    CuratedDataset.from_hub(f"{name}-whole")
    load_dataset(f"{name}-partly", split="train")
    return name


@pytest.mark.parametrize("how", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}])
def test_without_the_hub_what_is_in_the_cache_is_there(hub: LoopbackHub, how: dict[str, str]) -> None:
    name = in_the_cache()
    command = [sys.executable, "-c", PULLS, *(f"{name}-{part}" for part in ("whole", "partly", "never"))]
    done = subprocess.run(command, env={**os.environ, **how}, capture_output=True, text=True, timeout=120, check=False)
    assert "secret" not in done.stdout + done.stderr
    whole, failed, partly, never = done.stdout.splitlines()
    assert whole == f"{name}-whole 30 rows"
    assert re.search("HubError .*(can't be reached|HF_HUB_OFFLINE).* the result is saved in ", failed, re.IGNORECASE)
    for part, told in (("never", never), ("partly", partly)):
        assert re.search(rf"-{part} HubError .*not in the cache and the Hub can't be reached.*HF_HUB_OFFLINE", told), (
            told
        )
