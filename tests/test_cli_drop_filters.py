"""`dcgan drop-filters` as typed: what is written, what is printed where, and every wrong usage."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import known_filters
import numpy as np
import pytest
import torch
from cli_runner import Run, command
from PIL import Image

from dcgan_cli.analysis.drop_filters.filters import without
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.data.box_files import SampleBoxes, read_boxes, write_boxes
from dcgan_cli.data.sources import open_source
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.render.png import encode_image

QUICK = ("--fresh", "24", "--bn", "running")


def write_real(folder: Path, count: int = 120) -> None:
    """`real/`: images of the planted generator as PNG files; `real.csv`: their boxes."""
    (folder / "real").mkdir()
    latents = seeded_latents(77, count, 8, "normal")
    for number, image in enumerate(known_filters.sampler().images(latents)):
        (folder / "real" / f"{number}.png").write_bytes(encode_image(image))
    boxes = known_filters.boxes(latents)
    with (folder / "real.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "kind", "x0", "y0", "x1", "y1"))
        for number in range(count):
            own = boxes.corners[boxes.image == number].tolist()
            for corners in own:
                table.writerow((f"{number}.png", "block", *corners))
            if not own:
                table.writerow((f"{number}.png", "none", "", "", "", ""))


def write_drawn(path: Path, checkpoint: str | None, **about: Any) -> None:
    """Boxes of the samples 0 … 149 of seed 0, in our own form."""
    boxes = known_filters.boxes(seeded_latents(0, 150, 8, "normal"))
    samples = {"seed": 0, "bn": "running", "average": True, **about}
    path.write_bytes(write_boxes(SampleBoxes(boxes, checkpoint, **samples)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`model.pt`, `real/` with `real.csv`, and `boxes.json` of the model's samples."""
    folder = tmp_path_factory.mktemp("made")
    model = known_filters.checkpoint()
    save(folder / "model.pt", model)
    write_real(folder)
    write_drawn(folder / "boxes.json", model.hash)
    return folder


@pytest.fixture
def work(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with copies of what was made."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def run(work: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Exit code, stdout and stderr of `dcgan drop-filters ...`."""
    return command("drop-filters", capfdbinary)


REAL = ("--find", "block", "--from", "real", "--labels", "real.csv")


def test_an_object_found_by_real_images_is_forgotten(run: Run, work: Path) -> None:
    code, out, err = run("model.pt", *REAL, *QUICK)
    assert code == 0, err
    text = out.decode()
    assert text.splitlines()[-1] == "forgotten.png"
    assert text.startswith("block: found in ")
    for label in ("samples with a block, afterwards ↓", "likeness of the scene"):
        assert label in text
    assert "decrease of the share" not in text
    assert "decrease of the share" in run("model.pt", *REAL, *QUICK, "-v")[1].decode()
    assert "looking into model.pt" in err
    assert "object detector: block: AUC" in err
    assert "by the usual place" in err
    assert "block: found in" in err
    with Image.open(work / "forgotten.png") as image:
        assert image.format == "PNG"
    with Image.open(work / "forgotten-dose.png") as image:
        assert image.size == (1050, 825)


def test_json_has_stable_keys_and_nothing_else_is_on_stdout(run: Run) -> None:
    code, out, err = run("model.pt", *REAL, *QUICK, "--json", "--quiet", "-o", "a.png")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert set(answer) == {
        "schema_version", "report", "checkpoint", "object", "layer", "feature_maps", "chosen", "keep_only",
        "fresh_samples", "random_draws", "size", "channels", "bn", "ema", "seed", "samples", "file",
        "curve", "verdict", "findings", "tables",
    }  # fmt: skip
    assert set(answer["findings"]) == {
        "maps_auc", "found_before", "found_after", "fall", "change_inside", "change_outside",
        "focus", "scene", "scene_unrelated", "detector_block_where", "detector_block_whether",
    }  # fmt: skip
    assert answer["chosen"] == [known_filters.OBJECT]
    assert (answer["file"], answer["curve"]) == ("a.png", "a-dose.png")
    assert answer["findings"]["fall"]["value"] > 0.7
    assert answer["findings"]["fall"]["control"]["what"] == "random maps"
    first = answer["tables"]["maps"][0]
    assert first["map"] == known_filters.OBJECT
    assert first["weight"] > 0
    assert set(answer["tables"]["dose"][0]) == {
        "maps", "found", "found_random", "found_random_low", "found_random_high", "scene",
        "scene_random", "scene_random_low", "scene_random_high",
    }  # fmt: skip


def test_boxes_drawn_by_hand_do_without_real_images(run: Run, work: Path) -> None:
    code, out, err = run("model.pt", "--boxes", "boxes.json", *QUICK, "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["object"] == "block"
    assert answer["chosen"] == [known_filters.OBJECT]
    assert "an object detector says trained on these boxes" in err
    # with real images beside them, these find it, and the boxes still choose the maps
    code, out, err = run("model.pt", "--boxes", "boxes.json", *REAL, *QUICK, "--json")
    assert code == 0, err
    assert "trained on these boxes" not in err
    both = json.loads(out)
    assert both["tables"]["maps"] == answer["tables"]["maps"]
    assert both["findings"]["detector_block_where"] != answer["findings"]["detector_block_where"]


def test_the_images_it_was_trained_on_are_the_default(run: Run, work: Path) -> None:
    source = open_source("real", labels=Path("real.csv"))
    data = {
        "location": str(work / "real"),
        "labels": str(work / "real.csv"),
        "fingerprint": source.fingerprint(),
    }
    save(work / "trained.pt", known_filters.checkpoint(data=data))
    code, _, err = run("trained.pt", "--find", "block", *QUICK)
    assert code == 0, err
    assert "120 images with boxes are trained on" in err


def test_the_same_command_gives_the_same_bytes(run: Run, work: Path) -> None:
    command = ("model.pt", "--boxes", "boxes.json", *QUICK, "--json", "--quiet")
    first = run(*command)
    grid = (work / "forgotten.png").read_bytes()
    assert run(*command) == first
    assert (work / "forgotten.png").read_bytes() == grid
    other = run(*command[:-2], "--seed", "0", "-n", "151", "--json", "--quiet")
    assert other[0] == 0
    assert other[1] != first[1]


def test_the_grid_goes_down_a_pipe_and_the_metrics_beside_it(run: Run, work: Path) -> None:
    command = ("model.pt", "--boxes", "boxes.json", *QUICK, "-o", "-")
    code, out, err = run(*command)
    assert code == 0
    with Image.open(io.BytesIO(out)) as image:
        assert image.format == "PNG"
    assert "samples with a block, afterwards" in err
    assert {path.name for path in work.iterdir()} == {"model.pt", "real", "real.csv", "boxes.json"}
    code, again, err = run(*command, "--quiet", "--curve", "curve.png")
    assert (code, err) == (0, "")
    assert again == out
    assert (work / "curve.png").exists()


def test_samples_on_the_grid_are_latent_arguments(run: Run, work: Path) -> None:
    assert run("model.pt", "--boxes", "boxes.json", *QUICK)[0] == 0
    named = read_latents("forgotten.png#0-2", load(work / "model.pt"))
    fresh = seeded_latents(1, 24, 8, "normal")
    assert all((fresh == row).all(1).any() for row in named.latents)


def test_a_model_that_has_forgotten(run: Run, work: Path) -> None:
    code, out, err = run(
        "model.pt", "--boxes", "boxes.json", *QUICK, "--save", "without.pt", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["saved"] == "without.pt"
    assert "--bn running" in err
    saved, latents = load(work / "without.pt"), seeded_latents(5, 40, 8, "normal")
    cpu = torch.device("cpu")
    own = Sampler.of(load(work / "model.pt"), "running", cpu)
    expected = without(own, 1, [known_filters.OBJECT], latents)
    assert torch.equal(Sampler.of(saved, "running", cpu).normalized(latents), expected)
    assert saved.training["forgotten"] == [
        {"object": "block", "layer": 1, "maps": [2], "keep_only": False, "bn": "running"}
    ]
    # where the blocks were, there is nothing to be found any more
    write_drawn(work / "old.json", None)
    fails(run("without.pt", "--boxes", "old.json", *QUICK), 1, "do not tell a block")


def test_keep_only_drops_the_others(run: Run, work: Path) -> None:
    code, out, err = run(
        "model.pt", "--boxes", "boxes.json", *QUICK, "--keep-only", "--save", "only.pt", "--json"
    )
    assert code == 0, err
    answer = json.loads(out)
    assert answer["keep_only"] is True
    assert answer["chosen"] == [2]
    assert answer["findings"]["scene"]["value"] < 0.5
    assert sorted(load(work / "only.pt").training["forgotten"][0]["maps"]) == [0, 1, 3]


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (("--maps", "1"), 1),
        (("--maps", "3"), 3),
        (("--threshold", "-9"), 4),
        (("--layer", "0"), 1),
        (("--layer", "0", "--maps", "8"), 8),
    ],
)
def test_how_many_maps_are_dropped(arguments: tuple[str, ...], chosen: int, run: Run) -> None:
    code, out, err = run("model.pt", "--boxes", "boxes.json", *QUICK, *arguments, "--json")
    assert code == 0, err
    assert len(json.loads(out)["chosen"]) == chosen


def test_boxes_that_were_found_can_be_written_and_read(run: Run, work: Path) -> None:
    code, _, err = run("model.pt", *REAL, *QUICK, "--save-boxes", "found.json", "--json")
    assert code == 0, err
    found = read_boxes(work / "found.json", 150)
    assert found.checkpoint == load(work / "model.pt").hash
    assert (found.seed, found.bn, found.average) == (0, "running", True)
    assert set(found.boxes.kind) == {"block"}
    assert found.boxes.seen.all()
    code, out, err = run("model.pt", "--boxes", "found.json", *QUICK, "--json")
    assert code == 0, err
    assert json.loads(out)["chosen"] == [2]


def test_the_page_to_draw_on(run: Run, work: Path) -> None:
    code, out, err = run("model.pt", "--annotate", "page.html", "--find", "block", "-n", "30")
    assert (code, out) == (0, b"page.html\n")
    assert "page.html: open it in a browser" in err
    page = (work / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 30
    assert load(work / "model.pt").hash in page
    assert not (work / "forgotten.png").exists()
    code, out, _ = run("model.pt", "--annotate", "page.html", "--json", "--quiet", "-n", "30")
    assert json.loads(out) == {
        "schema_version": 1, "report": "annotation_page", "checkpoint": load(work / "model.pt").hash, "seed": 0,
        "samples": 30, "object": "", "boxes": 0, "file": "page.html",
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [(*REAL, "--bn", "running"), ("--boxes", "boxes.json", "--bn", "running")]
)
def test_the_page_begins_with_the_boxes_there_are(
    arguments: tuple[str, ...], run: Run, work: Path
) -> None:
    code, out, err = run("model.pt", "--annotate", "page.html", *arguments, "--json")
    assert code == 0, err
    count = json.loads(out)["boxes"]
    assert count > 20
    assert (work / "page.html").read_text().count("corners") >= count


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "what shall be forgotten? --find KIND --from SOURCE"),
        (("--from", "real"), "--find KIND"),
        (("--find", "block", "--labels", "real.csv"), "--from SOURCE"),
        (("--boxes", "boxes.json", "-o", "-", "--json"), "-o - and --json"),
        (("--boxes", "boxes.json", "--maps", "2", "--threshold", "0"), "give one of the two"),
        (("--boxes", "boxes.json", "--maps", "0"), "--maps"),
        (("--boxes", "boxes.json", "--maps", "5", "--bn", "running"), "layer 1 has 4 maps"),
        (("--boxes", "boxes.json", "--threshold", "99", "--bn", "running"), "no map has a weight"),
        (("--boxes", "boxes.json", "--layer", "2"), "--layer 2: no such layer"),
        (("--boxes", "boxes.json", "--bn", "none"), "running, batch, reestimated"),
        (("--boxes", "boxes.json", "--device", "tpu"), "--device tpu"),
        (("--boxes", "boxes.json", "-n", "3"), "-n"),
        (("--boxes", "boxes.json", "--bn", "running", "--seed", "4"), "give --seed 0"),
        (("--boxes", "boxes.json"), "give --bn running"),
        (("--boxes", "boxes.json", "--bn", "running", "--no-ema"), "leave out --no-ema"),
        (("--boxes", "boxes.json", "--bn", "running", "--find", "blok"), "there are block"),
        (("--find", "blok", "--from", "real", "--labels", "real.csv"), "there are block"),
        (("--find", "door", "--from", "real"), "real: has no boxes"),
        (("--find", "block"), "does not say where its training images are; name them: --from"),
        (("--find", "window", "--from", "demo:faces"), "demo:faces: has no boxes"),
        (("--find", "window", "--from", "demo:houses"), "demo:houses: no such synthetic data set"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: tuple[str, ...], said: str, run: Run
) -> None:
    fails(run("model.pt", *arguments), 2, said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--find", "block", "--from", "nowhere"), "nowhere: no such file or folder"),
        (("--boxes", "nothing.json"), "nothing.json"),
        (("--boxes", "empty.json"), "empty.json: holds no box"),
        (("--boxes", "other.json"), "other.json: boxes on samples of model feedfacecafe, this is"),
        (("--boxes", "few.csv"), "1 sample of 1 with a block; at least 10 are needed"),
        (("--boxes", "boxes.json", "--bn", "running", "-n", "20"), "no sample"),
    ],
)
def test_failed_work_is_one_line_and_exit_1(
    arguments: tuple[str, ...], said: str, run: Run, work: Path
) -> None:
    none = known_filters.boxes(np.zeros((150, 8), np.float32))
    (work / "empty.json").write_bytes(write_boxes(SampleBoxes(none)))
    write_drawn(work / "other.json", "feedfacecafe")
    (work / "few.csv").write_text("file,kind,x0,y0,x1,y1\n0003.png,block,0.1,0.1,0.2,0.2\n")
    fails(run("model.pt", *arguments), 1, said)


def test_boxes_of_several_kinds_need_a_name(run: Run, work: Path) -> None:
    boxes = known_filters.boxes(seeded_latents(0, 150, 8, "normal"))
    kinds = np.where(np.arange(len(boxes.kind)) < 12, "ghost", boxes.kind)
    (work / "two.json").write_bytes(write_boxes(SampleBoxes(replace(boxes, kind=kinds))))
    fails(run("model.pt", "--boxes", "two.json"), 2, "boxes of block, ghost; say which with --find")
    # what is asked for must be findable, whatever else is
    result = run("model.pt", "--boxes", "two.json", "--find", "ghost", *QUICK)
    assert result[0] == 1
    assert "ghost" in result[2].splitlines()[-1]


def fails(result: tuple[int, bytes, str], code: int, said: str) -> None:
    """One line on stderr (notes may go before it), nothing on stdout."""
    found, out, err = result
    assert found == code, err
    assert out == b""
    assert said in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("dcgan: ")
    assert "Traceback" not in err
