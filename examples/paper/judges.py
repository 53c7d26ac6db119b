"""Judges of answers for `shed_hf.Judged`: a model behind an OpenAI-compatible endpoint, and likelihoods."""

import json
import math
import os
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import shed_hf
from shed_hf.data.formats import Example, Turn

PROMPT = """Please act as an impartial judge and evaluate the quality of the response that an AI assistant gave to the \
user's last question below. Consider its helpfulness, relevance, accuracy, depth, creativity and level of detail.{how} \
Begin with a short explanation, be as objective as possible, and then rate the response on a scale of 1 to 10 in \
exactly this format: "[[rating]]", for example: "Rating: [[5]]".

[Question]
{question}
{reference}
[The Start of Assistant's Answer]
{answer}
[The End of Assistant's Answer]"""
"""In the manner of MT-Bench's prompts for grading a single answer (Zheng et al. 2023, arXiv 2306.05685)."""

_RATING = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*\]\]")


class JudgeError(shed_hf.ShedError):
    """An endpoint that gives no rating."""


@dataclass(frozen=True)
class EndpointJudge:
    """Asks a model behind an OpenAI-compatible endpoint for a rating from 1 to 10.

    The key is read from the environment when it is needed; it is no part of the judge, of ledgers or of messages.

    Attributes:
        url: The endpoint up to ``/v1``.
        model: The model's name there.
        key_variable: The environment variable with the key; no key is sent where it is not set.
        attempts: How often a busy or unreachable endpoint is asked.
        wait: Seconds before the second attempt; each further wait is twice as long.
        timeout: Seconds to wait for an answer.
    """

    url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    attempts: int = field(default=5, repr=False)
    wait: float = field(default=2.0, repr=False)
    timeout: float = field(default=120.0, repr=False)

    def __str__(self) -> str:
        return self.model

    def __call__(self, question: str, answer: str, reference: str | None) -> float:
        """The rating of an answer.

        Args:
            question: What was asked, or the conversation so far.
            answer: What the model answered.
            reference: The right answer, where it is known.

        Returns:
            A number from 1 to 10.

        Raises:
            JudgeError: Where the endpoint cannot be reached or refuses, and for a reply without a rating.
        """
        reply = self._reply(prompt_of(question, answer, reference))
        ratings = _RATING.findall(reply)
        if not ratings or not 1 <= float(ratings[-1]) <= 10:
            raise JudgeError(
                f"{self.model} replied {reply[-200:]!r}, without a rating such as [[5]]; ask another model"
            )
        return float(ratings[-1])

    def _reply(self, prompt: str) -> str:
        body = {"model": self.model, "messages": [{"role": "user", "content": prompt}], "temperature": 0}
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.wait * 2 ** (attempt - 1))
            try:
                return self._sent(body)
            except urllib.error.HTTPError as error:
                problem = f"HTTP {error.code}"
                if error.code != 429 and error.code < 500:
                    break
            except OSError as error:
                problem = str(error)
        raise JudgeError(f"the judge at {self.url} gave no reply ({problem}); run the same command again once it does")

    def _sent(self, body: dict[str, Any]) -> str:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_variable):
            headers["Authorization"] = f"Bearer {key}"
        address = f"{self.url.rstrip('/')}/chat/completions"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=self.timeout) as response:
            content = response.read()
        try:
            return str(json.loads(content)["choices"][0]["message"]["content"])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise JudgeError(
                f"the judge at {self.url} replied {content[:200]!r}, which is no chat completion"
            ) from error


def prompt_of(question: str, answer: str, reference: str | None) -> str:
    """What a judge is asked.

    Args:
        question: What was asked, or the conversation so far.
        answer: What the model answered.
        reference: The right answer, where it is known.

    Returns:
        The prompt.
    """
    if reference is None:
        return PROMPT.format(how="", question=question, reference="", answer=answer)
    known = f"\n[The Start of Reference Answer]\n{reference}\n[The End of Reference Answer]\n"
    how = " Compare it with the reference answer, and name mistakes."
    return PROMPT.format(how=how, question=question, reference=known, answer=answer)


@dataclass(frozen=True)
class LikelihoodJudge:
    """1 + 9·p, where p is the geometric mean probability of an answer's tokens after its question under a model.

    It measures fluency, costs nothing, and is no substitute for a judge that understands what is asked.

    Attributes:
        model: The model: a Hub id or a folder.
    """

    model: str

    def __str__(self) -> str:
        return f"likelihood under {Path(self.model).name}"

    def __call__(self, question: str, answer: str) -> float:
        """The score of an answer.

        Args:
            question: What was asked, or the conversation so far.
            answer: What the model answered.

        Returns:
            A number from 1 to 10; 1 for no answer.
        """
        if not answer.strip():
            return 1.0
        model, tokenizer = _loaded(self.model)
        item = Example((Turn("user", question), Turn("assistant", answer)), given=1)
        evaluation = shed_hf.Evaluation([item], shed_hf.Loss(), tokenizer, 2048)
        return 1 + 9 * math.exp(evaluation(model)[0])


@lru_cache(maxsize=1)
def _loaded(model: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
