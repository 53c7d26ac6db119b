"""What a model is worth: likelihoods against one plain forward a sequence, generations against one at a time."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer

from shed_hf.data.formats import Example, Turn
from shed_hf.data.tokenization import IGNORED, tokenise
from shed_hf.errors import InputError, ShedWarning
from shed_hf.evaluation import log_likelihood as likelihood
from shed_hf.evaluation.batches import Candidate
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.generation import generate
from shed_hf.evaluation.log_likelihood import LikelihoodBatches
from shed_hf.evaluation.metrics import Metric
from shed_hf.evaluation.objectives import Accuracy, Choice, Contrast, Likelihoods, Loss, NormalisedAccuracy
from shed_hf.evaluation.registry import objective_from
from tests.helpers.objectives import ITEMS, QUIZ, VOCABULARY, answer, asked, measured


def candidates(n: int = 24, seed: int = 0) -> list[Candidate]:
    """Random sequences of 2 to 200 tokens with completions of 1 to 30."""
    rng = np.random.default_rng(seed)
    lengths = [2, 200, 31, *rng.integers(2, 200, size=n - 3)]
    starts = [max(1, length - int(rng.integers(1, 31))) for length in lengths]
    both = zip(lengths, starts, strict=True)
    return [Candidate(rng.integers(4, VOCABULARY, size=length), start) for length, start in both]


def in_batches(given: Sequence[Candidate], model: Model) -> Likelihoods:
    return LikelihoodBatches(given, VOCABULARY, torch.device("cpu"))(model)


@torch.no_grad()
def alone(model: Model, candidate: Candidate) -> tuple[float, bool]:
    """The same from a full forward over one sequence, in double precision after the logits."""
    ids = torch.from_numpy(candidate.ids)
    log_p = model(input_ids=ids[None]).logits[0, :-1].double().log_softmax(-1)[candidate.start - 1 :]
    labels = ids[candidate.start :]
    return float(log_p.gather(-1, labels[:, None]).sum()), bool((log_p.argmax(-1) == labels).all())


def test_likelihoods_in_batches_are_those_of_each_sequence_alone(model: Model) -> None:
    given = candidates()
    found = in_batches(given, model)
    expected = [alone(model, candidate) for candidate in given]
    np.testing.assert_allclose(found.total, [total for total, _ in expected], atol=1e-4)
    assert found.greedy.tolist() == [greedy for _, greedy in expected]
    assert found.tokens.tolist() == [len(candidate.ids) - candidate.start for candidate in given]
    np.testing.assert_allclose(found.per_token, found.total / found.tokens)


def test_greedy_is_known_of_each_sequence_alone(model: Model) -> None:
    starts = [torch.from_numpy(candidate.ids[:10]) for candidate in candidates(40) if len(candidate.ids) >= 10]
    likeliest = [int(model(input_ids=ids[None]).logits[0, -1].argmax()) for ids in starts]
    tokens = [token if place % 2 else (token + 1) % VOCABULARY for place, token in enumerate(likeliest)]
    given = [Candidate(np.append(ids.numpy(), token), 10) for ids, token in zip(starts, tokens, strict=True)]
    found = in_batches(given, model)
    assert found.greedy.tolist() == [bool(place % 2) for place in range(len(given))]


@pytest.mark.parametrize(("tokens", "logits"), [(500, 2**26), (4096, 20_000), (1, 1)])
def test_batches_keep_within_the_budget_and_change_nothing(
    llama: Model, monkeypatch: pytest.MonkeyPatch, tokens: int, logits: int
) -> None:
    whole = in_batches(candidates(), llama)
    monkeypatch.setattr(likelihood, "TOKENS_PER_BATCH", tokens)
    monkeypatch.setattr(likelihood, "LOGITS_PER_BATCH", logits)
    shapes: list[tuple[torch.Size, torch.Size]] = []
    hook = llama.register_forward_hook(
        lambda _, __, kwargs, result: shapes.append((kwargs["input_ids"].shape, result.logits.shape)), with_kwargs=True
    )
    split = in_batches(candidates(), llama)
    hook.remove()
    assert sum(ids[0] for ids, _ in shapes) == 24
    assert all(ids[0] == 1 or (ids.numel() <= tokens and made.numel() <= logits) for ids, made in shapes)
    np.testing.assert_allclose(split.total, whole.total, atol=1e-4)


def test_loss_is_minus_the_loss_that_transformers_computes(model: Model, tokenizer: Tokenizer) -> None:
    rows = tokenise(ITEMS, tokenizer, 256)
    ids, labels = [torch.tensor(row.ids)[None] for row in rows], [torch.tensor(row.labels)[None] for row in rows]
    for line in labels:  # the template's line break after the answer's end is no part of the answer
        line[0, int((line[0] == tokenizer.eos_token_id).nonzero()[0]) + 1 :] = IGNORED
    batches = [{"input_ids": i, "labels": label} for i, label in zip(ids, labels, strict=True)]
    losses = [model(**batch).loss.item() for batch in batches]
    np.testing.assert_allclose(measured(Loss(), ITEMS, model, tokenizer), -np.array(losses), atol=1e-4)


@pytest.mark.parametrize("per_token", [False, True])
def test_the_chances_of_all_options_sum_to_one(llama: Model, tokenizer: Tokenizer, per_token: bool) -> None:
    for item in QUIZ:
        each = [replace(item.answering(o), options=item.options, answer=i) for i, o in enumerate(item.options)]
        assert np.exp(measured(Choice(per_token), each, llama, tokenizer)).sum() == pytest.approx(1)


@pytest.mark.parametrize("per_token", [False, True])
def test_choice_is_the_log_softmax_of_sums_or_of_means(llama: Model, tokenizer: Tokenizer, per_token: bool) -> None:
    expected = []
    for item in QUIZ:
        rows = tokenise([item.answering(option) for option in item.options], tokenizer, 256)
        given = [answer(row, tokenizer) for row in rows]
        sums = torch.tensor([alone(llama, one)[0] / (one.n_completion if per_token else 1) for one in given])
        expected.append(float(sums.log_softmax(0)[0]))
    np.testing.assert_allclose(measured(Choice(per_token), QUIZ, llama, tokenizer), expected, atol=1e-4)


@pytest.mark.parametrize("per_token", [False, True])
def test_accuracy_is_measured_beside_choice(llama: Model, tokenizer: Tokenizer, per_token: bool) -> None:
    _, beside = Evaluation(QUIZ, Choice(per_token), tokenizer, 256).measure(llama)
    right = measured(Accuracy(per_token), QUIZ, llama, tokenizer)
    assert set(right) <= {0.0, 1.0}
    assert beside == {"accuracy": right.mean()}
    assert Evaluation(QUIZ, Loss(), tokenizer, 256).measure(llama)[1] == {}


def test_options_of_a_verbatim_prompt_are_continuations_without_an_end(llama: Model, tokenizer: Tokenizer) -> None:
    options = (" the dog", " a guitar that has many strings", " flour")
    for right, option in enumerate(options):
        turns = (Turn("system", "Salt? No.\n\n"), Turn("user", "Which has fur?"), Turn("assistant", option))
        item = Example(turns, verbatim=True, options=options, answer=right)
        sums = []
        for text in options:
            prompt, whole = tokenizer(["Salt? No.\n\nWhich has fur?", f"Salt? No.\n\nWhich has fur?{text}"])[
                "input_ids"
            ]
            sums.append(alone(llama, Candidate(np.array(whole), len(prompt)))[0])
        expected = torch.tensor(sums).log_softmax(0)[right]
        np.testing.assert_allclose(measured(Choice(), [item], llama, tokenizer), [expected], atol=1e-4)
        per_character = np.array(sums) / [len(text) - 1 for text in options]
        (normalised,) = measured(NormalisedAccuracy(), [item], llama, tokenizer)
        assert normalised == (per_character.argmax() == right)
        assert measured(Accuracy(), [item], llama, tokenizer)[0] == (np.argmax(sums) == right)


def test_normalised_accuracy_compares_log_likelihoods_per_character() -> None:
    item = replace(QUIZ[0], options=(" ab", " abcdefgh"), answer=1)
    likelihoods = Likelihoods(np.array([-2.0, -6.0]), np.array([1, 1]), np.array([False, False]))
    assert NormalisedAccuracy().outcome(item, likelihoods) == 1.0  # -1 a character against -0.75
    assert Accuracy().outcome(item, likelihoods) == 0.0
    spaced = replace(item, options=("  ab", "abcd"))
    of_spaced = replace(likelihoods, total=np.array([-2.2, -3.2]))  # one blank parts it from the prompt, one is its own
    assert NormalisedAccuracy().outcome(spaced, of_spaced) == 0.0


def test_choice_needs_options(llama: Model, tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match=r'"choice" needs items with options; 1 of 4 .*objective="loss"'):
        Evaluation([*QUIZ, ITEMS[0]], Choice(), tokenizer, 256)


@pytest.fixture(scope="module")
def parrot(llama: Model, tokenizer: Tokenizer) -> Model:
    """A model that knows the first two items by heart."""
    learner = deepcopy(llama).train()
    optimizer = torch.optim.Adam(learner.parameters(), 1e-2)
    for _ in range(60):
        for row in tokenise(ITEMS[:2], tokenizer, 256):
            learner(input_ids=torch.tensor(row.ids)[None], labels=torch.tensor(row.labels)[None]).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return learner.eval()


def spoken(model: Model, tokenizer: Tokenizer, item: Example, most: int = 64) -> str:
    """What transformers' own generate says to one prompt, without a batch."""
    turns = [turn._asdict() for turn in item.turns[:-1]]
    ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    said = model.generate(**ids, do_sample=False, max_new_tokens=most, pad_token_id=tokenizer.pad_token_id)
    return str(tokenizer.decode(said[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))


def test_accuracy_without_options_is_whether_generating_gives_the_completion(
    parrot: Model, tokenizer: Tokenizer
) -> None:
    generated = [float(spoken(parrot, tokenizer, item) == item.completion) for item in ITEMS]
    assert generated == [1, 1, 0, 0]
    assert measured(Accuracy(), ITEMS, parrot, tokenizer).tolist() == generated


def test_accuracy_of_whole_completions_is_told_before_anything_is_measured(
    tokenizer: Tokenizer, recwarn: pytest.WarningsRecorder
) -> None:
    Evaluation(QUIZ, Accuracy(), tokenizer, 256)
    assert not recwarn.list
    median = int(np.median([len(item.completion) for item in ITEMS]))
    for items, told in ((ITEMS, f"{len(ITEMS)} of {len(ITEMS)};"), ([*QUIZ, *ITEMS], f"{len(ITEMS)} of ")):
        with pytest.warns(ShedWarning, match=rf'options: {told}.*\({median} characters.*objective="loss"'):
            Evaluation(items, "accuracy", tokenizer, 256)


def test_contrasts_are_other_items_completions_and_never_ones_own() -> None:
    items = [*ITEMS, asked("Twice?", ITEMS[1].completion)]
    found = Contrast(others=2).candidates(items, np.random.default_rng(0))
    completions = {item.completion for item in items}
    for item, (first, *others) in zip(items, found, strict=True):
        assert first == item
        assert {other.turns[:-1] for other in others} == {item.turns[:-1]}
        assert len({other.completion for other in others} & (completions - {item.completion})) == len(others) == 2


def test_contrasts_are_drawn_by_the_seed() -> None:
    def drawn(seed: int) -> list[list[Example]]:
        return Contrast(others=1).candidates(ITEMS * 5, np.random.default_rng(seed))

    assert drawn(0) == drawn(0) != drawn(1)


def test_contrast_is_a_log_probability(llama: Model, tokenizer: Tokenizer) -> None:
    outcomes = measured(Contrast(), ITEMS, llama, tokenizer)
    assert (outcomes < 0).all()
    assert np.exp(outcomes).mean() == pytest.approx(0.25, abs=0.1)  # an untrained model among four


def test_contrast_needs_two_different_completions() -> None:
    with pytest.raises(InputError, match=r'"contrast" needs items .* got 2 items with 1; pass more'):
        Contrast().candidates([ITEMS[0], ITEMS[0]], np.random.default_rng(0))


def test_generations_in_batches_are_those_of_each_prompt_alone(parrot: Model, tokenizer: Tokenizer) -> None:
    items = [*ITEMS, *QUIZ] * 3
    assert generate(parrot, tokenizer, items, 12) == [spoken(parrot, tokenizer, item, 12) for item in items]


def shared_letters(predictions: Sequence[str], references: Sequence[str]) -> float:
    return float(np.mean([len(set(p) & set(r)) for p, r in zip(predictions, references, strict=True)]))


@pytest.fixture(scope="module")
def word_count(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A metric of the evaluate library made on the spot: the words said, and how many more than the reference."""
    import datasets
    import evaluate

    class WordCount(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            text = datasets.Value("string")
            return evaluate.MetricInfo("", "", datasets.Features(predictions=text, references=text))

        def _compute(self, predictions: list[str], references: list[str], factor: int = 1) -> dict[str, float]:
            said, wanted = len(predictions[0].split()), len(references[0].split())
            return {"words": said * factor, "more": said - wanted}

    return WordCount(cache_dir=str(tmp_path_factory.mktemp("metric")))


def test_a_callable_metric_compares_generations_with_completions(parrot: Model, tokenizer: Tokenizer) -> None:
    said = [spoken(parrot, tokenizer, item, 8) for item in ITEMS]
    expected = [shared_letters([text], [item.completion]) for text, item in zip(said, ITEMS, strict=True)]
    for sign in (1, -1):
        found = measured(Metric(shared_letters, sign=sign, max_new_tokens=8), ITEMS, parrot, tokenizer)
        assert (found == sign * np.array(expected)).all()


def test_a_metric_of_evaluate_gives_its_first_number_or_the_one_asked_for(
    parrot: Model, tokenizer: Tokenizer, word_count: Any
) -> None:
    words = np.array([len(spoken(parrot, tokenizer, item).split()) for item in ITEMS])
    wanted = np.array([len(item.completion.split()) for item in ITEMS])
    objective = objective_from(word_count, ITEMS)
    assert isinstance(objective, Metric)
    assert (measured(objective, ITEMS, parrot, tokenizer) == words).all()
    assert (measured(Metric(word_count, key="more"), ITEMS, parrot, tokenizer) == words - wanted).all()
    doubled = Metric(word_count, sign=-1, arguments={"factor": 2})
    assert (measured(doubled, ITEMS, parrot, tokenizer) == -2 * words).all()
    with pytest.raises(InputError, match=r"gives \['more', 'words'\], not 'bleu'; pass one of them as key="):
        measured(Metric(word_count, key="bleu"), ITEMS, parrot, tokenizer)


def test_a_metric_needs_items_with_a_prompt(llama: Model, tokenizer: Tokenizer) -> None:
    text = Example((Turn("assistant", "The dog."),), verbatim=True)
    with pytest.raises(InputError, match="no prompt"):
        measured(Metric(shared_letters), [text, ITEMS[0]], llama, tokenizer)
