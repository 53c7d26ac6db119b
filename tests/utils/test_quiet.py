"""Other libraries' bars, log lines and warnings: not while shed_hf works, and as they were afterwards."""

import logging
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.utils as hub_bars
import pytest
from huggingface_hub.utils.tqdm import progress_bar_states
from transformers.utils import logging as transformers_logging

from shed_hf.data.loading import load_source
from shed_hf.errors import InputError, ShedWarning
from shed_hf.utils.console import say
from shed_hf.utils.quiet import only_own_output, quiet, silent
from tests.helpers.bars import shown


def warn_as(module: str, category: type[Warning] = UserWarning) -> None:
    warnings.warn_explicit(f"of {module}", category, f"{module}.py", 1, module=module)


def test_bars_are_off_within_and_as_they_were_afterwards() -> None:
    with shown():
        hub_bars.disable_progress_bars("some.group")
        transformers_logging.enable_progress_bar()
        before = dict(progress_bar_states)
        with only_own_output():
            with only_own_output():
                pass
            assert datasets.are_progress_bars_disabled()
            assert hub_bars.are_progress_bars_disabled()
            assert not transformers_logging.is_progress_bar_enabled()
            assert not quiet()  # which is about the user's setting
        assert not datasets.are_progress_bars_disabled()
        assert progress_bar_states == before
        assert transformers_logging.is_progress_bar_enabled()
    with only_own_output():
        assert quiet()
    assert datasets.are_progress_bars_disabled()


@pytest.mark.parametrize("context", [only_own_output, silent])
def test_threads_that_overlap_leave_everything_as_it_was(context: Any) -> None:
    with shown():
        first, second = context(), context()
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
            one.submit(first.__enter__).result()
            other.submit(second.__enter__).result()
            one.submit(first.__exit__, None, None, None).result()
            assert datasets.are_progress_bars_disabled()
            other.submit(second.__exit__, None, None, None).result()
        assert not datasets.are_progress_bars_disabled()
        assert not hub_bars.are_progress_bars_disabled()
        assert not quiet()


def test_bars_come_back_after_an_error() -> None:
    with shown():
        with pytest.raises(ValueError, match="broken"), only_own_output():
            raise ValueError("broken")
        assert not datasets.are_progress_bars_disabled()
        assert not quiet()


@pytest.mark.parametrize("module", ["trl.trainer.utils", "datasets", "sklearn.base", "torch.nn", "shed_hf.game.game"])
@pytest.mark.parametrize("category", [UserWarning, FutureWarning, DeprecationWarning])
def test_warnings_of_libraries_to_their_authors_are_not_shown(module: str, category: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with only_own_output():
            warn_as(module, category)
        assert not caught
        warn_as(module, category)
    assert [str(each.message) for each in caught] == [f"of {module}"]


@pytest.mark.parametrize("module", ["my_script", "torchmine", "__main__"])
def test_warnings_of_the_callers_own_code_are_shown(module: str) -> None:
    with pytest.warns(UserWarning, match=f"of {module}"), only_own_output():
        warn_as(module)
    with pytest.warns(ShedWarning), only_own_output():
        warn_as(module, ShedWarning)


@pytest.mark.parametrize(
    ("level", "within"),
    [(logging.WARNING, logging.ERROR), (logging.INFO, logging.INFO), (logging.CRITICAL, logging.CRITICAL)],
)
@pytest.mark.parametrize("name", ["transformers", "datasets", "huggingface_hub", "accelerate"])
def test_loggers_of_libraries_tell_errors_only_unless_the_user_has_set_them(name: str, level: int, within: int) -> None:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        with only_own_output():
            assert logger.level == within
        assert logger.level == level
    finally:
        logger.setLevel(before)


@pytest.mark.parametrize(("rank", "told"), [("0", "a line\n"), ("1", ""), ("12", "")])
def test_one_rank_of_a_launch_tells(
    rank: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", rank)
    with shown():
        assert quiet() == (not told)
        say("a line")
        logging.getLogger("shed_hf").warning("seen")
    assert capsys.readouterr().err == f"{told}warning: seen\n"


def test_a_rank_beside_rank_0_is_silent() -> None:
    with shown(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with silent():
            assert quiet()
            warn_as("my_script")
        assert not quiet()
    assert not caught


def test_what_is_wrong_with_a_file_is_raised_and_not_logged_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"text": "a"}\n{"text": \n')
    with pytest.raises(InputError, match=r"broken\.jsonl"):
        load_source(str(broken))
    assert caplog.text == ""
    assert logging.getLogger("datasets.packaged_modules").level == logging.NOTSET


def test_transformers_that_is_imported_within_is_as_ever_afterwards() -> None:
    code = """
import logging, os, sys
from shed_hf.utils.quiet import only_own_output
with only_own_output():
    assert "transformers" not in sys.modules
    from transformers.utils import logging as of_transformers
    print(logging.getLogger("transformers").level, of_transformers.is_progress_bar_enabled())
print(logging.getLogger("transformers").level, of_transformers.is_progress_bar_enabled())
print("TRANSFORMERS_VERBOSITY" in os.environ)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[:3] == [f"{logging.ERROR} False", f"{logging.WARNING} True", "False"]
    assert result.stderr == ""
