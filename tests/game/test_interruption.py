"""What a run that ends early says of its outcomes: where they are, and what goes on with them."""

from pathlib import Path

import pytest

from shed_hf import InputError, Ledger, LedgerError
from shed_hf.game.interruption import how_to_resume, outcomes_kept, step_of_call
from shed_hf.game.ledger_header import OtherRun
from tests.helpers.ledgers import HEADER, an_entry, filled

STEP = "load the saved result, and call its verify with"


def ended(path: Path | None, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a run with one outcome says that ends in an error."""
    said: list[str] = []
    monkeypatch.setattr("shed_hf.game.interruption.say", said.append)
    with pytest.raises(type(error)), Ledger(path, HEADER) as ledger, outcomes_kept(ledger):
        ledger.put(an_entry(1))
        raise error
    return said[-1]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_of_its_own_is_repeated_with_its_ledger(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = here / "run.ledger"
    told = ended(path, KeyboardInterrupt(), monkeypatch)
    assert told == f"stopped; 1 outcome kept in {path}: repeat the call with ledger={str(path)!r} to go on"
    told = ended(None, KeyboardInterrupt(), monkeypatch)
    (kept,) = here.glob("shed-*.ledger")
    assert told == f"stopped; 1 outcome kept in {kept}: repeat the call with ledger={str(kept)!r} to go on"


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (InputError("bad"), "mend the call, and pass"),
        (OtherRun(Path("run.ledger"), {"order": (1, 2)}, "order: 1, 2"), "mend the call, and pass"),
        (LedgerError("there is no room; make room and repeat the call"), "repeat the call with"),
        (KeyboardInterrupt(), "repeat the call with"),
    ],
    ids=["bad argument", "ledger of another run", "full disk", "ctrl-C"],
)
def test_a_call_that_would_be_refused_again_is_to_be_mended(error: BaseException, how: str) -> None:
    assert how_to_resume(error) == how


def test_of_a_step_the_whole_call_is_repeated_with_its_ledger(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, path = here / "run.ledger", here / "run.ledger.verdict"
    with step_of_call(whole, STEP):
        assert ended(path, KeyboardInterrupt(), monkeypatch).endswith(
            f"kept in {path}: repeat the call with ledger={str(whole)!r} to go on"
        )
        assert f"mend the call, and pass ledger={str(whole)!r}" in ended(path, InputError("bad"), monkeypatch)
    assert f"repeat the call with ledger={str(path)!r}" in ended(path, KeyboardInterrupt(), monkeypatch)


def test_a_step_that_has_no_outcome_yet_tells_of_those_of_the_whole_call(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, said = here / "run.ledger", list[str]()
    filled(whole, 3)
    monkeypatch.setattr("shed_hf.game.interruption.say", said.append)
    for before in (whole, here / "none.ledger"):
        with pytest.raises(KeyboardInterrupt), step_of_call(before, STEP), Ledger() as ledger, outcomes_kept(ledger):
            raise KeyboardInterrupt
    assert said == [f"stopped; 3 outcomes kept in {whole}: repeat the call with ledger={str(whole)!r} to go on"]


def test_a_step_of_a_call_without_a_ledger_is_gone_on_with_by_itself(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with step_of_call(None, STEP):
        told = ended(None, KeyboardInterrupt(), monkeypatch)
    (kept,) = here.glob("shed-*.ledger")
    assert told == f"stopped; 1 outcome kept in {kept}: {STEP} ledger={str(kept)!r} to go on"
