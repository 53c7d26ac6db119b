"""What may be printed: secrets are struck in every spelling, and nothing acts on a terminal."""

import base64
import pickle
from pathlib import Path
from urllib.parse import quote

import pytest

from shed_hf.errors import HubError, InputError, LedgerError
from shed_hf.errors.safe_text import one_line, printable, redacted, remember_secret

SECRET = "hf_carol+secret/1="


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        f"{SECRET}\n",
        repr(SECRET.encode()),
        f"Illegal header value b'Bearer {SECRET}\\n'",
        f"https://carol:{SECRET}@huggingface.co/x",
        f"https://huggingface.co/x?token={quote(SECRET, safe='')}",
        base64.b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
        f"{SECRET}{SECRET}",
    ],
)
def test_a_secret_is_struck_in_every_spelling(spelled: str) -> None:
    remember_secret(SECRET)
    left = redacted(f"before {spelled} after")
    assert left.startswith("before ")
    assert left.endswith(" after")
    assert "secret" not in left
    assert "***" in left
    assert quote(SECRET, safe="") not in left


@pytest.mark.parametrize("token", ["hf_" + "aB3" * 11, "api_org_" + "x" * 34])
def test_what_looks_like_a_token_is_struck_though_nobody_gave_it(token: str) -> None:
    assert redacted(f"got {token}.") == "got ***."


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_ID_TOKEN"])
def test_the_environments_tokens_are_secrets(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, " dave-secret-é\n")
    assert redacted("a dave-secret-é b dave-secret-\\xe9 c") == "a *** b *** c"


def test_the_token_of_a_login_is_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("erin-secret\n")
    assert redacted("erin-secret") == "***"


@pytest.mark.parametrize("text", ["hf_hub", "a short one", "https://huggingface.co/settings/tokens", "me@example.com"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b2J\x85\x7f\r\b\0", "\\x9b2J\\x85\\x7f\\r\\x08\\x00"),
        ("\u202egnp.exe\u2066\u200b\ufeff", "\\u202egnp.exe\\u2066\\u200b\\ufeff"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\ud800", "\\ud800"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("v(∅) ± 数据 هٔ 👩\u200d🔬", "v(∅) ± 数据 هٔ 👩\u200d🔬"),
    ],
)
def test_characters_that_act_are_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    for kind in (InputError, HubError, LedgerError):
        assert str(kind(text)) == shown
        assert str(pickle.loads(pickle.dumps(kind(text)))) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a\nb\tc", "a\\nb\\tc"), (3, "3"), (None, "None"), ("x" * 400, "x" * 299 + "…"), ([1, "\x1b"], "[1, '\\x1b']")],
)
def test_a_part_of_a_line_stays_on_its_line(value: object, shown: str) -> None:
    assert one_line(value) == shown


def test_a_number_that_cannot_be_written_is_described() -> None:
    assert one_line(10**5000) == "a number of very many digits"


def test_a_secret_is_struck_before_a_text_is_cut() -> None:
    remember_secret(SECRET)
    assert "hf_carol" not in one_line("x" * 290 + SECRET)
