"""Why a ledger is of another run, in the caller's words: which argument was what, and is what now."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from shed_hf.config.ledger_note import note_of, read_note
from shed_hf.config.recipe_file import WrittenSettings
from shed_hf.config.setting import shown
from shed_hf.config.shed_config import SETTINGS_BY_NAME, TUNING_NAMES
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.game.ledger_header import OtherRun, recorded_header

_SHOWN = 3

_OF_DATASET = ("dataset", "split", "columns", "drop_invalid")
_OF_ITEMS = ("eval_dataset", "eval_columns", "objective", "model", *_OF_DATASET, "seed")
_OF_MODEL = ("model", "precision", "warmup")

_DECIDED_BY: Mapping[str, tuple[str, ...]] = {
    "dataset": _OF_DATASET, "order": ("seed",), "warmed up on": ("warmup", "seed", *_OF_DATASET),
    "model": _OF_MODEL, "weights": _OF_MODEL, "parameters": _OF_MODEL, "architecture": _OF_MODEL,
    "tokenizer": _OF_MODEL, "vocabulary": _OF_MODEL, "training": tuple(sorted(TUNING_NAMES)),
    "adapter": tuple(sorted(TUNING_NAMES)), "trainer": tuple(sorted(TUNING_NAMES)), "objective": ("objective",),
    "objective state": ("objective",), "evaluation": _OF_ITEMS, "items": _OF_ITEMS, "candidates": _OF_ITEMS,
}  # fmt: skip
"""The settings that decide what a field of a ledger's header is."""

_ADAPTER = {"r": "lora_r", "lora_alpha": "lora_alpha", "lora_dropout": "lora_dropout",
            "target_modules": "lora_target_modules"}  # fmt: skip

_OF_SEED, _WITH_ADAPTER = ("training.seed", "training.data_seed"), ("weights", "parameters")
"""Fields that another seed changes too: always, and where the model has an adapter."""

_IN_WORDS = {
    "dataset": "the rows of dataset= are others, or in another order", "order": "seed= was another",
    "warmed up on": "the rows of warmup= are others",
    "weights": "the weights of model= are others", "parameters": "the weights of model= are others",
    "architecture": "the architecture of model= is another", "tokenizer": "the tokenizer of model= is another",
    "vocabulary": "the tokenizer of model= is another",
    "evaluation": "the evaluation items are others", "items": "the evaluation items are others",
    "candidates": "the options of the evaluation items are others",
}  # fmt: skip
"""What fields mean whose content is a digest."""


@contextmanager
def telling_what_changed(written: WrittenSettings | None = None) -> Iterator[None]:
    """Within, the error about a ledger of another run names the arguments that changed.

    Args:
        written: What this call was told, as far as it can be written down; None where that is unknown.
    """
    try:
        yield
    except OtherRun as error:
        changes = _changes(error, written)
        if changes:  # else the error's own words say most
            error.args = (
                f"{error.path} holds the outcomes of another run: {'; '.join(changes[:_SHOWN])}; repeat that run's "
                "arguments, or pass another path as ledger=",
            )
        raise


def _changes(error: OtherRun, written: WrittenSettings | None) -> list[str]:
    """What the settings noted beside the ledger say, then what only its header does."""
    noted, follows = _noted(error, written), _following(error.fields, recorded_header(error.path) or {})
    fields = {name: contents for name, contents in error.fields.items() if name not in follows}
    by_field = [_in_words(name, *contents) for name, contents in fields.items() if _part(name) not in noted]
    return list(dict.fromkeys([change for changes in noted.values() for change in changes] + by_field))


def _following(fields: Mapping[str, tuple[Any, Any]], before: Mapping[str, Any]) -> set[str]:
    """The fields that say nothing of their own: what another seed changes too, and a model's path written in full.

    An adapter's weights are drawn with the seed. A model without one has its own, whatever the seed is.
    """
    of_seed = {*_OF_SEED, *(_WITH_ADAPTER if before.get("adapter") else ())} if "order" in fields else set[str]()
    return of_seed | {name for name, contents in fields.items() if name == "model" and _same(*contents)}


def _noted(error: OtherRun, written: WrittenSettings | None) -> dict[str, list[str]]:
    """By the part of the header that differs, the settings that decide it and changed since they were noted."""
    if written is None or not note_of(error.path).is_file():
        return {}
    before: Mapping[str, Any] = {}
    with suppress(InputError):  # a note that was changed by hand says nothing
        before = read_note(error.path).values
    found = {}
    for part in dict.fromkeys(map(_part, error.fields)):
        settings = [name for name in _DECIDED_BY.get(part, ()) if name in before or name in written.values]
        changes = [change for name in settings if (change := _change(name, before, written.values))]
        if before and changes:
            found[part] = changes
    return found


def _change(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    usual = SETTINGS_BY_NAME[name].default
    was, is_now = before.get(name, usual), now.get(name, usual)
    return "" if _same(was, is_now) else f"{name} was {_shown(was)}, is now {_shown(is_now)}"


def _same(was: Any, is_now: Any) -> bool:
    """Whether two values are the same, of which one may be a path that is written in full."""
    if isinstance(was, list | tuple) and isinstance(is_now, list | tuple):
        return list(was) == list(is_now)
    if isinstance(was, str) and isinstance(is_now, str):
        short, full = sorted((was, is_now), key=len)
        return short == full or full.endswith(f"/{short.removeprefix('./')}")
    return bool(was == is_now)


def _part(name: str) -> str:
    return name.partition(".")[0]


def _in_words(name: str, was: Any, is_now: Any) -> str:
    """A field of the header: settings by their names, digests by what they are of."""
    part, setting = _part(name), name.rpartition(".")[2]
    if part == "order" and isinstance(was, int):
        return "an earlier version trained all sets of rows in one order"
    if part in _IN_WORDS or (name.startswith("training.") and name in _OF_SEED):
        return _IN_WORDS.get(part, _IN_WORDS["order"])
    if part.endswith(" state"):
        return f"the code or the state of {part.removesuffix(' state')}= is another ({name.partition('.')[2] or 'all'})"
    if part == "training":
        setting = setting if setting in SETTINGS_BY_NAME else f"sft_config.{setting}"
    elif part == "adapter":
        setting = _ADAPTER.get(setting, f"lora_config.{setting}")
    else:
        setting = name
    before, now = _named(was), _named(is_now)
    if before == now:
        return f"the code or the state of {setting}= is another"
    return f"{setting} was {_shown(before)}, is now {_shown(now)}"


def changes_in_words(fields: Mapping[str, tuple[Any, Any]], before: Mapping[str, Any]) -> list[str]:
    """What differs between two headers, in the caller's words.

    Args:
        fields: What each field that differs was, and is now.
        before: The header that was.

    Returns:
        A phrase for every change, those that follow from another left out.
    """
    follows = _following(fields, before)
    told = {name: contents for name, contents in fields.items() if name not in follows}
    return list(dict.fromkeys(_in_words(name, *contents) for name, contents in told.items()))


def _named(value: Any) -> Any:
    """A name without the digest of what it stands for."""
    return _DIGEST.sub("", value) if isinstance(value, str) else value


_DIGEST = re.compile(r"#[0-9a-f]{12}")


def _shown(value: Any) -> str:
    """A value; of an enumeration's member, which ledgers have as ``Kind.NAME``, its name."""
    member = re.fullmatch(r"[A-Z]\w+\.([A-Z_0-9]+)", value) if isinstance(value, str) else None
    if isinstance(value, str):
        return one_line(repr(member[1].lower() if member else value), 100)
    return "not set" if value is None else shown(value)
