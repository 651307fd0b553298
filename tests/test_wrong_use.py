"""What can be told to be wrong at once is told at once: in a line, and without importing torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from dcgan_cli.analysis.probe_svm.baselines import LABELS
from dcgan_cli.choices import CONTROLS, LOSS_NAMES
from dcgan_cli.training.losses import LOSSES

SCRIPT = """
import sys
from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
for number, line in enumerate(open(sys.argv[1], encoding="utf-8").read().split("\\n")):
    code = run_guarded(lambda: app(line.split("\\t"), standalone_mode=False))
    print(number, code, "torch" in sys.modules, flush=True)
"""

WRONG = {
    "train": "missing SOURCE",
    "train nowhere": "no such file or folder",
    "train demo:horses": "no such synthetic data set",
    "train empty": "the folder is empty",
    "train notes.txt": "neither images nor an archive",
    "train photos --loss nice": "--loss nice",
    "train photos --preset huge": "--preset huge",
    "train photos --size 65": "--size 65",
    "train photos --size 0": "--size 0",
    "train photos --channels 2": "--channels 2",
    "train photos --kernel 7": "--kernel 7",
    "train photos --z-dim 0": "--z-dim 0",
    "train photos --z-dist round": "--z-dist round",
    "train photos --crop left": "--crop left",
    "train photos --updates never": "--updates never",
    "train photos --batch-size 1": "--batch-size 1",
    "train photos --lr 0": "--lr 0",
    "train photos --lr nan": "--lr nan",
    "train photos --epochs nan": "--epochs",
    "train photos --epochs inf": "--epochs inf",
    "train photos --minutes inf": "--minutes inf",
    "train photos --cache-limit nan": "--cache-limit nan",
    "train photos --beta1 1": "--beta1",
    "train photos --keep some": "--keep some",
    "train photos --keep ²": "--keep ²",
    "train photos --background blurple": "--background blurple",
    "train photos --fit squeeze": "--fit squeeze",
    "train photos --levels dark": "--levels dark",
    "train photos --optimizer sgd": "--optimizer sgd",
    "train photos --run new --out photos": "inside its own source",
    "train photos --on-unhealthy pray": "--on-unhealthy pray",
    "train photos --device gpu": "--device gpu",
    "train photos --device cuda:x": "--device cuda:x",
    "train photos --precision fp8": "--precision fp8",
    "train photos --labels none.csv": "--labels none.csv",
    "train photos --run a/b": "--run a/b",
    "train photos --resume --overwrite": "exclude each other",
    "train --resume": "missing SOURCE",
    "train --run new --resume": "holds no last.pt",
    "train photos --run old": "holds a run already",
    "train photos --steps -1": "--steps",
    "train photos more": "more",
    "sample nothing": "nothing: neither",
    "sample --latents nothing.png#3": "nothing.png: no such file",
    "sample -o ": "-o '': empty",
    "sample --out=": "--out '': empty",
    "sample --bn none": "--bn none",
    "sample --device gpu": "--device gpu",
    "sample demo-faces --checkpoint demo-rooms": "two checkpoints",
    "sample -o - --json": "-o -",
    "sample demo-faces --layout poster": "--layout poster",
    "sample demo-faces --scale 0": "--scale",
    "sample demo-faces --caption -o -": "no place beside -",
    "sample demo-faces --split folder --layout paper": "--split writes the images themselves",
    "interpolate demo-faces --layout paper -o walk.gif": "is a film",
    "interpolate --between nothing.npy": "nothing.npy: no such file",
    "interpolate --data nothing": "nothing: no such file or folder",
    "interpolate --path zigzag": "--path zigzag",
    "interpolate --fps nan": "--fps",
    "interpolate -o walk.txt": "walk.txt",
    "interpolate --points 3 --between a": "--points",
    "arithmetic": "expected one of",
    "arithmetic --pos nothing.png": "nothing.png: no such file",
    "arithmetic --pos a --classifier nothing": "nothing: no such file or folder",
    "arithmetic --expr +": "--expr",
    "arithmetic --pos a --noise nan": "--noise",
    "arithmetic --pos a --seeds 2": "needs --classifier",
    "guided-backprop --rule golden": "--rule golden",
    "guided-backprop --data nothing": "nothing: no such file or folder",
    "guided-backprop nothing": "nothing: neither",
    "probe-svm --controls all,none": "--controls",
    "probe-svm --train nothing": "nothing: no such file or folder",
    "probe-svm --test nothing": "nothing: no such file or folder",
    "probe-svm --layers last": "--layers last",
    "probe-svm --bn batch": "--bn batch",
    "nearest-neighbors -n 3 --of a.png": "-n draws",
    "nearest-neighbors --of nothing.png": "nothing.png: no such file",
    "nearest-neighbors --data nothing": "nothing: no such file or folder",
    "drop-filters --find window --from nothing": "nothing: no such file or folder",
    "drop-filters --boxes nothing.json": "nothing.json: no such file",
    "drop-filters": "what shall be forgotten",
    "drop-filters --find window --threshold nan": "--threshold nan",
    "concepts learn": "--data",
    "concepts learn --data nothing": "nothing: no such file or folder",
    "concepts add x nothing.png": "nothing.png: no such file",
    "concepts add X demo.png": "no name for a concept",
    "concepts list nothing": "nothing: neither",
    "concepts show smile --checkpoint nothing": "nothing: neither",
}


def test_wrong_use_is_told_without_torch(tmp_path: Path) -> None:
    """All lines in one process: it is started once, and torch would stay imported."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.png").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "checkpoints" / "old").mkdir(parents=True)
    (tmp_path / "checkpoints" / "old" / "last.pt").touch()
    lines = tmp_path / "lines"
    lines.write_text("\n".join(line.replace(" ", "\t") for line in WRONG), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, lines],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    results = [line.split() for line in done.stdout.splitlines()]
    errors = done.stderr.splitlines()
    assert len(results) == len(errors) == len(WRONG), done.stderr
    for (line, words), (_, code, torch), said in zip(WRONG.items(), results, errors, strict=True):
        assert words in said, (line, said)
        assert code in "12", (line, code)
        assert torch == "False", f"{line} imports torch"


def test_the_words_of_options_are_those_of_the_work() -> None:
    assert tuple(LOSSES) == LOSS_NAMES
    assert tuple(LABELS)[1:] == CONTROLS


@pytest.mark.parametrize("line", ["sample --checkpoint demo-rooms", "sample -c demo-rooms"])
def test_a_checkpoint_is_named_either_way(line: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dcgan_cli", *line.split(), "-n", "1", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "demo-rooms.pt" in done.stderr


def test_an_extra_that_is_missing_is_told_without_torch(tmp_path: Path) -> None:
    body = """
import importlib.util, sys
sys.modules["tensorboard"] = None
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "tensorboard" else find(name, *more)
from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
code = run_guarded(lambda: app(["train", "digits", "--tensorboard"], standalone_mode=False))
print(code, "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", body], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "2 False", done.stderr
    assert "pip install 'dcgan[tensorboard]'" in done.stderr
