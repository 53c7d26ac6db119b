"""The code that repeats a curation, written from its recipe."""

from collections.abc import Mapping
from typing import Any

import shed_hf


def code_of(recipe: Mapping[str, Any]) -> str:
    """Python that makes the same curation where the same rows and models are at hand. What can't be written as code,
    such as a callable of the user's, is named in a comment.
    """
    arguments, unknown = _arguments(recipe)
    lines = [*_imports(recipe), "", f"dataset = {_dataset(recipe['source'])}"]
    evaluation = recipe["evaluation"]
    if evaluation is not None and not evaluation["held_out"]:
        lines.append(f"eval_dataset = {_evaluation(evaluation)}")
        arguments["eval_dataset"] = "eval_dataset"
    lines += ["curated = shed_hf.curate(", "    dataset,"]
    lines += [f"    {name}={value}," for name, value in arguments.items()]
    lines += [f"    {name}=...,  # {' '.join(words.split())}" for name, words in unknown.items()]
    return "\n".join([*lines, ")"])


def _imports(recipe: Mapping[str, Any]) -> list[str]:
    tuner = recipe["tuner"] or {}
    extra = [
        line
        for part, line in (("peft_config", "from peft import LoraConfig"), ("args", "from trl import SFTConfig"))
        if tuner.get(part) is not None
    ]
    return ["import shed_hf", "from datasets import load_dataset", *extra]


def _dataset(source: Mapping[str, Any]) -> str:
    hub = source["hub"]
    if hub is None:
        return f"...  # {source['rows']} rows with the digest {source['digest']}"
    loaded = f"load_dataset({hub['repo']!r}, {hub['config']!r}, split={hub['split']!r}, revision={hub['revision']!r})"
    touched = "" if hub["untouched"] else "  # then changed"
    return f"{loaded}{touched}  # {source['rows']} rows with the digest {source['digest']}"


def _evaluation(evaluation: Mapping[str, Any]) -> str:
    if evaluation["hub"] is None:
        return f"...  # {evaluation['items']} items"
    hub = evaluation["hub"]
    loaded = f"load_dataset({hub['repo']!r}, {hub['config']!r}, split={hub['split']!r}, revision={hub['revision']!r})"
    return f"{loaded}  # {evaluation['items']} items"


def _arguments(recipe: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The arguments of `curate` as code, and those that can only be told in words."""
    known = {"size": repr(recipe["size"]), "seed": repr(recipe["seed"])}
    for name, usual in (("proxies_per_cluster", 1), ("budget", None), ("columns", None), ("drop_invalid", False)):
        if recipe[name] != usual:
            known[name] = repr(recipe[name])
    unknown: dict[str, str] = {}
    for name in ("embedder", "clusterer", "estimator", "sampler"):
        code = _part(recipe[name])
        (known if code else unknown)[name] = code or recipe[name]["name"]
    tuner = recipe["tuner"]
    if tuner is None:
        unknown["utility"] = str(recipe["utility"].get("utility", "a callable"))
    else:
        known |= _tuner(tuner)
    return known, unknown


def _part(described: Mapping[str, Any]) -> str | None:
    """A seam's implementation as code, if it is one of this package's."""
    name = described["name"]
    fields = ", ".join(f"{field}={value!r}" for field, value in described.items() if field != "name")
    if name == "FittedLexical":
        return "'lexical'"
    if name == "SentenceTransformerEncoder":
        return repr(described["model"])
    if name == "Given":  # labels: a column's name, or an array that is not in the recipe
        column = described["source"].removeprefix("column ")
        return column if column != described["source"] else None
    return f"shed_hf.{name}({fields})" if name in shed_hf.__all__ else None


def _tuner(tuner: Mapping[str, Any]) -> dict[str, str]:
    if tuner["args"] is None and tuner["peft_config"] is None:
        given = {name: repr(tuner[name]) for name in ("model", "objective") if tuner[name] is not None}
        return {name: _objective(value) if name == "objective" else value for name, value in given.items()}
    parts = [f"model={tuner['model']!r}"]
    if tuner["objective"] is not None:
        parts.append(f"objective={_objective(repr(tuner['objective']))}")
    for name, kind in (("args", "SFTConfig"), ("peft_config", "LoraConfig")):
        if tuner[name] is not None:
            fields = "".join(f"\n            {field}={value!r}," for field, value in tuner[name].items())
            parts.append(f"{name}={kind}({fields}\n        )")
    inside = "".join(f"\n        {part}," for part in parts)
    return {"utility": f"shed_hf.FineTune({inside}\n    )"}


def _objective(shown: str) -> str:
    """``'Loss()'`` as ``shed_hf.Loss()``; short names as they are."""
    name = shown.strip("'\"")
    return f"shed_hf.{name}" if name.split("(")[0] in shed_hf.__all__ else shown
