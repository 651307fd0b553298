"""--layout, --scale and --caption, typed; what is drawn stays a latent argument."""

from pathlib import Path

import pytest
from cli_runner import Run, command, untrained
from PIL import Image

from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.model.config import ModelConfig

CONFIG = ModelConfig(size=16, channels=1, z_dim=6, ngf=4, ndf=4, z_dist="normal")
QUICK = ("--threads", "1", "--bn", "running", "-q")


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    monkeypatch.chdir(tmp_path)
    save(Path("model.pt"), untrained(CONFIG))
    return command("sample", capfdbinary)


@pytest.mark.parametrize(
    ("options", "width"),
    [
        ((), 2 * 40 + 2 * 128 + 4),
        (("--layout", "paper"), 2 * 50 + 2 * 192 + 5),
        (("--layout", "audit"), 2 * 8 + 2 * 48 + 2),
        (("--scale", "3"), 2 * 40 + 2 * 48 + 4),
    ],
)
def test_a_figure_is_composed_as_asked(run: Run, options: tuple[str, ...], width: int) -> None:
    code, _, err = run("model.pt", "-n", "4", *QUICK, *options)
    assert code == 0, err
    with Image.open("samples.png") as image:
        assert image.width == width
        assert ("dpi" in image.info) == ("paper" in options)
    model = load(Path("model.pt"))
    assert read_latents("samples.png#3", model, Path("model.pt")).latents.shape == (1, 6)


def test_the_caption_is_in_the_image_and_on_request_beside_it(run: Run) -> None:
    code, _, err = run("model.pt", "-n", "4", "--seed", "5", *QUICK, "--caption")
    assert code == 0, err
    with Image.open("samples.png") as image:
        said = image.info["Description"]
    assert Path("samples.txt").read_text("utf-8") == f"{said}\n"
    assert said == (
        f"dcgan sample --bn running; checkpoint {load(Path('model.pt')).hash}, seed 5; 4 tiles"
    )


def test_a_caption_replaces_no_file_that_is_read(run: Run) -> None:
    Path("points.txt").write_text("mine")
    code, _, err = run(
        "model.pt", "--latents", "points.txt", "-o", "points.png", "--caption", *QUICK
    )
    assert code == 2
    assert "--caption points.txt: this file is read by the same command" in err
    assert Path("points.txt").read_text() == "mine"
