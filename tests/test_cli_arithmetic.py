"""`dcgan concepts` and `dcgan arithmetic` as typed: results, streams and every wrong use."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded

torch.set_num_threads(1)

QUICK = ("--threads", "1", "--bn", "running")
CLASSIFIED_SAMPLES = ("--classifier", "real", "--classifier-labels", "real/labels.csv")


class Result:
    """What a command left behind."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out, err.decode()

    @property
    def json(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        return json.loads(self.out)


class Dcgan:
    def __init__(self, capture: pytest.CaptureFixture[bytes]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> Result:
        self._capture.readouterr()
        code = run_guarded(lambda: app(arguments, standalone_mode=False))
        return Result(code, *self._capture.readouterr())

    def fails(self, *arguments: str, code: int = 2) -> str:
        """The one line of an error."""
        result = self(*arguments)
        assert result.code == code, result.err
        assert result.out == b""
        line = result.err.splitlines()[-1]
        assert line.startswith("dcgan: ")
        return line


@pytest.fixture
def dcgan(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Dcgan:
    monkeypatch.setenv("COLUMNS", "200")
    return Dcgan(capfdbinary)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the run `tiny`, whose images are bright or dark and striped or not, and real
    images labeled so.
    """
    from dcgan_cli.checkpoint.format import Checkpoint, save
    from dcgan_cli.model.config import ModelConfig
    from dcgan_cli.model.discriminator import Discriminator
    from dcgan_cli.model.generator import Generator
    from dcgan_cli.model.layers import initialize

    folder = tmp_path_factory.mktemp("place")
    model = ModelConfig(size=16, channels=1, z_dim=6, ngf=4, ndf=4, kernel=4, z_dist="normal")
    generator, discriminator = Generator(model), Discriminator(model)
    initialize(generator, torch.Generator().manual_seed(2))
    initialize(discriminator, torch.Generator().manual_seed(1))
    with torch.no_grad():
        generator.to_rgb.weight.mul_(20)
        for _ in range(50):
            generator(torch.randn(64, 6, generator=torch.Generator().manual_seed(3)))
    run = folder / "checkpoints" / "tiny"
    run.mkdir(parents=True)
    save(run / "last.pt", Checkpoint(model, generator.state_dict(), discriminator.state_dict()))
    other = {name: value + 1 for name, value in generator.state_dict().items()}
    save(folder / "other.pt", Checkpoint(model, other, discriminator.state_dict()))
    _write_real_images(folder / "real")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def _write_real_images(folder: Path) -> None:
    folder.mkdir()
    stream = np.random.default_rng(0)
    rows = ["file,light,half,slope,coin"]
    for number in range(400):
        bright, left, slope = stream.random() < 0.5, stream.random() < 0.5, stream.uniform(-1, 1)
        image = stream.normal(170 if bright else 85, 20, (16, 16))
        image[:, :8] += 30 if left else -30
        image += 40 * slope * np.linspace(-1, 1, 16)[:, None]
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{number:04}.png")
        words = "bright" if bright else "dark", "left" if left else "right"
        coin = "heads" if stream.random() < 0.5 else "tails"
        rows.append(f"{number:04}.png,{words[0]},{words[1]},{slope:.4f},{coin}")
    (folder / "labels.csv").write_text("\n".join(rows))


@pytest.fixture(scope="module")
def learned(place: Path) -> Path:
    """`place`, with concepts learned and samples drawn."""
    for arguments in (
        ("concepts", "learn", "--data", "real", "--labels", "real/labels.csv", "--samples", "600",
         "--exemplars", "8", *QUICK, "-q"),
        ("sample", "-n", "12", *QUICK, "-q"),
    ):  # fmt: skip
        assert run_guarded(lambda typed=arguments: app(typed, standalone_mode=False)) == 0
    return place


def names(place: Path) -> list[str]:
    content = json.loads((place / "checkpoints/tiny/last.concepts.json").read_text())
    return list(content["concepts"])


def two(place: Path) -> tuple[str, str]:
    """Names of two learned concepts."""
    first, second, *_ = [name for name in names(place) if not name.startswith("slope")]
    return first, second


# Concepts


def test_learn_names_what_it_found_and_refuses_the_coin(dcgan: Dcgan, learned: Path) -> None:
    result = dcgan(
        "concepts", "learn", "tiny", "--data", "real", "--labels", "real/labels.csv", "--samples",
        "600", "--exemplars", "8", "--json", *QUICK,
    )  # fmt: skip
    found = result.json
    assert "not classified: coin: no better than chance" in result.err
    assert found["findings"]["classifier_light"]["value"] > 0.9
    assert found["findings"]["classifier_light"]["control"]["value"] < 0.6
    assert set(found["findings"]) >= {"classifier_half", "classifier_slope", "agreement_light"}
    assert "classifier_coin" not in found["findings"]
    assert sorted(found["concepts"]) == names(learned)
    assert {"slope_low", "slope_high"} <= set(found["concepts"])
    rows = found["tables"]["concepts"]
    assert len(rows) == len(found["concepts"])
    assert all(3 <= row["exemplars"] <= 8 for row in rows)
    assert found["file"] == "checkpoints/tiny/last.concepts.json"


def test_learn_what_was_wished_for(dcgan: Dcgan, learned: Path) -> None:
    result = dcgan(
        "concepts", "learn", "--data", "real", "--labels", "real/labels.csv", "--samples", "300",
        "--attribute", "slope", "--attribute", "light", "--attribute", "half", "--concept",
        "steep=slope_high", "--json", *QUICK,
    )  # fmt: skip
    assert result.json["concepts"] == ["steep"]
    assert "steep" in names(learned)
    assert dcgan("concepts", "remove", "steep").code == 0
    assert "steep" not in names(learned)


def test_add_list_show_remove(dcgan: Dcgan, learned: Path) -> None:
    added = dcgan("concepts", "add", "odd", "samples.png#3,5,7")
    assert (added.code, added.out) == (0, b"odd\n")
    assert "warning" not in added.err
    listed = dcgan("concepts", "list", "--json").json["concepts"]
    (listed,) = [entry for entry in listed if entry["name"] == "odd"]
    made = "picked: samples.png#3,5,7"
    assert listed == {"name": "odd", "exemplars": 3, "meaning": [], "made": made}
    assert b"odd" in dcgan("concepts", "list").out
    shown = dcgan("concepts", "show", "odd", "-o", "-", *QUICK)
    assert shown.code == 0, shown.err
    assert Image.open(io.BytesIO(shown.out)).size[0] > 4 * 48
    assert dcgan("concepts", "show", "odd", *QUICK).out == b"odd.png\n"
    assert dcgan("sample", "--latents", "odd.png#3", "-o", "mean.png", *QUICK).code == 0
    assert "--overwrite" in dcgan.fails("concepts", "add", "odd", "samples.png#1")
    again = dcgan("concepts", "add", "odd", "samples.png#1", "--overwrite")
    assert again.code == 0
    assert "warning: odd has 1 exemplar" in again.err
    assert "unstable" in again.err
    assert dcgan("concepts", "remove", "odd", "-q").err == ""
    assert "odd" not in names(learned)


def test_export_and_import(dcgan: Dcgan, learned: Path) -> None:
    before = (learned / "checkpoints/tiny/last.concepts.json").read_bytes()
    assert dcgan("concepts", "export", "all.json").out == b"all.json\n"
    assert (learned / "all.json").read_bytes() == before
    assert dcgan("concepts", "export", "-").out == before
    assert "--overwrite" in dcgan.fails("concepts", "import", "all.json")
    gone = names(learned)[0]
    assert dcgan("concepts", "remove", gone).code == 0
    assert dcgan("concepts", "import", "all.json", "--overwrite").code == 0
    assert (learned / "checkpoints/tiny/last.concepts.json").read_bytes() == before
    line = dcgan.fails("concepts", "import", "all.json", "-c", "other.pt", code=1)
    piped = [sys.executable, "-m", "dcgan_cli", "concepts", "import", "-", "--overwrite"]
    subprocess.run(piped, cwd=learned, input=before, capture_output=True, check=True)
    assert (learned / "checkpoints/tiny/last.concepts.json").read_bytes() == before
    assert "points of one model mean nothing to another" in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "Big Smile", "samples.png#1"), "try big_smile"),
        (("add", "x", "samples.png#99"), "no tile 99"),
        (("add", "x", "nothing.png#1"), "nothing.png"),
        (("remove", "slope_hig"), "near: slope_high"),
        (("show", "slope_hig"), "near: slope_high"),
        (("export", "x.json", "-c", "other.pt"), "no concepts yet"),
        (("learn",), "--data SOURCE is missing"),
        (("learn", "--data", "real"), "has no labels"),
        (
            ("learn", "--data", "real", "--labels", "real/labels.csv", "--attribute", "lite"),
            "--attribute lite: no such attribute is classified; there are light",
        ),
        (("learn", "--data", "demo:cats"), "demo:cats"),
    ],
)
def test_concepts_wrongly_used(
    dcgan: Dcgan, learned: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in dcgan.fails("concepts", *arguments)


def test_concepts_of_a_model_trained_further(dcgan: Dcgan, learned: Path) -> None:
    (learned / "grown").mkdir(exist_ok=True)
    for name, source in (("last.pt", "other.pt"), ("last.concepts.json", None)):
        content = learned / (source or "checkpoints/tiny/last.concepts.json")
        (learned / "grown" / name).write_bytes(content.read_bytes())
    line = dcgan.fails("arithmetic", "grown", "--pos", two(learned)[0], code=1)
    assert "trained further" in line
    assert "dcgan concepts learn" in line


# Arithmetic


def test_the_paper_s_grid(dcgan: Dcgan, learned: Path) -> None:
    one, other = two(learned)
    result = dcgan(
        "arithmetic", "--pos", one, "--neg", other, "--add", other, "--save-latents", "y.npy",
        "--json", *QUICK,
    )  # fmt: skip
    found = result.json
    assert found["expression"] == f"{one} - {other} + {other}"
    assert found["file"] == "arithmetic.png"
    assert found["findings"]["length"]["control"]["low"] > 0
    points = np.load("y.npy")
    assert points.shape == (9, 6)
    assert np.abs(points - points[4]).max() <= 0.2501
    # tiles are latent arguments; the center of the result is the saved point
    columns = {each["name"]: each["value"] for each in found["exemplars"]}[one] + 1
    tile = (3 + 1) * columns + 1
    assert dcgan("sample", "--latents", f"arithmetic.png#{tile}", "--save-latents", "c.npy",
                 "-o", "c.png", *QUICK).code == 0  # fmt: skip
    np.testing.assert_array_equal(np.load("c.npy")[0], points[4])
    assert "--classifier" in found["verdict"]


def test_the_same_typed_in_another_way(dcgan: Dcgan, learned: Path) -> None:
    one, other = two(learned)
    typed = (("--pos", one, "--neg", other), ("--expr", f"{one} - {other}"))
    grids = [dcgan("arithmetic", *words, "-o", "-", "-q", *QUICK) for words in typed]
    assert grids[0].code == 0
    assert grids[0].out == grids[1].out
    assert Image.open(io.BytesIO(grids[0].out)).format == "PNG"


def test_terms_may_be_any_latents(dcgan: Dcgan, learned: Path) -> None:
    result = dcgan(
        "arithmetic", "tiny", "--expr", "samples.png#1,2 - samples.png#3-5 + samples.png#6",
        "-o", "free.png", *QUICK,
    )  # fmt: skip
    assert result.code == 0
    assert result.err.count("warning:") == 2
    assert result.out.decode().splitlines()[-1] == "free.png"


def test_it_is_classified(dcgan: Dcgan, learned: Path) -> None:
    one, other = two(learned)
    result = dcgan(
        "arithmetic", "--expr", f"{one} - {other} + {other}", *CLASSIFIED_SAMPLES, "--seeds", "3",
        "--orthogonal-to", "slope", "--json", *QUICK,
    )  # fmt: skip
    found = result.json
    assert found["seeds"] == 3
    assert found["expected"]
    metrics = found["findings"]
    assert {"share", "share_seeds", "share_second", "share_pixels", "classifier_light",
            "agreement_light", "drift_slope", "linear_slope", "single", "clean"} <= set(metrics)  # fmt: skip
    assert metrics["share"]["n"] == 3  # what it comes to is tested where the truth is planted
    assert all(figure["control"] is not None for figure in metrics.values())
    assert "of the results, " in found["verdict"]
    again = dcgan(
        "arithmetic", "--expr", f"{one} - {other} + {other}", *CLASSIFIED_SAMPLES, "--seeds", "3",
        "--orthogonal-to", "slope", "--json", *QUICK,
    )  # fmt: skip
    assert again.out == result.out
    table = dcgan("arithmetic", "--pos", one, *CLASSIFIED_SAMPLES, "--expect", "bright", *QUICK)
    assert "results that are bright" in table.out.decode()


def test_the_turn(dcgan: Dcgan, learned: Path) -> None:
    found = dcgan(
        "arithmetic", "--turn", "slope_low", "slope_high", *CLASSIFIED_SAMPLES, "--rows", "2", "--columns", "5",
        "--save-latents", "t.npy", "--json", *QUICK,
    ).json  # fmt: skip
    assert found["file"] == "turn.png"
    assert found["attribute"] == "slope"
    assert np.load("t.npy").shape == (10, 6)
    rank = found["findings"]["rank_correlation"]
    assert -1 <= rank["low"] <= rank["value"] <= rank["high"] <= 1
    assert rank["control"]["what"] == "random directions"
    assert len(found["tables"]["classified"]) == 5
    assert dcgan("arithmetic", "--turn", "slope_low", "slope_high", "-o", "t.png", *QUICK).code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "expected one of --pos"),
        (("--pos", "slope_low", "--expr", "a - b"), "expected one of --pos"),
        (("--neg", "slope_low"), "nothing to subtract from"),
        (("--expr", "slope_low -"), "--expr"),
        (("--pos", "slope_lo"), "near: slope_low"),
        (("--pos", "slope_low#40"), "no tile 40"),
        (("--pos", "samples.png#40"), "no tile 40"),
        (("--pos", "slope_low", "--seeds", "3"), "--seeds: needs --classifier"),
        (("--pos", "slope_low", "--expect", "bright"), "--expect: needs --classifier"),
        (("--pos", "slope_low", "--orthogonal-to", "slope"), "--orthogonal-to: needs --classifier"),
        (("--pos", "slope_low", "--rows", "3"), "--rows: is for --turn"),
        (
            ("--turn", "slope_low", "slope_high", "--seeds", "3", *CLASSIFIED_SAMPLES),
            "--seeds: is not for",
        ),
        (("--pos", "slope_low", "-o", "-", "--json"), "both be written to stdout"),
        (("--pos", "slope_low", "--bn", "none"), "--bn none"),
        (("--pos", "slope_low", *CLASSIFIED_SAMPLES, "--expect", "brigt"), "it knows bright"),
        (("--pos", "slope_low", *CLASSIFIED_SAMPLES, "--orthogonal-to", "slop"), "there are slope"),
        (("--pos", "slope_low", "--classifier", "real"), "--classifier real: has no labels"),
        (("other.pt", "--pos", "slope_low"), "no concepts yet"),
    ],
)
def test_arithmetic_wrongly_used(
    dcgan: Dcgan, learned: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in dcgan.fails("arithmetic", *arguments)


def test_points_of_another_size(dcgan: Dcgan, learned: Path) -> None:
    np.save("seven.npy", np.zeros((3, 7), np.float32))
    line = dcgan.fails("arithmetic", "--pos", "seven.npy", code=1)
    assert "points of 7 numbers, this model's z has 6" in line
    line = dcgan.fails("arithmetic", "other.pt", "--pos", "samples.png#1", code=1)
    assert "drawn by model" in line


def test_labels_that_mean_nothing_make_no_classifier(dcgan: Dcgan, learned: Path) -> None:
    line = dcgan.fails(
        "arithmetic",
        "--pos",
        "slope_low",
        *CLASSIFIED_SAMPLES,
        "--attribute",
        "coin",
        *QUICK,
        code=1,
    )
    assert (
        "no attribute classifier can be made of these labels: coin: no better than chance" in line
    )


def test_the_classifier_option_of_labels_is_named_as_typed(dcgan: Dcgan, learned: Path) -> None:
    assert "--classifier-labels" in dcgan.fails(
        "arithmetic", "--pos", "slope_low", "--classifier", "real"
    )
    assert "with --labels" in dcgan.fails("concepts", "learn", "--data", "real")
