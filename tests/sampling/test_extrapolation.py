"""Signals that are measured on a sample of rows and learned for the others."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from shed_hf.errors import InputError
from shed_hf.sampling.coverage import round_robin
from shed_hf.sampling.extrapolated import Extrapolated
from shed_hf.sampling.extrapolation import extrapolate, rank_correlation
from shed_hf.sampling.registry import sampler_from, sampler_of
from shed_hf.sampling.selectors import RowSignals, Selection, select_rows
from shed_hf.utils.naming import to_recipe_entry


def pool(seed: int, m: int = 1500, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors, and a signal for four items that is linear in them up to noise."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(m, 20))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    signal = vectors @ rng.normal(size=(20, 4)) + noise * rng.normal(size=(m, 4))
    return vectors.astype(np.float32), signal


def selected(
    vectors: np.ndarray, signal: np.ndarray, sampler: Extrapolated, size: int = 100, **more: object
) -> Selection:
    of_rows = {"nearness": "nearness_of", "credit": "credits_of"}[sampler.signal]
    signals = RowSignals(
        rows=np.arange(len(vectors)), embeddings=vectors, **{of_rows: lambda places: signal[places]}, **more
    )  # type: ignore[arg-type]
    return select_rows(sampler, signals, size, np.random.default_rng(3))


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_what_is_told_of_rows_held_out_is_what_holds_for_rows_never_measured(noise: float) -> None:
    told, holds = [], []
    for seed in range(8):
        vectors, signal = pool(seed, noise=noise)
        sample = np.random.default_rng(seed).permutation(1500)[:500]
        found = extrapolate(vectors, sample, signal[sample], np.random.default_rng(seed))
        others = np.setdiff1d(np.arange(1500), sample)
        told.append((found.rank_correlation, found.r_squared, found.residual))
        apart = signal[others] - found.predicted[others]
        r_squared = 1 - (apart**2).sum() / ((signal[others] - signal[others].mean(axis=0)) ** 2).sum()
        holds.append((rank_correlation(signal[others], found.predicted[others]), r_squared, apart.mean(axis=1).std()))
        assert found.helps
    np.testing.assert_allclose(np.mean(told, axis=0), np.mean(holds, axis=0), atol=0.03)


def test_a_rank_correlation_is_the_mean_of_spearmans_over_items() -> None:
    _, signal = pool(0, 60)
    other = signal + np.random.default_rng(1).normal(size=signal.shape)
    expected = np.mean([spearmanr(signal[:, item], other[:, item]).statistic for item in range(4)])
    assert rank_correlation(signal, other) == pytest.approx(expected, abs=1e-9)


def test_rows_of_a_signal_that_can_be_learned_are_nearly_those_of_the_signal_itself() -> None:
    vectors, signal = pool(1, noise=0.3)
    selection = selected(vectors, signal, Extrapolated(sample=500))
    chosen, by_chance = signal[selection.places].mean(), signal.mean()
    best = signal[round_robin(signal, 100)].mean()
    assert chosen - by_chance > 0.75 * (best - by_chance)
    assert selection.learned is not None and selection.learned.used
    assert (selection.learned.measured, selection.learned.rows) == (500, 1500)
    assert f"rank correlation {selection.learned.rank_correlation:.2f}" in selection.learned.in_words
    assert selection.worth is not None
    np.testing.assert_array_equal(selection.worth.order[:100], selection.places)
    assert len(np.unique(selection.worth.order)) == 1500


@pytest.mark.parametrize("name", ["nearness", "credit"])
@pytest.mark.parametrize("alike", [0.0, 50.0], ids=["items of their own", "items that want the same rows"])
def test_items_in_blocks_with_few_wishes_take_the_rows_that_all_at_once_would(
    name: Any, alike: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, signal = pool(7)
    signal = signal + alike * signal[:, :1]
    sample = np.sort(np.random.default_rng(3).permutation(1500)[:500])
    rng = np.random.default_rng(3)  # as the choice draws from it
    rng.permutation(1500)
    found = extrapolate(vectors, sample, signal[sample], rng.spawn(1)[0], name == "credit")
    expected = round_robin(found.predicted, 300, rng.permutation(4))
    apart = found.predicted.astype(np.float64)
    stderr = np.hypot((apart - apart.mean(axis=0) * (name == "credit")).std(axis=1, ddof=1) / 2, found.residual)
    monkeypatch.setattr("shed_hf.sampling.extrapolation.BLOCK_BYTES", 4 * 1500 * 3)  # three items and one
    monkeypatch.setattr("shed_hf.sampling.extrapolated.WISHES", 4 * 21)
    chosen = selected(vectors, signal, Extrapolated(name, 500), 300)
    assert chosen.places.tolist() == expected.tolist()
    assert chosen.worth is not None
    np.testing.assert_allclose(chosen.worth.values, apart.mean(axis=1), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(chosen.worth.stderr[~found.as_measured], stderr[~found.as_measured], rtol=1e-6)


@pytest.mark.parametrize("name", ["nearness", "credit"])
@pytest.mark.parametrize(("size", "in_turns"), [(10, 40), (70, 70)])
def test_behind_the_rows_that_items_took_in_turns_all_others_follow_by_their_means(
    name: Any, size: int, in_turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, signal = pool(1)
    whole = selected(vectors, signal, Extrapolated(name, 500), size).worth
    monkeypatch.setattr("shed_hf.sampling.extrapolated.MOST_ORDERED", 40)
    worth = selected(vectors, signal, Extrapolated(name, 500), size).worth
    assert whole is not None and worth is not None
    assert worth.order[:in_turns].tolist() == whole.order[:in_turns].tolist()
    assert np.sort(worth.order).tolist() == list(range(1500))
    assert (np.diff(worth.values[worth.order[in_turns:]]) <= 0).all()


def test_of_many_items_the_signal_of_all_rows_is_never_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(20_000, 3)).astype(np.float32)
    signal = vectors @ rng.normal(size=(3, 400)).astype(np.float32)
    monkeypatch.setattr("shed_hf.sampling.extrapolation.BLOCK_BYTES", 4 * 20_000 * 20)
    monkeypatch.setattr("shed_hf.sampling.extrapolated.MOST_ORDERED", 500)
    tracemalloc.start()
    selected(vectors, signal, Extrapolated(sample=200), 400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < signal.nbytes / 2


def test_rows_that_were_measured_keep_what_was_measured_and_have_the_smaller_errors() -> None:
    vectors, signal = pool(2)
    worth = selected(vectors, signal, Extrapolated(sample=400)).worth
    assert worth is not None
    measured = np.isclose(worth.values, signal.mean(axis=1), atol=1e-6)
    assert measured.sum() == 400
    assert worth.stderr[~measured].min() > 0.3 > np.median(worth.stderr[measured]) * 0.3
    assert worth.names == ["nearness"]


def test_credit_of_the_sample_is_predicted_as_of_other_rows_and_does_not_crowd_them_out() -> None:
    shares, gains = [], []
    for seed in range(4):
        vectors, signal = pool(seed, noise=2.0)
        true = pool(seed, noise=0.0)[1].mean(axis=1)
        seen: list[np.ndarray] = []

        def credits_of(places: np.ndarray, of: np.ndarray = signal, into: list[np.ndarray] = seen) -> np.ndarray:
            into.append(places)
            return of[places]

        signals = RowSignals(rows=np.arange(1500), embeddings=vectors, credits_of=credits_of)
        chosen = select_rows(Extrapolated("credit", 500), signals, 100, np.random.default_rng(seed))
        shares.append(np.isin(chosen.places, seen[0]).mean())
        gains.append(true[chosen.places].mean() / true.std())
        assert chosen.worth is not None and chosen.worth.stderr.min() > 0.5  # of each row's prediction
        np.testing.assert_allclose(chosen.worth.parts.sum(axis=1), chosen.worth.values, atol=1e-9)
    assert np.mean(shares) < 0.6, shares  # a third of the rows were measured
    assert np.mean(gains) > 0.7, gains


def test_rows_of_the_sample_that_gave_no_number_have_the_error_of_a_prediction() -> None:
    vectors, signal = pool(5)
    signal[::3] = np.nan
    found = extrapolate(vectors, np.arange(600), signal[:600], np.random.default_rng(0))
    assert np.flatnonzero(found.as_measured).tolist() == [row for row in range(600) if row % 3]
    worth = selected(vectors, signal, Extrapolated(sample=600)).worth
    assert worth is not None and worth.stderr[::3].min() > found.residual * 0.9


@pytest.mark.parametrize("name", ["nearness", "credit"])
@pytest.mark.parametrize("m", [12, 49, 120])
def test_what_was_measured_of_all_rows_chooses_among_them_however_few(m: int, name: Any) -> None:
    vectors, signal = pool(6, m)
    selection = selected(vectors, signal, Extrapolated(name), size=m // 3)
    assert set(signal.argmax(axis=0)) <= set(selection.places.tolist())  # the best row of each item
    assert selection.learned is not None and selection.learned.used and not selection.notes
    assert selection.learned.in_words == f"{name} was measured on all of {m} rows"
    assert selection.worth is not None
    np.testing.assert_allclose(selection.worth.values, signal.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("with_items", [True, False])
def test_a_signal_that_cannot_be_learned_decides_nothing(with_items: bool) -> None:
    vectors, _ = pool(3)
    chance = np.random.default_rng(9).normal(size=(1500, 4))
    more = {"item_embeddings": vectors[:5]} if with_items else {}
    selection = selected(vectors, chance, Extrapolated(sample=300), **more)
    assert selection.learned is not None and not selection.learned.used
    by = "by their embeddings' nearness to the evaluation items" if with_items else "rows were drawn at random"
    assert "no better than chance" in selection.notes[0] and by in selection.notes[0]
    assert set(range(5)) <= set(selection.places.tolist()) or not with_items


def test_a_constant_signal_and_one_that_is_not_finite_are_not_learned() -> None:
    vectors, signal = pool(4, 200)
    for measured in (np.ones((200, 4)), np.full((200, 4), np.nan)):
        selection = selected(vectors, measured, Extrapolated(sample=100))
        assert selection.learned is not None and np.isnan(selection.learned.rank_correlation)
        assert not selection.learned.used
        assert "nan" not in selection.notes[0] and "too few to learn from, or all alike" in selection.notes[0]
    of_all = selected(vectors, np.ones((200, 4)), Extrapolated())
    assert of_all.learned is not None and not of_all.learned.used
    assert "nearness was measured on all of 200 rows and is the same for each, so" in of_all.notes[0]
    signal[:40] = np.inf
    found = extrapolate(vectors, np.arange(200), signal, np.random.default_rng(0))
    assert found.n_sample == 160 and np.isfinite(found.predicted).all()


def test_it_is_named_described_and_read_back() -> None:
    sampler = Extrapolated("credit", 100)
    assert sampler_of(to_recipe_entry(sampler)) == sampler
    assert sampler_from("extrapolated") == Extrapolated()
    with pytest.raises(InputError, match="signal='loss' is unknown; pass one of"):
        Extrapolated("loss")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sample=10 is not a whole number >= 50"):
        Extrapolated(sample=10)


def test_signals_that_are_chance_are_rarely_taken_for_more() -> None:
    passed = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        found = extrapolate(rng.normal(size=(101, 8)), np.arange(100), rng.normal(size=(100, 1)), rng)
        passed += found.helps
    assert passed / 150 < 0.07  # 1 to 4.5 % by samples of 60 to 1,000 rows and 2 to 64 dimensions


@pytest.mark.parametrize("noisy", [False, True])
def test_further_rows_are_predicted_as_rows_of_the_pool_were(noisy: bool) -> None:
    vectors, signal = pool(8, 400)
    found = extrapolate(vectors, np.arange(150), signal[:150], np.random.default_rng(0), noisy)
    assert found.regression is not None
    np.testing.assert_allclose(found.regression(vectors[150:]), found.predicted[150:].mean(axis=1), atol=1e-5)
