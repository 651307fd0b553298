"""Arithmetic in Z, learned concepts and the turn vector on a generator whose truth is planted."""

from collections.abc import Sequence

import known_attributes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dcgan_cli.analysis.arithmetic import evaluation
from dcgan_cli.analysis.arithmetic import turn as turning
from dcgan_cli.analysis.arithmetic.calculation import (
    CENTER,
    TILES,
    Role,
    Term,
    arithmetic,
    calculate,
    draw_concept,
    on_pixels,
    parse_expression,
    written,
)
from dcgan_cli.analysis.arithmetic.directions import (
    attribute_axes,
    draw_exemplars,
    orthonormal,
    project_out,
    random_like,
)
from dcgan_cli.analysis.concepts import concept_search
from dcgan_cli.analysis.concepts.words import parse_meaning, words
from dcgan_cli.data.pixels import to_uint8
from dcgan_cli.errors import DcganError, UsageError
from dcgan_cli.model.latents import Latents, seeded_latents
from dcgan_cli.report import Finding


@pytest.fixture(scope="module")
def toy() -> known_attributes.ToyData:
    return known_attributes.toy()


@pytest.fixture(scope="module")
def samples(
    toy: known_attributes.ToyData,
) -> tuple[Latents, dict[str, concept_search.AttributePrediction]]:
    return concept_search.score_samples(toy.sampler, toy.classifier, 1500, 3)


@pytest.fixture(scope="module")
def known(
    toy: known_attributes.ToyData,
    samples: tuple[Latents, dict[str, concept_search.AttributePrediction]],
) -> dict[str, concept_search.Concept]:
    """The concepts that are learned by default."""
    requests = concept_search.default_requests(toy.classifier)
    found, _ = concept_search.find_exemplars(
        *samples, requests, toy.classifier, exemplars=16, made="learned"
    )
    return {concept.name: concept for concept in found}


def terms_of(known: dict[str, concept_search.Concept], text: str) -> list[Term]:
    return [
        Term(role, name, known[name].exemplars, known[name].meaning)
        for role, name in parse_expression(text)
    ]


def by_key(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.key: finding for finding in findings}


def term(role: Role, *rows: Sequence[float], name: str = "t") -> Term:
    return Term(role, name, np.array(rows, np.float32))


# Expressions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a - b + c", [("pos", "a"), ("neg", "b"), ("add", "c")]),
        ("a + b", [("pos", "a"), ("pos", "b")]),
        ("a", [("pos", "a")]),
        ("- b + c", [("neg", "b"), ("add", "c")]),
        ("a − b", [("pos", "a"), ("neg", "b")]),
        ("my-file.png#3-5 - z.npy", [("pos", "my-file.png#3-5"), ("neg", "z.npy")]),
    ],
)
def test_expressions(text: str, expected: list[tuple[str, str]]) -> None:
    assert parse_expression(text) == expected


@pytest.mark.parametrize("text", ["", "a -", "a b", "a + - b", "a-b + + c", "+"])
def test_expressions_that_say_nothing(text: str) -> None:
    with pytest.raises(UsageError, match="--expr"):
        parse_expression(text)


@given(st.lists(st.sampled_from(["+ x", "- y"]), min_size=1, max_size=6))
def test_what_is_written_is_read_again(parts: list[str]) -> None:
    roles = parse_expression(" ".join(parts))
    text = written([term(role, [0.0], name=name) for role, name in roles])
    assert parse_expression(text) == roles


# Calculation


def test_the_arithmetic_by_hand() -> None:
    terms = [
        term("pos", [1, 0], [3, 2], name="a"),
        term("neg", [0, 1], name="b"),
        term("add", [10, 10], [20, 30], name="c"),
    ]
    done = calculate(terms, seed=4, noise=0.25)
    assert done.displacement.tolist() == [2, 0]
    assert done.base.tolist() == [15, 20]
    assert done.results[CENTER].tolist() == [17, 20], "not clipped"
    assert done.unchanged[CENTER].tolist() == [15, 20]
    assert done.results.shape == (TILES, 2)
    assert done.noise[CENTER].tolist() == [0, 0]
    np.testing.assert_allclose(np.linalg.norm(done.elsewhere), 2)
    np.testing.assert_allclose(done.results - done.unchanged, [[2, 0]] * 9, atol=1e-5)


def test_neighbors_are_uniform_within_the_noise() -> None:
    done = calculate([term("pos", [0.0] * 400)], seed=1, noise=0.25)
    around = np.delete(done.noise, CENTER, 0)
    assert np.abs(around).max() <= 0.25
    assert np.abs(around).max() > 0.24
    assert abs(around.std() - 0.5 / 12**0.5) < 0.01
    assert len(np.unique(around)) == around.size


def test_draws_depend_on_the_seed_and_take_every_exemplar_once() -> None:
    exemplars = np.arange(20, dtype=np.float32)[:, None]
    one = calculate([Term("pos", "a", exemplars)], seed=1, exemplars=8)
    assert len(np.unique(one.drawn[0])) == 8
    same = calculate([Term("pos", "a", exemplars)], seed=1, exemplars=8)
    assert np.array_equal(one.results, same.results)
    other = calculate([Term("pos", "a", exemplars)], seed=2, exemplars=8)
    assert not np.array_equal(one.drawn[0], other.drawn[0])
    few = draw_exemplars(exemplars[:3], 8, np.random.default_rng(0))
    assert few.tolist() == [[0], [1], [2]]


@given(st.integers(2, 8), st.integers(1, 3), st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_what_is_projected_out_is_gone_and_the_rest_stays(size: int, count: int, seed: int) -> None:
    stream = np.random.default_rng(seed)
    axes = orthonormal(stream.standard_normal((count, size)))
    direction = stream.standard_normal(size)
    left = project_out(direction, axes)
    np.testing.assert_allclose(axes @ left, 0, atol=1e-12)
    np.testing.assert_allclose(project_out(left, axes), left, atol=1e-12)
    # what was taken lies within the axes
    np.testing.assert_allclose(axes.T @ axes @ (direction - left), direction - left, atol=1e-12)


def test_random_directions_are_as_long_and_favor_none() -> None:
    stream = np.random.default_rng(0)
    drawn = np.stack([random_like(np.array([3.0, 4.0]), stream) for _ in range(2000)])
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 5)
    assert np.abs(drawn.mean(0)).max() < 0.3


def test_an_attribute_s_direction_is_found() -> None:
    latents = seeded_latents(0, 500, 4, "normal")
    evidence = latents[:, [2]].astype(np.float64) * 3 + 1
    axes, explained = attribute_axes(latents, evidence)
    np.testing.assert_allclose(np.abs(axes), [[0, 0, 1, 0]], atol=1e-6)
    assert explained.value == pytest.approx(1)
    noise = np.random.default_rng(0).standard_normal((500, 1))
    assert attribute_axes(latents, noise)[1].value < 0.1
    with pytest.raises(DcganError, match="no direction"):
        attribute_axes(latents, np.ones((500, 1)))


def test_arithmetic_on_pixels_is_arithmetic_on_pixels() -> None:
    sampler = known_attributes.sampler()
    stream = np.random.default_rng(4)
    terms = [
        Term(role, name, (4 * stream.standard_normal((3, 8))).astype(np.float32))
        for role, name in (("pos", "a"), ("neg", "b"), ("add", "c"))
    ]
    done = calculate(terms, seed=0)
    means = [sampler.normalized(points).mean(0) for points in done.drawn]
    total = means[0] - means[1] + means[2]
    assert total.min() < -1.1
    assert total.max() > 1.1
    expected = total.clamp(-1, 1)
    found = on_pixels(sampler, terms, done)
    assert found.shape == (TILES, 1, 16, 16)
    torch.testing.assert_close(found[CENTER], expected)
    assert not torch.equal(found[0], expected)


def test_the_grid_holds_every_term_the_results_and_the_control() -> None:
    sampler = known_attributes.sampler()
    stream = np.random.default_rng(0)
    terms = [
        Term("pos", "a", stream.standard_normal((5, 8)).astype(np.float32)),
        Term("neg", "b", stream.standard_normal((2, 8)).astype(np.float32)),
    ]
    done = calculate(terms, seed=0, exemplars=5)
    report = arithmetic(sampler, terms, done, seed=0, said=(["yes"] * 9, ["no"] * 9))
    (grid,) = report.grids
    assert grid.columns == 6
    assert len(grid.images) == len(grid.captions) == (2 + 3 + 3 + 1) * 6
    assert len(grid.row_labels) == 9
    assert grid.provenance is not None
    latents = grid.provenance.latents.reshape(9, 6, 8)
    np.testing.assert_array_equal(latents[0, :5], terms[0].exemplars)
    np.testing.assert_allclose(latents[0, 5], terms[0].exemplars.mean(0), rtol=1e-5, atol=1e-6)
    assert np.isnan(latents[1, 3:]).all()
    np.testing.assert_array_equal(latents[2:5, :3].reshape(9, 8), done.results)
    assert np.isnan(latents[5:]).all(), "images of pixels have no z"
    tiles = grid.images.reshape(9, 6, 16, 16, 1)
    np.testing.assert_array_equal(tiles[3, 1], sampler.images(done.results)[CENTER])
    control = to_uint8(on_pixels(sampler, terms, done))
    np.testing.assert_array_equal(tiles[5:8, :3].reshape(9, 16, 16, 1), control)
    averages = torch.stack([sampler.normalized(points).mean(0) for points in done.drawn])
    np.testing.assert_array_equal(tiles[8, :2], to_uint8(averages))
    assert (tiles[2:, 3:] == 255).all()
    assert [*grid.captions].count("yes") == [*grid.captions].count("no") == 9
    assert report.facts["expression"] == "a - b"
    assert report.facts["exemplars"] == [{"name": "a", "value": 5}, {"name": "b", "value": 2}]
    length = by_key(report.findings)["length"]
    assert length.value.value == pytest.approx(np.linalg.norm(done.results[CENTER]), rel=1e-5)
    assert length.control is not None
    assert length.control.low is not None


def test_a_concept_is_drawn_with_its_mean() -> None:
    exemplars = seeded_latents(0, 3, 8, "normal")
    grid = draw_concept(known_attributes.sampler(), "x", exemplars)
    assert grid.provenance is not None
    np.testing.assert_allclose(grid.provenance.latents[3], exemplars.mean(0), rtol=1e-5)
    assert list(grid.captions) == ["0", "1", "2", "mean"]


# Learning


def test_the_default_concepts_are_named_as_a_person_would(known: dict[str, object]) -> None:
    assert set(known) >= {
        "smiling_woman", "neutral_woman", "neutral_man", "smiling_man", "woman", "smiling",
        "man_with_glasses", "man_without_glasses", "turn_low", "turn_high", "no_glasses",
    }  # fmt: skip


def test_exemplars_are_what_their_concept_says(known: dict[str, concept_search.Concept]) -> None:
    for concept in known.values():
        truth = known_attributes.labels(concept.exemplars)
        assert len(concept.exemplars) == 16
        for name, word in concept.meaning.items():
            if name == "turn":
                assert (np.abs(truth["turn"]) > 0.5).all()
                assert ((truth["turn"] > 0) == (word == "high")).all()
            else:
                assert (truth[name] == word).all()
        assert concept.made.startswith("learned: ")


def test_exemplars_are_numbered_samples(
    samples: tuple[Latents, dict[str, concept_search.AttributePrediction]],
    known: dict[str, concept_search.Concept],
) -> None:
    concept = known["smiling_woman"]
    numbers = [int(n) for n in concept.made.rpartition("samples ")[2].split(",")]
    np.testing.assert_array_equal(samples[0][numbers], concept.exemplars)
    np.testing.assert_array_equal(
        seeded_latents(3, 1, 8, "normal", start=numbers[0]), concept.exemplars[:1]
    )


def test_concepts_that_the_generator_cannot_draw_are_left_out(
    toy: known_attributes.ToyData,
    samples: tuple[Latents, dict[str, concept_search.AttributePrediction]],
) -> None:
    women = np.flatnonzero(samples[0][:, 0] < -0.5)
    only = {
        name: concept_search.AttributePrediction(
            v.classes,
            *(a[women] for a in (v.evidence, v.probabilities)),
            *(a[women] for a in (v.second_evidence, v.second_probabilities)),
        )
        for name, v in samples[1].items()
    }
    requests = [
        concept_search.parse_request(text, toy.classifier)
        for text in ("m = man", "w=woman & smiling")
    ]
    found, report = concept_search.find_exemplars(
        samples[0][women], only, requests, toy.classifier, exemplars=3, made="x"
    )
    assert [concept.name for concept in found] == ["w"]
    assert "m (0)" in report.notes[0]
    with pytest.raises(DcganError, match=r"none of the concepts .*m \(0\)"):
        concept_search.find_exemplars(
            samples[0][women], only, requests[:1], toy.classifier, exemplars=3, made="x"
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smiling", "NAME=WORD"),
        ("A=man", "NAME=WORD"),
        ("a=", "''"),
        ("a=womann", "woman"),
        ("a=man & woman", "two classes"),
    ],
)
def test_requests_that_cannot_be(text: str, said: str, toy: known_attributes.ToyData) -> None:
    with pytest.raises(UsageError, match="--concept") as caught:
        concept_search.parse_request(text, toy.classifier)
    assert said in str(caught.value)


def test_words(toy: known_attributes.ToyData) -> None:
    assert words(toy.classifier)["turn_low"] == {"turn": "low"}
    assert parse_meaning("--expect", "smiling & man", toy.classifier) == {
        "mouth": "smiling",
        "sex": "man",
    }
    with pytest.raises(UsageError, match="turn is a number"):
        evaluation.parse_target("--expect", "turn_low", toy.classifier)


# What came out


def test_what_terms_come_to(
    toy: known_attributes.ToyData, known: dict[str, concept_search.Concept]
) -> None:
    def expected(text: str, *, told: bool = True) -> dict[str, str]:
        terms = terms_of(known, text)
        if not told:
            terms = [Term(one.role, one.name, one.exemplars) for one in terms]
        return evaluation.expected(toy.sampler, toy.classifier, terms)

    smiling_man = {"sex": "man", "mouth": "smiling"}
    assert expected("smiling_woman - neutral_woman + neutral_man") == smiling_man
    found = expected("smiling_woman - neutral_woman + neutral_man", told=False)
    assert {name: found.get(name) for name in smiling_man} == smiling_man
    assert expected("man_with_glasses - man_without_glasses + woman_without_glasses") == {
        "sex": "woman",
        "glasses": "glasses",
    }
    assert expected("glasses - no_glasses + woman") == {"sex": "woman", "glasses": "glasses"}
    assert expected("turn_high - turn_low") == {}


def measured(
    toy: known_attributes.ToyData,
    samples: tuple[Latents, dict[str, concept_search.AttributePrediction]],
    terms: list[Term],
    seeds: int = 12,
    **options: object,
) -> evaluation.ArithmeticResult:
    done = [calculate(terms, seed=seed, **options) for seed in range(seeds)]  # type: ignore[arg-type]
    counts = [len(points) for points in done[0].drawn]
    target = evaluation.expected(toy.sampler, toy.classifier, terms)
    overlays = evaluation.overlay_classifier(
        toy.normalized, toy.columns, terms, counts, target, toy.discriminator, 0
    )
    assert overlays is not None
    assert overlays.attributes["image"].held_out.value > 0.7
    return evaluation.measure_arithmetic(
        toy.sampler, toy.classifier, overlays, terms, done, target, samples[1]
    )


def test_a_smiling_man_comes_out_and_not_of_random_directions_or_pixels(
    toy: known_attributes.ToyData,
    samples: tuple[Latents, dict[str, concept_search.AttributePrediction]],
    known: dict[str, concept_search.Concept],
) -> None:
    terms = terms_of(known, "smiling_woman - neutral_woman + neutral_man")
    found = measured(toy, samples, terms)
    assert found.verdict.startswith("smiling man: 100 % of the results, ")
    assert "no clear difference" not in found.verdict.partition(";")[0]
    assert list(found.said[0]) == ["smiling man"] * 9
    metrics = by_key(found.findings)
    assert all(figure.control is not None for figure in found.findings)
    share = metrics["share"]
    assert share.value.value == 1
    assert share.value.n == 12
    assert share.value.low is not None
    assert 0.7 < share.value.low < 1, "twelve seeds are no certainty"
    assert share.control is not None
    assert share.control.value < 0.4
    assert metrics["share_seeds"].value.value == 1
    # bars at many heights, laid over each other
    single = metrics["single"]
    assert single.value.value > 0.95
    assert single.control is not None
    assert single.control.value < 0.3
    clean = metrics["clean"]
    assert clean.control is not None
    assert clean.value.value - clean.control.value > 0.6
    rows = {row[0]: row for row in found.table.rows}
    assert rows["in Z"][1] == 1
    assert rows["base alone"][1] == 0


def test_the_nine_of_one_seed_are_one_draw(
    toy: known_attributes.ToyData,
    samples: tuple[Latents, dict[str, concept_search.AttributePrediction]],
    known: dict[str, concept_search.Concept],
) -> None:
    terms = terms_of(known, "smiling_woman - neutral_woman + neutral_man")
    metrics = by_key(measured(toy, samples, terms, seeds=1).findings)
    share = metrics["share"].value
    assert (share.n, share.low, share.high) == (1, None, None)
    assert share.kind == "no interval (one of seeds)"
    assert "share_seeds" not in metrics


def test_what_is_projected_out_moves_no_more(
    toy: known_attributes.ToyData,
    samples: tuple[Latents, dict[str, concept_search.AttributePrediction]],
) -> None:
    """Smiling women who turn their heads: the smile's direction holds a turn, until it is out."""
    rows = np.zeros((3, 4, 8), np.float32)
    rows[0, :, :3] = [-2, 2, 2.5]
    rows[1, :, :3] = [-2, -2, -0.5]
    rows[2, :, :3] = [2, -2, -0.5]
    roles: list[Role] = ["pos", "neg", "add"]
    meanings = [
        {"sex": sex, "mouth": mouth}
        for sex, mouth in (("woman", "smiling"), ("woman", "neutral"), ("man", "neutral"))
    ]
    terms = [
        Term(role, name, points, meaning)
        for role, name, points, meaning in zip(roles, "abc", rows, meanings, strict=True)
    ]
    entangled = by_key(measured(toy, samples, terms, seeds=3).findings)
    assert entangled["drift_turn"].value.value > 1
    axis = np.eye(8)[[2]]
    freed = by_key(measured(toy, samples, terms, seeds=3, without=axis).findings)
    assert freed["drift_turn"].value.value < 0.25
    assert freed["share"].value.value == 1
    done = calculate(terms, seed=0, without=axis)
    assert done.displacement[2] == 0
    # and the direction that the attribute classifier finds by itself is that axis
    found, explained = attribute_axes(samples[0], samples[1]["turn"].evidence)
    assert abs(found[0, 2]) > 0.97
    assert explained.value > 0.8


def test_terms_without_a_known_word_are_said_to_be_so(
    toy: known_attributes.ToyData,
    samples: tuple[Latents, dict[str, concept_search.AttributePrediction]],
    known: dict[str, concept_search.Concept],
) -> None:
    found = measured(toy, samples, terms_of(known, "turn_high - turn_low"), seeds=1)
    assert "the terms share no word" in found.verdict
    assert not any(finding.key.startswith("share") for finding in found.findings)


# The turn


def a_turn(left: Latents, right: Latents, **options: object) -> turning.Turn:
    settings_ = {"seed": 0, "exemplars": 4, **options}
    return turning.Turn.between(left, right, **settings_)  # type: ignore[arg-type]


def test_a_turn_by_hand() -> None:
    left = np.array([[-1, 0], [-3, 0]], np.float32)
    right = np.array([[1, 2], [3, 0]], np.float32)
    way = a_turn(left, right, columns=3, reach=0.5)
    assert way.vector.tolist() == [4, 1]
    assert way.coefficients.tolist() == [-0.5, 0, 0.5]
    moved = way.moved(np.array([[10, 10], [0, 0]], np.float32))
    assert moved.tolist() == [[8, 9.5], [10, 10], [12, 10.5], [-2, -0.5], [0, 0], [2, 0.5]]
    flat = a_turn(left, right, without=np.array([[1.0, 0]]))
    assert flat.vector.tolist() == [0, 1]


def test_the_turn_turns_and_nothing_else(
    toy: known_attributes.ToyData,
    samples: tuple[Latents, dict[str, concept_search.AttributePrediction]],
    known: dict[str, concept_search.Concept],
) -> None:
    pure = np.zeros((2, 1, 8), np.float32)
    pure[0, 0, 2], pure[1, 0, 2] = -1.5, 1.5
    way = a_turn(pure[0], pure[1])
    assert turning.turned_attribute(toy.sampler, toy.classifier, way, samples[1]) == "turn"
    findings, table = turning.measure_turn(
        toy.sampler, toy.classifier, way, attribute="turn", samples=samples[1], seed=1
    )
    metrics = by_key(findings)
    rank = metrics["rank_correlation"]
    assert rank.value.value > 0.95
    assert rank.value.n == turning.CLASSIFIED_SAMPLES
    assert rank.control is not None
    assert abs(rank.control.value) < 0.3
    for name in ("sex", "mouth", "glasses"):
        assert metrics[f"drift_{name}"].value.value < 0.2
        assert metrics[f"changed_{name}"].value.value < 0.03
    assert metrics["drift_turn"].value.value > 0.7
    classified = [row[1] for row in table.rows]
    assert classified == sorted(classified)  # type: ignore[type-var]
    # learned exemplars turn as well
    low, high = known["turn_low"].exemplars, known["turn_high"].exemplars
    learned, _ = turning.measure_turn(
        toy.sampler, toy.classifier, a_turn(low, high), attribute="turn", samples=samples[1], seed=1
    )
    assert by_key(learned)["rank_correlation"].value.value > 0.95


def test_the_grid_of_a_turn() -> None:
    sampler = known_attributes.sampler()
    left, right = seeded_latents(1, 4, 8, "normal"), seeded_latents(2, 4, 8, "normal")
    way = a_turn(left, right, columns=7)
    report = turning.turn(sampler, way, names=("l", "r"), rows=3, seed=9)
    (grid,) = report.grids
    assert grid.columns == 7
    assert grid.provenance is not None
    latents = grid.provenance.latents.reshape(3, 7, 8)
    np.testing.assert_array_equal(latents[:, 3], seeded_latents(9, 3, 8, "normal"))
    np.testing.assert_array_equal(grid.images, sampler.images(latents.reshape(21, 8)))
    assert report.facts["turn"] == ["l", "r"]
