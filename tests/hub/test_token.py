"""An access token never leaves: it is checked before it is sent, and struck from all that a call says and writes."""

import functools
import logging
import re
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shed_hf import ClusterScorer, CuratedDataset
from shed_hf.errors import HubError, InputError, ShedError
from shed_hf.hub.token import checked_token, saved_token
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.pushes import result, scorer

TOKEN = "hf_alice_secret"
ALWAYS = 10**6


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No waits, and a folder of one's own to work in."""
    monkeypatch.setattr("shed_hf.hub.retry.WAITS", (0.0,) * 2)
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda _: None))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def everything_said(error: BaseException) -> str:
    """The traceback as it is printed, and each exception in it by text, fields and notes."""
    texts, todo, seen = ["".join(traceback.format_exception(error))], [error], set()
    while todo:
        each = todo.pop()
        if id(each) not in seen:
            seen.add(id(each))
            texts.append(f"{each} {each!r} {vars(each)} {getattr(each, '__notes__', '')}")
            todo += [other for other in (each.__cause__, each.__context__) if other is not None]
    return "\n".join(texts)


def outcome(call: Callable[[], Any]) -> str:
    """What a call says when it fails, and nothing when it does not."""
    try:
        call()
    except Exception as error:
        return everything_said(error)
    return ""


def files_below(*folders: Path) -> bytes:
    paths = [path for folder in folders for path in folder.rglob("*")]
    return b"\n".join([*(str(path).encode() for path in paths), *(p.read_bytes() for p in paths if p.is_file())])


# ---- at the door


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"  {TOKEN}\r\n", f"\ufeff{TOKEN}\n"])
def test_blanks_around_a_token_are_no_part_of_it(hub: LoopbackHub, token: str) -> None:
    assert checked_token(token) == TOKEN
    repo = f"alice/stripped-{len(token)}{ord(token[0])}"
    result().push_to_hub(repo, token=token)
    assert len(CuratedDataset.from_hub(repo, token=token)) == 30


WRONG = {
    "empty": ("", "token= is empty"),
    "blank": (" \n", "token= is empty"),
    "a letter outside ASCII": ("hf_alice_sécret_wrong", "at position 11 of 21"),
    "a digit outside ASCII": ("hf_alice_secret٣", "at position 16 of 16"),
    "a blank inside": ("hf_alice secret_wrong", "at position 9 of 21"),
    "a line break inside": ("hf_alice_secret\nhf_bob_secret", "at position 16 of 29"),
    "an address": ("https://alice:hf_alice_secret@huggingface.co", "at position 6 of"),
    "a header": ("Bearer hf_alice_secret", "at position 7 of"),
    "a NUL": ("hf_alice_secret\0", "at position 16 of 16"),
    "half a surrogate": ("hf_alice_secret\ud800", "at position 16 of 16"),
    "bytes": (b"hf_alice_secret", "token= is a bytes; pass a string"),
    "a bytearray": (bytearray(b"hf_alice_secret"), "token= is a bytearray; pass a string"),
    "a list": (["hf_alice_secret"], "token= is a list; pass a string"),
    "a number": (7, "token= is a int; pass a string"),
    "too short": ("hf_", "token= has 3 characters"),
}
USES: dict[str, Callable[[Any], Any]] = {
    "push": lambda token: result().push_to_hub("alice/wrong", token=token),
    "pull": lambda token: CuratedDataset.from_hub("alice/wrong", token=token),
    "push a scorer": lambda token: scorer().push_to_hub("alice/wrong-scorer", token=token),
    "pull a scorer": lambda token: ClusterScorer.from_pretrained("alice/wrong-scorer", token=token),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("use", USES)
def test_what_can_not_be_a_token_is_refused_without_showing_it(hub: LoopbackHub, use: str, kind: str) -> None:
    token, told = WRONG[kind]
    with pytest.raises(InputError, match=re.escape(told)) as caught:
        USES[use](token)
    said = everything_said(caught.value)
    assert "alice_s" not in said
    assert "alice s" not in said
    assert hub.requests == []


@pytest.mark.parametrize("value", ["hf_alice_sécret_env", "hf_alice secret_env", "hf_\x07alice_secret"])
def test_the_environments_token_is_checked_too(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HF_TOKEN", value)
    for call in USES.values():
        with pytest.raises(InputError, match="HF_TOKEN has a character at position") as caught:
            call(None)
        assert value not in everything_said(caught.value)
    assert hub.requests == []


@pytest.mark.parametrize("content", [b"hf_alice_secret\n", b"hf_alice_secret\r\n\r\n", b"  hf_alice_secret"])
def test_the_token_of_a_login_may_end_in_a_line_break(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "token").write_bytes(content)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    assert saved_token() == TOKEN


@pytest.mark.parametrize("content", [b"\xff\xfehf_alice_secret", "hf_älice_secret".encode(), b"hf_alice\x1b[1m_secret"])
def test_a_file_that_holds_no_token_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(InputError, match=r"the saved token (has a character|can't be read)") as caught:
        saved_token()
    assert "alice" not in everything_said(caught.value)


# ---- whatever the Hub does

ECHO = f"Invalid token {TOKEN}, Authorization: Bearer {TOKEN}"
TOLD = {"X-Error-Message": ECHO, "X-HF-Warning": f"token; {ECHO}", "X-Request-Id": TOKEN, "Retry-After": "0"}
FAULTS: list[dict[str, Any]] = [
    *({"status": status, "headers": TOLD} for status in (400, 401, 403, 429, 503)),
    {"status": 403, "headers": TOLD | {"X-Error-Code": "GatedRepo"}},
    {"status": 404, "headers": TOLD | {"X-Error-Code": "RepoNotFound"}},
    {"close": True},
    {"close": True, "lost_reply": True},
]
PUSH_STEPS = ("/api/repos/create$", "^/api/datasets/alice/[a-z]+$", "/preupload/", "/commit/")
PULL_STEPS = ("^/api/(datasets|models)/alice/[a-z]+/revision", "/resolve/", "/tree/")


@functools.cache
def push_what_is_pulled() -> None:
    result().resample(3).push_to_hub("alice/leaks", token=TOKEN, private=True)
    scorer().push_to_hub("alice/scorer", token=TOKEN)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_no_fault_of_the_hub_brings_a_token_to_light(
    hub: LoopbackHub,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    fault: dict[str, Any],
) -> None:
    given = None if FAULTS.index(fault) % 2 else f"{TOKEN}\n"
    caplog.set_level(logging.DEBUG)
    for name in ("huggingface_hub", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, name)
    monkeypatch.setattr("shed_hf.utils.logs.quiet", lambda: False)
    if given is None:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    other = result().resample(4, seed=FAULTS.index(fault))
    push_what_is_pulled()
    pushes: list[Callable[[], Any]] = [lambda: other.push_to_hub("alice/leaks", token=given)]
    pulls: list[Callable[[], Any]] = [
        lambda: CuratedDataset.from_hub("alice/leaks", token=given),
        lambda: ClusterScorer.from_pretrained("alice/scorer", token=given),
    ]
    failures = 0
    for steps, calls in ((PUSH_STEPS, pushes), (PULL_STEPS, pulls)):
        for step in steps:
            hub.clear()
            hub.fault(path=step, times=ALWAYS, **fault)
            for call in calls:
                said = outcome(call)
                failures += bool(said)
                assert "secret" not in said, step
    hub.clear()
    assert failures
    assert "secret" not in "".join([*capfd.readouterr(), caplog.text])
    assert b"secret" not in files_below(tmp_path)


def test_an_error_of_any_library_leaves_without_the_token(monkeypatch: pytest.MonkeyPatch, hub: LoopbackHub) -> None:
    spelled = [TOKEN, f"b'{TOKEN}'", f"https://alice:{TOKEN}@localhost/x", "aGZfYWxpY2Vfc2VjcmV0", TOKEN.encode().hex()]

    class Odd(Exception):
        def __init__(self) -> None:
            super().__init__(*spelled)
            self.answer, self.deep = spelled[0], {"headers": TOKEN}

    def broken(*_: Any, **__: Any) -> None:
        first = UnicodeEncodeError("ascii", f"Bearer {TOKEN}", 0, 6, f"no {TOKEN}")
        first.add_note(f"the token was {TOKEN}")
        raise Odd from first

    monkeypatch.setattr("shed_hf.hub.publish.as_published", broken)
    said = outcome(lambda: result().push_to_hub("alice/odd", token=TOKEN))
    assert not [spelling for spelling in spelled if spelling in said]
    assert "***" in said
    assert "the result is saved in" in said


def test_a_token_in_other_arguments_is_not_repeated_or_published(hub: LoopbackHub, tmp_path: Path) -> None:
    for arguments in (
        {"repo_id": f"https://alice:{TOKEN}@huggingface.co/datasets/alice/x"},
        {"repo_id": TOKEN},
        {"repo_id": "alice/x", "commit_message": f"pushed with {TOKEN}"},
        {"repo_id": "alice/x", "revision": TOKEN},
    ):
        with pytest.raises(ShedError) as caught:
            result().push_to_hub(**arguments, token=f"{TOKEN}\n")
        assert "secret" not in everything_said(caught.value)
    assert b"secret" not in files_below(tmp_path)
    assert "datasets/alice/x" not in hub.repos


def test_log_lines_are_as_before_once_a_call_has_ended(hub: LoopbackHub, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(HubError):
        CuratedDataset.from_hub("alice/nothing-here", token=TOKEN)
    assert not [name for name in logging.root.manager.loggerDict if logging.getLogger(name).filters]


# ---- how long


@pytest.mark.parametrize("path", ["/preupload/", "^/lfs/"])
@pytest.mark.parametrize("how", [{"close": True}, {"status": 503}], ids=["cut", "busy"])
def test_a_request_that_the_client_repeats_is_given_up_within_half_a_minute(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, path: str, how: dict[str, Any]
) -> None:
    waited: Counter[int] = Counter()  # files are uploaded in several threads at once
    clock = SimpleNamespace(sleep=lambda seconds: waited.update({threading.get_ident(): seconds}))
    monkeypatch.setattr("huggingface_hub.utils._http.time", clock)
    monkeypatch.setattr("shed_hf.hub.retry.WAITS", (1.0, 2.0, 4.0, 8.0, 16.0))
    monkeypatch.setattr("shed_hf.hub.retry.time", clock)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", path == "^/lfs/")
    hub.fault(path=path, times=ALWAYS, **how)
    other = result().resample(7, "random", seed=len(path) + len(str(how)))
    with pytest.raises(HubError, match="pushing to alice/long failed"):
        other.push_to_hub("alice/long", token=TOKEN)
    assert 10 < max(waited.values()) < 35
    assert len([1 for _, asked, _ in hub.requests if re.search(path, asked)]) >= 6
