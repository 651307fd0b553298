"""The classifier: right where the truth is planted, silent where the labels mean nothing."""

import known_attributes
import numpy as np
import pytest
import torch

from dcgan_cli.analysis.arithmetic.turn import _rank_correlation
from dcgan_cli.analysis.concepts.attribute_classifier import (
    agreement,
    fit_attribute_classifier,
)
from dcgan_cli.analysis.feature_extractors import PrincipalComponents, blur
from dcgan_cli.errors import DcganError
from dcgan_cli.model.latents import seeded_latents


@pytest.fixture(scope="module")
def toy() -> known_attributes.ToyData:
    return known_attributes.toy()


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return torch.rand((400, 1, 16, 16), generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_it_learns_what_is_there_and_says_how_well(toy: known_attributes.ToyData) -> None:
    attributes = toy.classifier.attributes
    assert list(attributes) == ["sex", "mouth", "turn", "glasses"]
    for name in ("sex", "mouth", "glasses"):
        known = attributes[name]
        assert known.held_out.n == 240
        assert known.held_out.value > 0.95
        assert known.held_out.low is not None
        assert known.held_out.low > known.chance
        assert 0.5 <= known.chance < 0.6
    assert attributes["turn"].held_out.value > 0.9
    assert attributes["turn"].classes == ()
    keys = [finding.key for finding in toy.classifier.findings()]
    assert keys == ["classifier_sex", "classifier_mouth", "classifier_turn", "classifier_glasses"]
    assert all(f.control is not None and f.control_label for f in toy.classifier.findings())


def test_verdicts_on_new_images_are_right(toy: known_attributes.ToyData) -> None:
    latents = seeded_latents(5, 400, known_attributes.Z_DIM, "normal")
    clear = latents[(np.abs(latents[:, :4]) > 0.3).all(1)]
    predictions = toy.classifier.classify(toy.sampler.normalized(clear))
    for name, truth in known_attributes.labels(clear).items():
        prediction = predictions[name]
        if not prediction.classes:
            assert np.corrcoef(prediction.evidence[:, 0], truth)[0, 1] > 0.95
            continue
        said = np.array(prediction.classes)[prediction.probabilities.argmax(1)]
        assert (said == truth).mean() > 0.98
        np.testing.assert_allclose(prediction.probabilities.sum(1), 1)
        # the evidence of two classes points to the second
        assert ((prediction.evidence[:, 0] > 0) == (said == prediction.classes[1])).all()
        word = prediction.classes[0]
        assert (prediction.certainty(word) <= prediction.probabilities[:, 0] + 1e-12).all()
        assert (prediction.is_word(word) == (said == word)).all()
        assert agreement(predictions, name).value > 0.9


def test_labels_that_mean_nothing_are_refused(noise: torch.Tensor) -> None:
    stream = np.random.default_rng(0)
    columns = {
        "coin": np.where(stream.random(400) < 0.5, "heads", "tails"),
        "number": stream.random(400),
    }
    with pytest.raises(DcganError, match=r"coin: no better than chance on 80 .*number: no better"):
        fit_attribute_classifier(noise, columns, known_attributes.discriminator())


def test_false_alarms_on_meaningless_labels_are_rare(noise: torch.Tensor) -> None:
    stream = np.random.default_rng(1)
    refused = 0
    for _ in range(12):
        column = np.where(stream.random(400) < 0.5, "heads", "tails")
        try:
            fit_attribute_classifier(noise, {"coin": column}, known_attributes.discriminator())
        except DcganError:
            refused += 1
    assert refused >= 10


def test_a_rare_class_is_not_learned_by_always_saying_the_common_one(noise: torch.Tensor) -> None:
    column = np.where(np.arange(400) % 10 == 0, "rare", "common")
    with pytest.raises(DcganError, match=r"chance 0\.9"):
        fit_attribute_classifier(noise, {"kind": column}, known_attributes.discriminator())


def test_columns_that_cannot_be_learned_say_why(toy: known_attributes.ToyData) -> None:
    latents = seeded_latents(77, 1200, known_attributes.Z_DIM, "normal")
    known = known_attributes.labels(latents)["sex"]
    columns = {
        "sex": known,
        "person": np.array([f"person {i}" for i in range(1200)]),
        "same": np.full(1200, "yes"),
        "few": np.where(np.arange(1200) < 15, "rare", "common"),
        "constant": np.ones(1200),
        "unknown": np.full(1200, np.nan),
        "empty": np.full(1200, ""),
    }
    classifier = fit_attribute_classifier(toy.normalized, columns, toy.discriminator)
    assert list(classifier.attributes) == ["sex"]
    assert "1,200 different words" in classifier.refused["person"]
    for name in ("same", "few"):
        assert "found 1" in classifier.refused[name]
    assert "found 0" in classifier.refused["empty"]
    assert "numbers that differ" in classifier.refused["constant"]
    assert "found 0" in classifier.refused["unknown"]


def test_unknown_labels_take_no_part(toy: known_attributes.ToyData) -> None:
    latents = seeded_latents(77, 1200, known_attributes.Z_DIM, "normal")
    known = known_attributes.labels(latents)
    half = np.arange(1200) % 2 == 0
    classifier = fit_attribute_classifier(
        toy.normalized,
        {"sex": np.where(half, known["sex"], ""), "turn": np.where(half, known["turn"], np.nan)},
        toy.discriminator,
    )
    assert classifier.attributes["sex"].classes == ("man", "woman")
    assert (classifier.attributes["sex"].held_out.n or 0) < 240 * 0.65
    assert classifier.attributes["turn"].held_out.value > 0.9


def test_three_classes(toy: known_attributes.ToyData) -> None:
    latents = seeded_latents(77, 1200, known_attributes.Z_DIM, "normal")
    classified = np.select([latents[:, 2] < -0.5, latents[:, 2] > 0.5], ["left", "right"], "ahead")
    classifier = fit_attribute_classifier(toy.normalized, {"looks": classified}, toy.discriminator)
    known = classifier.attributes["looks"]
    assert known.classes == ("ahead", "left", "right")
    prediction = classifier.classify(toy.normalized[:9])["looks"]
    assert prediction.evidence.shape == prediction.probabilities.shape == (9, 3)


def test_the_same_seed_gives_the_same_classifier(toy: known_attributes.ToyData) -> None:
    again = known_attributes.toy().classifier.classify(toy.normalized[:20])
    for name, prediction in toy.classifier.classify(toy.normalized[:20]).items():
        np.testing.assert_array_equal(prediction.evidence, again[name].evidence)


def test_softened_images_keep_their_size_and_mean() -> None:
    normalized = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    softer = blur(normalized)
    assert softer.shape == normalized.shape
    assert abs(float(softer.mean() - normalized.mean())) < 0.01
    assert softer.std() < 0.8 * normalized.std()
    assert blur(normalized[..., :7, :7]).shape == (2, 3, 7, 7)


def test_components_of_the_first_have_unit_spread_and_keep_constant_features() -> None:
    raw = np.random.default_rng(0).normal(3, 5, (300, 20)).astype(np.float32)
    raw[:, 7] = 4
    found = PrincipalComponents.fit(raw, 0)(raw)
    assert found.shape == (300, 20)
    assert np.isfinite(found).all()
    assert abs(found[:, 0].std() - 1) < 1e-3


def test_rank_correlation_by_hand() -> None:
    coefficients = np.array([0.0, 1.0, 2.0])
    assert _rank_correlation(coefficients, np.array([1.0, 5.0, 6.0])) == pytest.approx(1)
    assert _rank_correlation(coefficients, np.array([3.0, 2.0, -7.0])) == pytest.approx(-1)
    assert _rank_correlation(coefficients, np.array([3.0, 3.0, 3.0])) == 0
