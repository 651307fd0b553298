"""`dcgan train --resume`: the same images, and nothing that is typed is passed over in silence."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dataset_files
import pytest
from cli_runner import Run, command
from PIL import Image

from dcgan_cli.checkpoint.format import load
from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
from dcgan_cli.cli.train.resume import KEPT
from dcgan_cli.data.reference import Reference
from dcgan_cli.errors import SourceError
from dcgan_cli.training.distributed import ProcessGroup

BEGIN = ("photos", "--run", "faces", "--size", "16", "--batch-size", "4", "--preset", "small")
BEGIN = (*BEGIN, "--ngf", "2", "--ndf", "2", "--seed", "3", "--device", "cpu", "--threads", "1")

OTHER = {
    "limit": "7", "size": "8", "channels": "1", "crop": "random", "flip": None,
    "background": "red", "preset": "torch", "z_dim": "5", "z_dist": "uniform", "ngf": "3",
    "ndf": "3", "kernel": "3", "projection": "unit", "bn_eps": "0.1", "g_norm": "layer",
    "d_norm": "layer", "loss": "hinge", "d_steps": "3", "updates": "alternate",
    "batch_size": "2", "sync_bn": "--no-sync-bn", "lr": "0.1", "beta1": "0.1", "beta2": "0.1",
    "weight_decay": "0.1", "ema": "0.5", "seed": "5", "fit": "pad", "levels": "0,9",
    "optimizer": "rmsprop", "augment": "color", "r1": "0.1", "r2": "0.1", "lr_g": "0.1",
    "lr_d": "0.1", "freeze_d": "1",
}  # fmt: skip
"""For each option that a run keeps, another value than BEGIN has."""

FREE = {
    *("source", "run", "out", "resume", "overwrite", "epochs", "steps", "minutes", "keep"),
    *("save_minutes", "on_unhealthy", "profile", "tensorboard", "labels", "workers"),
    *("no_cache", "cache_limit", "max_unreadable", "device", "precision", "threads"),
    *("json", "verbose", "quiet", "debug", "begin_from", "evaluate_every"),
}
"""The others: what is typed with --resume holds from then on."""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `photos` and a run of two steps on them."""
    folder = tmp_path_factory.mktemp("begun")
    images = {f"{number:02}.png": dataset_files.png(number, 16) for number in range(12)}
    dataset_files.write_folder(folder / "photos", images)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DCGAN_CACHE", str(folder / "cache"))
        line = ["train", *BEGIN, "--steps", "2", "-q"]
        assert run_guarded(lambda: app(line, standalone_mode=False)) == 0
    return folder


@pytest.fixture
def train(
    begun: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Run:
    """`dcgan train ...` in a copy of that folder, whose run was moved there with its images."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return command("train", capfdbinary)


RESUME = ("photos", "--run", "faces", "--resume", "--steps", "3", "--threads", "1")


def parameters() -> set[str]:
    import typer.main

    group = typer.main.get_command(app)
    found = group.commands["train"].params  # type: ignore[attr-defined]
    return {str(one.name) for one in found} - {"help"}


def test_every_option_of_train_is_kept_or_free() -> None:
    assert not KEPT & FREE
    assert parameters() == KEPT | FREE
    assert OTHER.keys() == KEPT


@pytest.mark.parametrize("name", sorted(KEPT))
def test_what_a_run_keeps_is_refused_where_it_differs(name: str, train: Run) -> None:
    option, value = "--" + name.replace("_", "-"), OTHER[name]
    cli_runner = (value,) if value is not None and value.startswith("--") else (option, value or "")
    code, out, err = train(*RESUME, *filter(None, cli_runner))
    assert (code, out) == (2, b"")
    line = err.splitlines()[-1]
    assert cli_runner[0] in line
    assert "the run was begun with" in line
    assert load(Path("checkpoints/faces/last.pt")).progress["step"] == 2


@pytest.mark.parametrize("cli_runner", [("--seed", "0"), ("--background", "#000"), ("--ema", "0")])
def test_a_default_that_is_typed_is_typed(cli_runner: tuple[str, str], train: Run) -> None:
    code, _, err = train(*RESUME, *cli_runner)
    assert code == 2
    assert f"{cli_runner[0]} {cli_runner[1]}: the run was begun with" in err.splitlines()[-1]


def test_what_is_typed_as_it_was_is_taken(train: Run) -> None:
    cli_runner = (*BEGIN, "--background", "#ffffff", "--no-flip", "--resume", "--steps", "3")
    code, _, err = train(*cli_runner)
    assert code == 0, err


def test_precision_auto_says_what_it_means(train: Run) -> None:
    path = Path("checkpoints/faces/last.pt")
    held = load(path).training["precision"]
    code, _, err = train(*RESUME, "--precision", "auto")
    assert code == 0, err
    assert f"--precision auto: goes on in {held}, as begun" in err


def black(photos: Path) -> None:
    for path in photos.iterdir():
        Image.new("RGB", (16, 16)).save(path)


def fewer(photos: Path) -> None:
    (photos / "03.png").unlink()


@pytest.mark.parametrize("change", [black, fewer])
def test_other_images_under_the_same_names_are_refused(
    change: Callable[[Path], None], train: Run
) -> None:
    change(Path("photos"))
    code, out, err = train(*RESUME)
    assert (code, out) == (2, b"")
    assert err.splitlines()[-1].startswith("dcgan: photos: ")
    assert load(Path("checkpoints/faces/last.pt")).progress["step"] == 2


def test_images_that_are_gone_are_asked_for_with_what_to_type(train: Run) -> None:
    code, _, _ = train(*RESUME)  # from now on they were in this folder
    assert code == 0
    Path("photos").rename("new")
    code, _, err = train("--run", "faces", "--resume", "--steps", "4")
    line = err.splitlines()[-1]
    assert code == 1
    assert "photos: no such file or folder; the training images were there" in line
    assert "dcgan train NEWPLACE --run faces --resume" in line
    code, _, err = train("new", "--run", "faces", "--resume", "--steps", "4")
    assert code == 0, err
    code, _, err = train("--run", "faces", "--resume", "--steps", "5")  # remembered from now on
    assert code == 0, err


def test_changed_images_at_their_place_are_refused_with_what_to_type(train: Run) -> None:
    train(*RESUME)
    black(Path("photos"))
    code, _, err = train("--run", "faces", "--resume", "--steps", "4")
    line = err.splitlines()[-1]
    assert code == 1
    assert "their content differs" in line
    assert "dcgan train NEWPLACE --run faces --resume" in line


def test_another_out_is_part_of_what_to_type(train: Run) -> None:
    train(*RESUME)
    Path("checkpoints").rename("runs")
    Path("photos").rename("new")
    code, _, err = train("--run", "faces", "--out", "runs", "--resume", "--steps", "4")
    assert code == 1
    assert "dcgan train NEWPLACE --run faces --out runs --resume" in err.splitlines()[-1]


def test_labels_typed_with_resume_are_remembered(train: Run) -> None:
    rows = "".join(f"{number:02}.png,{number % 2}\n" for number in range(12))
    Path("labels.csv").write_text("file,kind\n" + rows)
    code, _, err = train(*RESUME, "--labels", "labels.csv")
    assert code == 0, err
    found = load(Path("checkpoints/faces/last.pt")).reference
    assert found.labels == Path("labels.csv").resolve()


class Second(ProcessGroup):
    """Rank 1 of two, which hears from rank 0 of `first`."""

    def __init__(self, first: Reference) -> None:
        super().__init__()
        self.first = first

    def broadcast_from_main(self, make: object) -> Reference:  # type: ignore[override]
        return self.first


def test_ranks_with_other_images_are_refused(begun: Path) -> None:
    from dataclasses import replace
    from types import SimpleNamespace

    from dcgan_cli.cli.train.session import Session

    here = load(begun / "checkpoints" / "faces" / "last.pt").reference
    check = Session._same_everywhere  # pyright: ignore[reportPrivateUsage]
    check(SimpleNamespace(process_group=Second(here)), here)  # type: ignore[arg-type]
    for other in (replace(here, content="0" * 64), replace(here, images=99)):
        with pytest.raises(SourceError, match="every machine needs the same"):
            check(SimpleNamespace(process_group=Second(other)), here)  # type: ignore[arg-type]
