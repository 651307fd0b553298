"""Outputs at places that a person names: links, pipes, devices, modes, formats, and refusals."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import cli_runner
import numpy as np
import pytest
from PIL import Image

from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded
from dcgan_cli.errors import StorageError
from dcgan_cli.files import atomic_write, inherited_descriptor, is_special, is_stdout, write_text
from dcgan_cli.model.config import ModelConfig

MODEL = ModelConfig(size=8, channels=1, z_dim=4, ngf=2, ndf=2, kernel=3)

Run = Callable[..., tuple[int, bytes, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """`dcgan ...` in a folder that holds an untrained model.pt."""
    monkeypatch.chdir(tmp_path)
    save(Path("model.pt"), cli_runner.untrained(MODEL))

    def dcgan(*arguments: str) -> tuple[int, bytes, str]:
        capfdbinary.readouterr()
        code = run_guarded(lambda: app([*arguments], standalone_mode=False))
        said = capfdbinary.readouterr()
        return code, said.out, said.err.decode()

    return dcgan


def read_pipe(path: Path) -> tuple[threading.Thread, list[bytes]]:
    """Read all of a FIFO in a thread."""
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    thread.start()
    return thread, found


# Writing


def test_a_link_is_written_through(tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    (far / "file").write_bytes(b"old")
    (tmp_path / "two").symlink_to("far/file")
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "dangling").symlink_to("far/new")
    write_text(tmp_path / "one", "new")
    write_text(tmp_path / "dangling", "first")
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "two").is_symlink()
    assert (tmp_path / "dangling").is_symlink()
    assert (far / "file").read_text() == "new"
    assert (far / "new").read_text() == "first"
    assert sorted(p.name for p in far.iterdir()) == ["file", "new"]


def test_links_in_a_circle_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StorageError, match="cannot write"):
        write_text(tmp_path / "a", "text")


def test_a_fifo_stays_one_and_gets_the_bytes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread, found = read_pipe(pipe)
    write_text(pipe, "text")
    thread.join(10)
    assert found == [b"text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_a_reader_that_leaves_early_is_no_failure(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(pipe) as file:
        os.close(reader)
        for _ in range(3):
            assert file.write(b"x" * 100) == 100


def test_a_device_stays_one(tmp_path: Path) -> None:
    """A node of the null device's numbers, made for the purpose."""
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        node.read_bytes()
    except PermissionError:
        pytest.skip("devices can be made by root alone")
    (tmp_path / "link").symlink_to("null")
    for path in (node, tmp_path / "link"):
        write_text(path, "text")
        assert stat.S_ISCHR(path.stat().st_mode)
    assert (tmp_path / "link").is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "null"]


def test_descriptors_are_known_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    assert inherited_descriptor(tmp_path / "link") == 1
    assert inherited_descriptor(Path("/dev/fd/7")) == 7
    assert inherited_descriptor(Path(f"/proc/{os.getpid()}/fd/5")) == 5
    assert inherited_descriptor(Path("/proc/1/fd/5")) is None
    assert inherited_descriptor(Path("/dev/null")) is None
    assert is_stdout(Path("-"))
    assert is_stdout(Path("/dev/stdout"))
    assert not is_stdout(Path("/dev/stderr"))
    assert is_special(Path("/dev/null"))
    assert not is_special(tmp_path)
    assert not is_special(tmp_path / "missing")


def test_a_redirected_descriptor_is_gone_on_with(tmp_path: Path) -> None:
    """Opened by its name, the file behind it would be written over from its beginning."""
    target = tmp_path / "redirected"
    with target.open("wb", buffering=0) as file:
        file.write(b"before ")
        write_text(Path(f"/dev/fd/{file.fileno()}"), "and after")
        file.write(b", and more")
    assert target.read_bytes() == b"before and after, and more"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o664])
def test_a_file_keeps_its_mode(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_text() == "new"


def test_a_private_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with atomic_write(path) as file:
        file.write(b"new")
        assert {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()} == {0o600}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    write_text(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_obeys_the_umask(mask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "file", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_temporary_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    taken = tmp_path / f".file.{os.getpid()}.tmp"
    taken.symlink_to("mine")
    write_text(tmp_path / "file", "new")
    assert mine.read_bytes() == b"mine"
    assert taken.is_symlink()
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127])
def test_the_longest_names_can_be_written(name: str, tmp_path: Path) -> None:
    write_text(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text"


# Commands


def test_sample_writes_into_a_fifo_through_a_link_and_to_stdout(run: Run, tmp_path: Path) -> None:
    code, plain, err = run("sample", "model.pt", "-n", "2", "-o", "-", "-q")
    assert code == 0, err
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread, found = read_pipe(pipe)
    assert run("sample", "model.pt", "-n", "2", "-o", "pipe")[0] == 0
    thread.join(10)
    assert found == [plain]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    (tmp_path / "link.png").symlink_to("target.png")
    assert run("sample", "model.pt", "-n", "2", "-o", "link.png")[0] == 0
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "target.png").read_bytes() == plain
    code, out, err = run("sample", "model.pt", "-n", "2", "-o", "/dev/stdout", "-q")
    assert (code, out) == (0, plain), err


PLACES = {
    "sample": ("-o", ".png"), "interpolate": ("-o", ".png"), "guided-backprop": ("-o", ".png"),
    "nearest-neighbors": ("-o", ".png"), "drop-filters": ("-o", ".png"),
}  # fmt: skip
QUICK = {"drop-filters": ("--boxes", "boxes.json")}


@pytest.mark.parametrize("command", PLACES)
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.jpg", "cannot write .jpg"), ("x.jpeg", ".jpeg"), ("x.svg", ".svg"), ("x.pdf", ".pdf"),
        ("x.npy", ".npy"), ("x.xyz", ".xyz"), ("x", "without an ending"), ("folder", "a folder"),
        ("folder/", "a folder"), ("missing/x.png", "no folder"), ("model.pt", ".pt"), ("", "-o '': empty"),
        ("n" * 300 + ".png", "304 bytes"),
    ],
)  # fmt: skip
def test_a_name_that_says_something_else_is_refused_before_the_work(
    command: str, name: str, said: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir(exist_ok=True)
    before = load(tmp_path / "model.pt").hash
    Path("damaged.pt").write_bytes(b"never opened")
    code, out, err = run(command, "damaged.pt", *QUICK.get(command, ()), "-o", name)
    assert code == 2, err
    assert said in err
    assert err.count("\n") == 1
    assert out == b""
    assert load(tmp_path / "model.pt").hash == before
    assert {path.name for path in tmp_path.iterdir()} == {"damaged.pt", "folder", "model.pt"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sample", "--save-latents", "z.csv"), "expected .npy"),
        (("sample", "--save-latents", "z"), "expected .npy"),
        (("sample", "--split", "model.pt"), "name a folder"),
        (("probe-svm", "--save-features", "f.csv"), "expected .npy"),
        (("probe-svm", "--save-features", "f"), "expected .npy"),
        (("probe-svm", "--map", "map.jpg"), "expected .png"),
        (("nearest-neighbors", "--map", "map.jpg"), "expected .png"),
        (("drop-filters", "--find", "w", "--annotate", "page.pdf"), "expected .html"),
        (("drop-filters", "--find", "w", "--save", "w.onnx"), "expected .pt"),
        (("drop-filters", "--find", "w", "--save-boxes", "w.xml"), "expected .json"),
        (("drop-filters", "--find", "w", "--curve", "w.jpg"), "expected .png"),
        (("arithmetic", "--pos", "a", "-o", "a.jpg"), "expected .png"),
        (("concepts", "show", "a", "-o", "a.jpg"), "expected .png"),
        (("concepts", "export", "a.csv"), "expected .json"),
        (("nearest-neighbors", "--map", "n.png", "-o", "n.png"), "--map would both be written"),
        (("nearest-neighbors", "--map", "./n.png", "-o", "link.png"), "would both be written"),
        (("drop-filters", "--find", "w", "--curve", "c.png", "-o", "c.png"), "both be written"),
    ],
)
def test_every_place_that_is_typed_is_looked_at_first(
    arguments: tuple[str, ...], said: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "link.png").symlink_to("n.png")
    code, out, err = run(*arguments)
    assert code == 2, err
    assert said in err
    assert out == b""


def test_what_is_read_is_not_written_over(run: Run, tmp_path: Path) -> None:
    for name in ("a.png", "photos/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / name)
    (tmp_path / "l.csv").write_text("file,label\n1.png,a\n")
    assert run("sample", "model.pt", "-n", "2", "-o", "grid.png")[0] == 0
    (tmp_path / "link.png").symlink_to("a.png")
    np.save(tmp_path / "z.npy", np.zeros((2, 4), np.float32))
    for arguments in (
        ("sample", "model.pt", "--latents", "a.png#3", "-o", "a.png"),
        ("sample", "model.pt", "--latents", "a.png#3", "-o", "link.png"),
        ("sample", "model.pt", "--latents", "z.npy", "--save-latents", "z.npy"),
        ("interpolate", "model.pt", "--between", "grid.png#0,1", "-o", "grid.png"),
        ("nearest-neighbors", "model.pt", "--of", "a.png", "-o", "a.png"),
        ("nearest-neighbors", "model.pt", "--data", "photos", "-o", "photos/1.png"),
        ("drop-filters", "model.pt", "--find", "w", "--save", "model.pt"),
        (
            "probe-svm",
            "model.pt",
            "--train",
            "photos",
            "--labels",
            "l.csv",
            "--save-features",
            "l.npy",
        ),
    ):
        before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        code, _, err = run(*arguments)
        assert code == 2, (arguments, err)
        assert "lost" in err or "replace" in err
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_derived_files_are_not_put_beside_a_device(run: Run, tmp_path: Path) -> None:
    from dcgan_cli.cli.drop_filters import command as drop_filters

    assert drop_filters.curve_beside(Path("/dev/null")) is None
    assert drop_filters.curve_beside(Path("-")) is None
    assert drop_filters.curve_beside(Path("a/b.png")) == Path("a/b-dose.png")


def test_ten_letters_too_many_are_one_line(run: Run) -> None:
    long = "n" * 300
    for arguments in (
        ("train", "digits", "--run", long),
        ("train", "digits", "--run", "é" * 150),
        ("train", "digits", "--out", long),
        ("train", long),
        ("sample", long),
        ("sample", "model.pt", "--latents", long),
        ("nearest-neighbors", "model.pt", "--data", long),
        ("train", "digits", "--labels", long),
    ):
        code, out, err = run(*arguments)
        assert code in (1, 2), (arguments[:2], err)
        assert "internal error" not in err, (arguments[:2], err)
        assert err.splitlines()[-1].startswith("dcgan: ")
        assert out == b""


FOREIGN = "was not written by dcgan"


def test_a_default_name_replaces_no_file_of_somebody_else(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "samples.png"
    Image.new("L", (8, 8)).save(mine)
    before = mine.read_bytes()
    code, out, err = run("sample", "model.pt", "-n", "2")
    assert (code, out) == (2, b"")
    assert "-o samples.png: a file that dcgan did not write is there" in err
    assert mine.read_bytes() == before
    mine.unlink()
    assert run("sample", "model.pt", "-n", "2")[0] == 0
    assert run("sample", "model.pt", "-n", "3")[0] == 0, "a file of ours is replaced"
    Image.new("L", (8, 8)).save(tmp_path / "typed.png")
    assert run("sample", "model.pt", "-n", "2", "-o", "typed.png")[0] == 0, "it was asked for"


def test_a_caption_replaces_no_notes(run: Run, tmp_path: Path) -> None:
    notes = tmp_path / "s.txt"
    notes.write_text("my notes\n")
    code, _, err = run("sample", "model.pt", "-n", "2", "-o", "s.png", "--caption")
    assert code == 2
    assert "--caption s.txt: a file that dcgan did not write" in err
    assert notes.read_text() == "my notes\n"
    notes.unlink()
    for _ in range(2):
        assert run("sample", "model.pt", "-n", "2", "-o", "s.png", "--caption")[0] == 0


@pytest.mark.parametrize("name", ["0000.png", "photo.JPG"])
def test_images_go_into_no_folder_that_holds_somebody_elses(
    name: str, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / name)
    before = (folder / name).read_bytes()
    code, _, err = run("sample", "model.pt", "-n", "2", "--split", "own")
    assert code == 2
    assert FOREIGN in err
    assert {file.name for file in folder.iterdir()} == {name}
    assert (folder / name).read_bytes() == before


def test_images_are_written_anew_beside_notes(run: Run, tmp_path: Path) -> None:
    for count in ("2", "3"):
        assert run("sample", "model.pt", "-n", count, "--split", "new")[0] == 0
        (tmp_path / "new/labels.csv").write_text("file,label\n")
    assert len(list((tmp_path / "new").glob("*.png"))) == 3


def test_one_image_grid_and_many_images_are_not_asked_for_at_once(run: Run) -> None:
    code, out, err = run("sample", "model.pt", "-n", "2", "-o", "-", "--split", "many")
    assert (code, out) == (2, b"")
    assert "give one" in err
