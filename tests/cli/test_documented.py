"""The commands of the first page and of the guide are ones that the shell takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from shed_hf.cli import app

ROOT = Path(__file__).parents[2]


TEXT = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "examples/README.md"))
LINES = sorted(set(re.findall(r"^    shed-hf (.+?)(?:    #.*)?$", TEXT, flags=re.MULTILINE)))
"""What stands behind the shell's name in every line that begins with it, without comments."""


@pytest.mark.parametrize("line", LINES)
def test_a_documented_command_has_arguments_and_options_that_there_are(line: str) -> None:
    verb, *words = shlex.split(line)
    with typer.main.get_group(app).commands[verb].make_context(verb, words):
        pass


def test_every_verb_has_a_documented_command() -> None:
    assert {line.split()[0] for line in LINES} == set(typer.main.get_group(app).commands)


def test_the_guide_names_the_verbs_that_take_no_file() -> None:
    verbs = typer.main.get_group(app).commands
    without = {name for name, verb in verbs.items() if not any("--config" in each.opts for each in verb.params)}
    (told,) = re.findall(r"`--config settings\.yaml` reads options from a file, but not of (.+)\.\n", TEXT)
    assert set(re.findall(r"`(.+?)`", told)) == without
