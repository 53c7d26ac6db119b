"""The code that repeats a curation, written from its recipe."""

import re
from collections.abc import Mapping
from typing import Any

from shed_hf.clustering.clusterers import CLUSTERERS
from shed_hf.config.recipe_settings import tuning_settings
from shed_hf.config.shed_config import SETTINGS_BY_NAME
from shed_hf.embedding.encoders import Lexical
from shed_hf.estimators.no_game import NoGame
from shed_hf.estimators.registry import ESTIMATORS
from shed_hf.evaluation.item_groups import GROUPED_NAMES
from shed_hf.evaluation.registry import OBJECTIVES
from shed_hf.results.race import USUAL_LEVEL, candidates_of
from shed_hf.results.recipe import PART_FIELDS, EvaluationEntry, Recipe, SourceEntry
from shed_hf.results.recorded_tuner import tuner_entry_of
from shed_hf.sampling.registry import SAMPLERS, SELECTORS
from shed_hf.sampling.row_ranking import KINDS
from shed_hf.utils.old_entries import with_old_defaults
from shed_hf.utils.text import excerpt

_NO_GAME = NoGame.__name__
_PARTS = {
    getattr(kind, "__name__", "")
    for kinds in (CLUSTERERS, ESTIMATORS, OBJECTIVES, SAMPLERS, SELECTORS)
    for kind in kinds.values()
} | {"Features", "Judged", "Metric"}
_CALLABLE = re.compile(r"#[0-9a-f]{12}$")
"""How the name of a function ends in a recipe: with a digest of its code."""


_PLAIN = ("proxies_per_cluster", "proxy_sets", "warmup", "budget", "columns", "eval_columns", "drop_invalid")
"""Arguments that are written as they are, where they are not at their default."""


_IN_WORDS = {
    "NoneType": "a matrix of embeddings, one line per row",
    "Given": "labels, one per row",
    "GivenRows": "shed_hf.Given(the numbers in the column shed_row)",
}


def code_of(recipe: Recipe) -> str:
    """Python that makes the same curation where the same rows and models are at hand.

    What can't be written as code, such as a callable of the user's, is named in a comment.

    Args:
        recipe: The recipe of the curation.

    Returns:
        The lines of a script.
    """
    arguments, unknown = _arguments(recipe)
    _enter_race(recipe, arguments, unknown)
    lines = [*_imports(recipe), "", f"dataset = {_dataset(recipe['source'])}"]
    evaluation = recipe["evaluation"]
    if evaluation is not None and not evaluation["held_out"]:
        lines.append(f"eval_dataset = {_evaluation(evaluation)}")
        arguments["eval_dataset"] = "eval_dataset"
    lines += ["curated = shed_hf.curate(", "    dataset,"]
    lines += [f"    {name}={value}," for name, value in arguments.items()]
    lines += [f"    {name}=...,  # {excerpt(words)}" for name, words in unknown.items()]
    return "\n".join([*lines, ")", *_afterwards(recipe)])


def _afterwards(recipe: Recipe) -> list[str]:
    """What was done with the values later."""
    again, lines = recipe["reestimate"], []
    if again is not None:
        budget = "" if again["budget"] is None else f", budget={again['budget']!r}"
        estimator = _part(again["estimator"]) or f"...  # {excerpt(again['estimator']['name'])}"
        lines.append(f"curated = curated.reestimate({estimator}{budget})")
    sampled_anew = "race" in recipe and not recipe["race"]["is_current"]
    if recipe["sampling_seed"] != recipe["seed"] or sampled_anew:
        sampler = _part(recipe["sampler"]) or "..."
        lines.append(f"curated = curated.resample({recipe['size']}, {sampler}, seed={recipe['sampling_seed']})")
    return lines


def _imports(recipe: Recipe) -> list[str]:
    tuner: Mapping[str, Any] = (None if recipe["grouping"] else recipe["tuner"]) or {}
    extra = [
        line
        for part, line in (("peft_config", "from peft import LoraConfig"), ("args", "from trl import SFTConfig"))
        if tuner.get(part) is not None
    ]
    return ["import shed_hf", "from datasets import load_dataset", *extra]


def _dataset(source: SourceEntry) -> str:
    hub = source["hub"]
    if hub is None:
        return f"...  # {source['rows']} rows with the digest {excerpt(source['digest'])}"
    loaded = f"load_dataset({hub['repo']!r}, {hub['config']!r}, split={hub['split']!r}, revision={hub['revision']!r})"
    if not hub["split"]:
        loaded = f"...  # of {excerpt(hub['repo'])}"
    then = "" if hub["whole"] else "of which rows were left out or moved, " if hub["untouched"] else "then changed, "
    return f"{loaded}  # {then}{source['rows']} rows with the digest {excerpt(source['digest'])}"


def _evaluation(evaluation: EvaluationEntry) -> str:
    if evaluation["hub"] is None:
        return f"...  # {evaluation['items']} items"
    hub = evaluation["hub"]
    loaded = f"load_dataset({hub['repo']!r}, {hub['config']!r}, split={hub['split']!r}, revision={hub['revision']!r})"
    return f"{loaded}  # {evaluation['items']} items"


def _arguments(recipe: Recipe) -> tuple[dict[str, str], dict[str, str]]:
    """The arguments of `curate` as code, and those that can only be told in words."""
    known = {"size": repr(recipe["size"]), "seed": repr(recipe["seed"])}
    given = dict(recipe)
    usual = {name: SETTINGS_BY_NAME[name].default for name in _PLAIN}
    known |= {name: repr(given[name]) for name in _PLAIN if given.get(name, usual[name]) != usual[name]}
    unknown: dict[str, str] = {}
    if recipe["merit"] is None:
        known["merit"] = "None"
    else:
        (known if recipe["merit"] in KINDS else unknown)["merit"] = (
            repr(recipe["merit"]) if recipe["merit"] in KINDS else "a number for every row"
        )
    if recipe["features"] is not None:
        known["features"] = _part(recipe["features"]) or "..."
    parts = {name: recipe[name] for name in PART_FIELDS}
    for name, part in parts.items():
        as_python = _part(part)
        if as_python:
            known[name] = as_python
        else:
            unknown[name] = _IN_WORDS.get(part["name"]) or str(part["name"])
    if recipe.get("constraints"):
        known["constraints"] = _constraints(recipe)
    _enter_tuner(recipe, known, unknown)
    return known, unknown


def _enter_tuner(recipe: Recipe, known: dict[str, str], unknown: dict[str, str]) -> None:
    tuner, grouping = tuner_entry_of(recipe), recipe["grouping"]
    objective = None if tuner is None else tuner["objective"]
    as_python = None if objective is None else _objective(objective)
    if isinstance(objective, dict) and as_python is None:
        unknown["objective"] = ", ".join(str(part) for part in objective.values())
    if tuner is None:
        unknown["utility"] = str(recipe["utility"].get("utility", "a callable"))
    elif grouping is None:
        known |= _tuner(tuner)
    else:  # an objective over groups goes with arguments of `curate`, not with a FineTune
        settings = tuning_settings(tuner).items()
        known |= {name: repr(value) for name, value in settings if value != SETTINGS_BY_NAME[name].default}
    if grouping is None:
        return
    measure = as_python or unknown.pop("objective", "")
    if "column" in grouping and (objective is None or as_python):
        fields = [repr(grouping["column"]), *([as_python] if as_python else [])]
        known["objective"] = f"shed_hf.{GROUPED_NAMES[grouping['kind']].__name__}({', '.join(fields)})"
    else:
        unknown["objective"] = f"{grouping['kind']} over {len(set(grouping['groups']))} groups of items" + (
            f", each measured by {measure}" if measure else ""
        )


def _enter_race(recipe: Recipe, known: dict[str, str], unknown: dict[str, str]) -> None:
    """Write the size and sampler that a race was given, in place of what it led to, and the race itself."""
    if "race" not in recipe:
        return
    plan = recipe["race"]["plan"]
    known["size"], sampler = repr(plan["size"]), _part(plan["sampler"])
    known.pop("sampler", None)
    unknown.pop("sampler", None)
    if sampler:
        known["sampler"] = sampler
    else:
        unknown["sampler"] = _IN_WORDS.get(plan["sampler"]["name"]) or str(plan["sampler"]["name"])
    described, is_named = candidates_of(recipe["race"]), plan["candidates"] is not None
    candidates = [part for each in described if (part := _part(each))]
    if is_named and len(candidates) < len(described):
        unknown["method"] = f"shed_hf.Race([…]) with {', '.join(str(each['name']) for each in described)}"
        return
    fields = [_listed(candidates)] if len(candidates) == len(described) else []
    fields += [f"budget={plan['budget']!r}"] if plan["budget"] is not None else []
    fields += [f"level={plan['level']!r}"] if plan["level"] != USUAL_LEVEL else []
    known["method"] = f"shed_hf.Race({', '.join(fields)})" if fields else repr("race")


def _listed(parts: list[str]) -> str:
    if len(parts) == 1:
        return f"[{parts[0]}]"
    lines = "".join(f"\n        {part}," for part in parts)
    return f"[{lines}\n    ]"


def _constraints(recipe: Recipe) -> str:
    shown = [
        f"{entry['column']!r}: {entry['tolerance']!r}"
        if entry["against"] == "untuned"
        else f"{entry['column']!r}: shed_hf.Tolerance({entry['tolerance']!r}, {entry['against']!r})"
        for entry in recipe.get("constraints", [])
    ]
    return f"{{{', '.join(shown)}}}"


def _part(described: Mapping[str, Any]) -> str | None:
    """A seam's implementation as code, if it is one of this package's."""
    described = with_old_defaults(described)
    name = described["name"]
    if name == _NO_GAME:
        return "None"
    fields = ", ".join(f"{field}={value!r}" for field, value in described.items() if field != "name")
    if any(isinstance(value, str) and _CALLABLE.search(value) for value in described.values()):
        return None
    if not all(field.isidentifier() for field in described):  # a recipe from elsewhere, which is no code
        return None
    if name == "FittedLexical":
        usual = described == {"name": name, "dimensions": Lexical.dimensions, "seed": Lexical.seed}
        return "'lexical'" if usual else f"shed_hf.Lexical({fields})"
    if name == "SentenceTransformerEncoder":
        return repr(described.get("model"))
    if name == "Given":  # labels: a column's name, or an array that is not in the recipe
        return _column(str(described.get("source")))
    return f"shed_hf.{name}({fields})" if name in _PARTS else None


def _column(source: str) -> str | None:
    """The name of a column as code, None for labels that came from elsewhere."""
    column = source.removeprefix("column ")
    is_name = column != source and re.fullmatch(r"'([^'\\\n]|\\.)*'|\"([^\"\\\n]|\\.)*\"", column)
    return column if is_name else None


def _tuner(tuner: Mapping[str, Any]) -> dict[str, str]:
    objective = None if tuner["objective"] is None else _objective(tuner["objective"])
    given = {"model": repr(tuner["model"])} | ({} if objective is None else {"objective": objective})
    if tuner["args"] is None and tuner["peft_config"] is None and not {"precision", "learning_rate"} & tuner.keys():
        return given
    for name, kind in (("args", "SFTConfig"), ("peft_config", "LoraConfig")):
        if tuner[name] is not None:
            known = {field: value for field, value in tuner[name].items() if field.isidentifier()}
            fields = "".join(f"\n            {field}={value!r}," for field, value in known.items())
            given[name] = f"{kind}({fields}\n        )"
    if "precision" in tuner:
        given["precision"] = repr(tuner["precision"])
    if "learning_rate" in tuner:
        given["learning_rate"] = repr(tuner["learning_rate"])
    inside = "".join(f"\n        {name}={value}," for name, value in given.items())
    return {"utility": f"shed_hf.FineTune({inside}\n    )"}


def _objective(objective: str | Mapping[str, Any]) -> str | None:
    """A short name as it is, one of this package's as code, None for a callable of the user's."""
    return repr(objective) if isinstance(objective, str) else _part(objective)
