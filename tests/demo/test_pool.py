"""The demo's pool: splits without a row in common, answers in JSON, and damage to whole topics."""

import json

from shed_hf.demo import pool as demo_pool
from shed_hf.demo.settings import DAMAGES

KINDS = ("answers shuffled", "words shuffled", "boilerplate", "capitals", "plain text")


def test_damage_strikes_whole_topics_and_nothing_else() -> None:
    sound, kinds = demo_pool.as_json(demo_pool.rows("pool")), [*KINDS, KINDS[0]]
    assert set(DAMAGES) <= set(kinds)
    hurt = demo_pool.damaged(sound, kinds, seed=3)
    by_topic = {row["topic"]: row["damage"] for row in hurt}
    assert sorted(filter(None, by_topic.values())) == sorted(kinds)
    for before, after in zip(sound, hurt, strict=True):
        assert after["damage"] == by_topic[before["topic"]]
        assert after["instruction"] == before["instruction"]
        match after["damage"]:
            case "":
                assert after["output"] == before["output"]
            case "words shuffled":
                assert sorted(after["output"].split()) == sorted(before["output"].split())
            case "boilerplate":
                assert after["output"] == demo_pool.BOILERPLATE
            case "capitals":
                assert after["output"] == before["output"].upper() != before["output"]
            case "plain text":
                assert after["output"] == json.loads(before["output"])["reply"]
            case _:
                assert after["output"] != before["output"]
    assert demo_pool.damaged(sound, kinds, seed=3) == hurt


def test_answers_in_json_hold_the_topic_and_the_answer() -> None:
    plain = demo_pool.rows("dev")
    for before, after in zip(plain, demo_pool.as_json(plain), strict=True):
        assert json.loads(after["output"]) == {"topic": before["topic"], "reply": before["output"]}
        assert {**after, "output": before["output"]} == before


def test_the_splits_share_no_row() -> None:
    texts = [{(row["instruction"], row["input"]) for row in demo_pool.rows(split)} for split in ("pool", "dev", "test")]
    assert all(len(of_split) > 40 for of_split in texts)
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
    assert {row["licence"] for split in ("pool", "dev", "test") for row in demo_pool.rows(split)} <= {
        "CC BY-SA 3.0", "MIT", "Apache-2.0", "CC BY-SA 4.0",
    }  # fmt: skip
