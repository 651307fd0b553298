"""Small files that ask for gigabytes, hours or crashes: one line within a second, in little memory."""

import gzip
import json
import os
import random
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cli_runner
import dataset_files
import numpy as np
import pytest
import test_checkpoint
import test_concepts
import tiny
import torch
from campaigns import checkpoints
from campaigns.data_files import tar_header
from source_checks import refusal

from dcgan_cli.analysis.features import features
from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.checkpoint import contents, foreign
from dcgan_cli.checkpoint.format import Checkpoint, load, load_resumable, save
from dcgan_cli.checkpoint.latent_arguments import read_latents
from dcgan_cli.data.batches import Batches
from dcgan_cli.data.cache import prepare
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source
from dcgan_cli.errors import CheckpointError, SourceError, UsageError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.pickles import ForbiddenError, PickleError, read_pickle
from dcgan_cli.training.run_folder import RunFolder
from dcgan_cli.training.trainer import Trainer

MODEL = test_concepts.MODEL
HUGE = 3 << 30


@contextmanager
def cheaply(most: int = 100 << 20) -> Generator[None]:
    """The block may take a second of this process, and `most` bytes."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak:,} bytes"
    assert time.process_time() - began < 2


def said_of(path: Path) -> str:
    """Why the source at `path` is refused; or how many records it has."""
    try:
        return f"opened: {len(open_source(str(path)))}"
    except SourceError as error:
        return str(error)


# Pickles


def with_pickle(path: Path, data: bytes) -> Path:
    """A file as torch.save writes it, of any pickle and four bytes of numbers."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("data.pkl", data), ("byteorder", b"little"), ("data/0", bytes(4))):
            archive.writestr(f"archive/{name}", content)
    return path


ASKS = {
    "bytearray": b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\0\0\0\xc0\0\x85R.",
    "memo": b"\x80\x02}r\xff\xff\xff\x7f.",
    "byte array of a length": b"\x80\x05\x96" + struct.pack("<Q", HUGE) + b".",
    "bytes of a length": b"\x80\x05\x8e" + struct.pack("<Q", HUGE) + b".",
    "frame": b"\x80\x05\x95" + struct.pack("<Q", HUGE) + b"}.",
    "hashed tuples": b"\x80\x02}(K\x01" + b"q\0h\0\x86" * 70 + b"K\1u.",
    "printed lists": b"\x80\x02}(" + b"]q\0" + b"]q\1(h\0h\0eq\0" * 70 + b"K\1u.",
    "digits": b"I" + b"9" * 300_000 + b"\n.",
    "tensor larger than its numbers": checkpoints._tensor(1 << 40, 0),
    "tensor before its numbers": checkpoints._tensor(1, -1 & (1 << 62) - 1),
}


@pytest.mark.parametrize("name", ASKS)
def test_a_few_bytes_of_pickle_cost_nothing(name: str, tmp_path: Path) -> None:
    checkpoint = with_pickle(tmp_path / "a.pt", ASKS[name])
    with cheaply(), pytest.raises(CheckpointError) as caught:
        load(checkpoint)
    assert str(caught.value).startswith(f"{checkpoint}: ")
    folder = dataset_files.write_cifar10(
        tmp_path / "c", dataset_files.pixels(10, 32, 32, 3), [0, 1] * 5, ["a", "b"]
    )
    (folder / "data_batch_2").write_bytes(ASKS[name])
    with cheaply():
        assert "data_batch_2: " in refusal(folder)
    (folder / "data_batch_2").write_bytes((folder / "data_batch_1").read_bytes())
    (folder / "batches.meta").write_bytes(ASKS[name])
    with cheaply():
        assert said_of(folder).startswith((f"{folder}/batches.meta: ", "opened"))


def test_pickles_of_all_protocols_are_read_as_python_reads_them() -> None:
    import pickle

    value: dict[Any, Any] = {"a": [1, -2, 3.5, None, True, "ä", b"\xff", (1, (2,)), {}], 5: 10**30}
    value["again"] = value["a"]
    for protocol in range(2, 6):
        found: Any = read_pickle(
            pickle.dumps(value, protocol), {("_codecs", "encode"): lambda t, _: t.encode("latin1")}
        )
        assert found == value
        assert found["again"] is found["a"]


@pytest.mark.parametrize("data", [b"", b".", b"}", b"(", b"\x80\x02K\1.x"[:3], b"h\5.", b"}K\1s."])
def test_cut_pickles_are_one_line(data: bytes) -> None:
    with pytest.raises(PickleError) as caught:
        read_pickle(data, {})
    assert "\n" not in str(caught.value)


def test_a_name_that_is_not_expected_is_refused_before_anything_is_called() -> None:
    called: list[object] = []
    with pytest.raises(ForbiddenError, match=r"posix\.system"):
        read_pickle(b"cposix\nsystem\n(S'true'\ntR.", {("posix", "other"): called.append})
    assert called == []


# Arrays


def sparse(path: Path, shape: str, size: int, descr: str = "'<f4'") -> Path:
    """A .npy file of `size` bytes of nothing after a header that says `shape`."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text)
    os.truncate(path, path.stat().st_size + size)
    return path


def test_of_a_huge_array_only_the_rows_asked_for_are_read(tmp_path: Path) -> None:
    width = MODEL.model.z_dim
    rows = (4 << 30) // (4 * width)
    path = sparse(tmp_path / "z.npy", f"({rows}, {width})", rows * 4 * width)
    with cheaply(1 << 20):
        assert read_latents(f"{path}#0,{rows - 1}", MODEL).latents.shape == (2, width)
        for argument in (str(path), f"{path}#0-{rows - 1}"):
            with pytest.raises(UsageError, match=r"100,000"):
                read_latents(argument, MODEL)


HEADERS = {
    "brackets": ("(3, 5", "'<f4'"),
    "quotes": ("(3, 5)", "'<f4"),
    "deep": ("(" * 5000 + ")" * 5000, "'<f4'"),
    "negative": ("(-1, 5)", "'<f4'"),
    "objects": ("(3, 5)", "'|O'"),
    "records": ("(3, 5)", "[('a', '<f4')]"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_damaged_headers_of_arrays_are_one_line(name: str, tmp_path: Path) -> None:
    path = sparse(tmp_path / "z.npy", *HEADERS[name][:1], 60, HEADERS[name][1])
    with cheaply(), pytest.raises(UsageError, match=r"z\.npy: not an array of numbers"):
        read_latents(str(path), MODEL)
    with cheaply(), pytest.raises(CheckpointError, match=r"z\.npy: not an array of numbers"):
        foreign._array(path)


def test_a_header_as_long_as_the_disk_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "z.npy"
    path.write_bytes(b"\x93NUMPY\2\0\xff\xff\xff\xf0")
    os.truncate(path, 8 << 30)
    with cheaply(1 << 20), pytest.raises(UsageError, match="header is damaged"):
        read_latents(f"{path}#0", MODEL)


# Tars


def records(text: bytes, kind: bytes = b"x", size: int | None = None) -> bytes:
    """A member of pax records, or of a long name, whose header may lie about its size."""
    header = tar_header(kind, len(text) if size is None else size)
    return header + text + bytes(-len(text) % 512)


LIES = {
    "many digits": records(b"9" * 200_000 + b" path=x\n"),
    "many digits of a size": records(b"200011 size=" + b"9" * 199_998 + b"\n"),
    "a size beyond everything": records(b"29 size=99999999999999999999\n"),
    "a long name of gigabytes": records(b"", b"L", HUGE),
    "pax of gigabytes": records(b"", b"x", HUGE),
    "stacked long names": records(b"name", b"L") * 3000,
    "stacked pax": records(b"12 path=x.y\n") * 3000,
    "a member beyond everything": tar_header(b"0", (1 << 87) - 1),
    "a record without an end": records(b"5 a=b"),
    "a record of nothing": records(b"0 path=x\n"),
    "a sparse map without end": tar_header(b"S", 5)[:482].ljust(512, b"\1"),
    "a wrong checksum": tar_header(b"0", 0).replace(b"0000644", b"0000645", 1),
}


@pytest.mark.parametrize("name", LIES)
def test_headers_of_tars_that_lie(name: str, tmp_path: Path) -> None:
    whole = dataset_files.write_tar(
        tmp_path / "x.tar", dataset_files.images("a.png", "b.png")
    ).read_bytes()
    path = tmp_path / "x.tar"
    path.write_bytes(LIES[name] + whole)
    os.truncate(path, max(path.stat().st_size, 4 << 30))  # of holes: sizes below it are no lie
    with cheaply():
        said = said_of(path)
    if name.startswith("stacked"):
        assert said == "opened: 1"  # the other is called what the headers say
    else:
        assert said.startswith((f"{path}: a damaged tar (", f"{path}: no images in the tar"))
        assert "\n" not in said


# Other data sets


def test_a_word_as_long_as_a_book_does_not_widen_all_others(tmp_path: Path) -> None:
    dataset_files.write_folder(tmp_path / "p", dataset_files.images("1.png"))
    rows = [f"{n}.png,{'long' * 20_000 if n == 1 else f'w{n}'}" for n in range(1, 4000)]
    (tmp_path / "t.csv").write_text("\n".join(["file,caption", *rows]))
    with cheaply(), pytest.raises(SourceError, match="characters"):
        open_source(str(tmp_path / "p"), labels=tmp_path / "t.csv")


def test_a_gzip_of_nothing_but_zeros_is_not_unpacked(tmp_path: Path) -> None:
    header = struct.pack(">HBB3I", 0, 8, 3, 400, 1024, 1024)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(header + bytes(400 << 20), 1)
    )
    with cheaply():
        assert "refused: it unpacks to" in refusal(tmp_path)


def test_a_matlab_file_of_nothing_but_zeros_is_not_unpacked(tmp_path: Path) -> None:
    def part(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    size = 400 << 20
    head = part(6, struct.pack("<II", 9, 0)) + part(5, struct.pack("<4i", 32, 32, 3, size // 3072))
    head += part(1, b"X") + struct.pack("<II", 2, size)
    packed = zlib.compress(struct.pack("<II", 14, len(head) + size) + head + bytes(size), 1)
    text = b"MATLAB 5.0".ljust(124) + b"\0\1IM"
    (tmp_path / "train_32x32.mat").write_bytes(text + struct.pack("<II", 15, len(packed)) + packed)
    with cheaply():
        assert "no images do" in refusal(tmp_path)


def test_an_idx_file_that_is_cut_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    folder = dataset_files.write_idx(
        tmp_path, dataset_files.pixels(4, 28, 28), np.zeros(4, np.uint8), packed=False
    )
    source = open_source(str(folder))
    os.truncate(folder / "train-images-idx3-ubyte", 16 + 28 * 28 * 2)
    assert isinstance(source.read(1), np.ndarray)
    with pytest.raises(ValueError, match="too early"):
        source.read(3)


# Checkpoints whose values cannot be


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of seven steps, as `dcgan train` makes it."""
    folder = tmp_path_factory.mktemp("run")
    checkpoints.prepare_run(folder)
    return folder / "runs" / "r" / "last.pt"


def changed(path: Path, to: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The checkpoint with other values, and a digest that matches them."""
    content = torch.load(path, weights_only=True)
    about = json.loads(content["about"])
    change({**about, **content})
    test_checkpoint.write_content(to, {**content, "about": json.dumps(about)})
    return to


IMPOSSIBLE: list[tuple[tuple[str | int, ...], object, str]] = [
    (("recipe", "batch_size"), "4", "recipe.batch_size is '4'; expected a whole number of 2"),
    (("recipe", "batch_size"), 1, "recipe.batch_size is 1; expected"),
    (("recipe", "lr"), -1.0, "recipe.lr is -1.0; expected a number from 0"),
    (("recipe", "lr"), 0.0, "recipe: --lr 0.0: expected a number above 0"),
    (("recipe", "flip"), 1, "recipe.flip is 1; expected one of True, False"),
    (("recipe", "crop"), "x", "recipe.crop is 'x'; expected one of center, random"),
    (("progress", "step"), -1, "progress.step is -1; expected a whole number of 0"),
    (("progress", "step"), 1.5, "progress.step is 1.5; expected a whole number"),
    (("progress", "seconds"), float("nan"), "progress.seconds is nan; expected a number"),
    (("progress", "health"), [], "progress.health is []; expected an object"),
    (("progress", "health", "window"), [[None]], "progress.health.window is [[None]]; expected"),
    (("progress", "health", "reported"), 5, "progress.health.reported is 5; expected a list"),
    (("data", "location"), 5, "data.location is 5; expected text, or null"),
    (("data", "framing"), 5, "data.framing is 5; expected an object"),
    (("data", "labels"), "a\0b", "data.labels is 'a\\x00b'; expected text"),
    (("data", "images"), "many", "data.images is 'many'; expected a whole number"),
    (("training", "d_steps"), 0, "training.d_steps is 0; expected a whole number of 1"),
    (("training", "ema"), 2, "training.ema is 2; expected a number from 0 to 1, or null"),
    (("training", "seed"), "x", "training.seed is 'x'; expected a whole number"),
]


@pytest.mark.parametrize(("place", "value", "said"), IMPOSSIBLE)
def test_impossible_values_are_named(
    place: tuple[str, ...], value: object, said: str, trained: Path, tmp_path: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        for key in place[:-1]:
            content = content[key]
        content[place[-1]] = value

    path = changed(trained, tmp_path / "a.pt", change)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: {said}")


MOMENTS: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda o: o.pop("generator"), "optimizers.generator is missing"),
    (lambda o: o.update(generator=[]), "expected the keys state and param_groups"),
    (lambda o: o["generator"]["state"].pop(0), "found 3 entries, expected 4"),
    (
        lambda o: o["generator"]["state"][0].pop("exp_avg_sq"),
        "holds step, exp_avg; expected exp_avg, exp_avg_sq, step",
    ),
    (
        lambda o: o["discriminator"]["state"][0].update(exp_avg=torch.zeros(3)),
        "optimizers.discriminator.state.0.exp_avg is [3], expected numbers [",
    ),
    (lambda o: o["generator"]["state"][0]["exp_avg"].fill_(float("inf")), "NaN or infinite"),
    (lambda o: o["generator"]["state"][0]["exp_avg_sq"].fill_(-1), "negative values"),
    (lambda o: o["generator"]["param_groups"][0].update(lr="x"), "param_groups.lr is 'x'"),
    (lambda o: o["generator"]["param_groups"][0].update(betas=[1]), "param_groups.betas is [1]"),
    (lambda o: o["generator"]["param_groups"][0].update(params=[0]), "expected 4 parameters"),
    (lambda o: o["generator"]["param_groups"].clear(), "one group"),
]


@pytest.mark.parametrize(("spoil", "said"), MOMENTS)
def test_impossible_states_of_optimizers_are_named(
    spoil: Callable[[dict[str, Any]], object], said: str, trained: Path, tmp_path: Path
) -> None:
    path = changed(trained, tmp_path / "a.pt", lambda content: void(spoil(content["optimisers"])))
    load(path)  # enough to draw with
    with pytest.raises(CheckpointError) as caught:
        load_resumable(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def void(_: object) -> None:
    pass


@pytest.mark.parametrize("part", contents.REQUIRED_KEYS)
def test_a_key_that_resuming_needs_is_named(part: str, trained: Path, tmp_path: Path) -> None:
    load_resumable(trained)
    for key in contents.REQUIRED_KEYS[part]:

        def remove(content: dict[str, Any], key: str = key) -> None:
            for name in part.split("."):
                content = content[name]
            del content[key]

        path = changed(trained, tmp_path / "a.pt", remove)
        with pytest.raises(CheckpointError, match=f"{part}.{key} is missing"):
            load_resumable(path)


def test_an_optimizer_of_another_kind_is_named(trained: Path, tmp_path: Path) -> None:
    path = changed(trained, tmp_path / "a.pt", lambda c: c["recipe"].update(optimizer="rmsprop"))
    with pytest.raises(CheckpointError, match=r"state\.0 holds .*; expected square_avg, step"):
        load_resumable(path)


def test_a_run_that_nobody_touched_goes_on(trained: Path) -> None:
    """The campaigns would take a refusal of everything for a success."""
    code, said = checkpoints.train(trained.parents[2], "--resume", "--steps", "7")
    assert code == 0, said


def test_keys_of_later_versions_are_left_alone(trained: Path, tmp_path: Path) -> None:
    def add(content: dict[str, Any]) -> None:
        for part in ("training", "data", "progress"):
            content[part]["something_new"] = {"a": [1]}

    assert load_resumable(changed(trained, tmp_path / "a.pt", add)).data["something_new"]


# Networks that cannot draw


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("network", ["generator", "discriminator", "average"])
def test_weights_that_are_not_finite_are_named(
    network: str, value: float, trained: Path, tmp_path: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        name = next(iter(content[network]))
        content[network][name].view(-1)[0] = value

    path = changed(trained, tmp_path / "a.pt", change)
    name = next(iter(getattr(load(trained), network)))
    with pytest.raises(CheckpointError, match=rf"{network}'s weights: {name} holds 1 of"):
        load(path)


def test_a_negative_variance_is_named(trained: Path, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        name = next(name for name in content["generator"] if name.endswith("running_var"))
        content["generator"][name][0] = -1

    with pytest.raises(CheckpointError, match=r"running_var holds a variance of -1"):
        load(changed(trained, tmp_path / "a.pt", change))


def test_commands_refuse_weights_that_are_nan(
    trained: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def change(content: dict[str, Any]) -> None:
        for tensor in content["generator"].values():
            tensor.fill_(float("nan") if tensor.is_floating_point() else 0)

    path = str(changed(trained, tmp_path / "a.pt", change))
    out = str(tmp_path / "out.png")
    for line in (
        ["sample", path, "-o", out],
        ["interpolate", path, "-o", out],
        ["guided-backprop", path, "-o", out],
        ["nearest-neighbors", path],
        ["probe-svm", path],
        ["concepts", "learn", path, "--data", "digits"],
    ):
        code, _, said = cli_runner.command(line[0], capfdbinary)(*line[1:])
        assert code == 1, (line, said)
        assert "values that are NaN or infinite" in said
    assert not Path(out).exists()


def test_finite_weights_that_draw_nothing_finite_are_refused() -> None:
    config = ModelConfig(size=8, channels=1, z_dim=2, ngf=1, ndf=1, kernel=3)
    whole = cli_runner.untrained(config)
    huge = {
        name: torch.full_like(tensor, 3e38) if tensor.is_floating_point() else tensor
        for name, tensor in whole.generator.items()
    }
    sampler = Sampler.of(Checkpoint(config, huge, whole.discriminator), "running", CPU)
    with pytest.raises(CheckpointError, match="draws values that are NaN or infinite"):
        sampler.images(np.ones((2, 2), np.float32))
    network = whole.build_discriminator()
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="features that are NaN or infinite"):
        features(network, torch.zeros(2, 1, 8, 8))


CPU = torch.device("cpu")


# Images that vanish under a run


@contextmanager
def training(run: Path, source: Path, d_steps: int = 1) -> Generator[Trainer]:
    """A trainer on the cached images of `source`."""
    images = prepare(open_source(str(source)), ImageSpec(16, 1), workers=0)
    batches = Batches(images, size=16, batch_size=4, seed=7, look_ahead=False)
    about: dict[str, dict[str, Any]] = {"training": {}, "data": {}}
    try:
        with RunFolder(run) as folder:
            step = tiny.settings(d_steps=d_steps)
            trainer = Trainer(tiny.MODEL, tiny.RECIPE, step, batches, folder, about)
            if folder.last.exists():
                trainer.restore(load(folder.last))
            yield trainer
    finally:
        batches.close()
        images.close()


def test_a_cache_cut_short_under_a_run_ends_it_with_its_state_saved(
    tmp_path: Path, private_cache: Path
) -> None:
    source = dataset_files.write_zip(
        tmp_path / "x.zip", {f"{n}.png": dataset_files.png(n) for n in range(16)}
    )
    with training(tmp_path / "whole", source) as trainer:
        tiny.train(trainer, 9)
    (shard,) = private_cache.rglob("shard-*.u8")
    with training(tmp_path / "run", source) as trainer:
        tiny.train(trainer, 5)
        (tmp_path / "run" / "last.pt").unlink()
        os.truncate(shard, 100)
        with pytest.raises(SourceError) as caught:
            tiny.train(trainer, 9)
        assert "\n" not in str(caught.value)
        assert f"{shard}: damaged while they were in use" in str(caught.value)
        assert "step 5 is saved, --resume goes on" in str(caught.value)
    with training(tmp_path / "run", source) as trainer:  # which builds the shard anew
        assert trainer.step == 5
        tiny.train(trainer, 9)
    ends = [load(tmp_path / name / "last.pt") for name in ("run", "whole")]
    assert tiny.differences(*ends) == []


def test_within_a_step_nothing_half_made_is_saved(tmp_path: Path, private_cache: Path) -> None:
    source = dataset_files.write_zip(
        tmp_path / "x.zip", {f"{n}.png": dataset_files.png(n) for n in range(16)}
    )
    with training(tmp_path / "run", source, d_steps=2) as trainer:
        tiny.train(trainer, 1)
        before = (tmp_path / "run" / "last.pt").read_bytes()
        get, calls = trainer.batches.get, iter(range(9))

        def fails(*addresses: Any) -> torch.Tensor:
            if next(calls) == 1:
                raise SourceError("the disk is gone")
            return get(*addresses)

        trainer.batches.get = fails  # type: ignore[method-assign]
        with pytest.raises(SourceError, match=r"^the disk is gone$"):
            tiny.train(trainer, 3)
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


def test_a_case_of_a_campaign_is_repeated_by_its_seed(tmp_path: Path) -> None:
    made: list[bytes] = []
    for number in range(2):
        stream = random.Random("pickle 5")
        made.append(checkpoints.bomb(stream, tmp_path / f"{0 * number}"))
    assert made[0] == made[1]


def test_save_and_load_are_still_exact(tmp_path: Path) -> None:
    """Tensors with lengths of one, empty ones, and of every kind that is written."""
    whole = test_checkpoint.make_checkpoint()
    odd = {
        "one": torch.zeros(3, 1, 1, 3).expand(3, 1, 1, 3).transpose(1, 2),
        "none": torch.zeros(0, 3),
        "scalar": torch.tensor(5),
        **{str(kind): torch.ones(3, dtype=kind) for kind in (torch.float64, torch.bfloat16)},
    }
    state = {**whole.optimizers, "extra": odd}
    save(
        tmp_path / "a.pt",
        Checkpoint(whole.model, whole.generator, whole.discriminator, None, state),
    )
    found = load(tmp_path / "a.pt").optimizers["extra"]
    assert all(torch.equal(found[name], odd[name]) for name in odd)
    assert [found[name].dtype for name in odd] == [tensor.dtype for tensor in odd.values()]


def test_rows_in_a_file_that_is_cut_while_they_are_read_are_an_error(tmp_path: Path) -> None:
    rows = dataset_files.pixels(3, 3073)
    rows[:, 0] = [0, 1, 2]
    for number in range(1, 6):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(rows.tobytes())
    source = open_source(str(tmp_path))
    expected = rows[1, 1:].reshape(3, 32, 32).transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(source.read(4)), expected)
    os.truncate(tmp_path / "data_batch_2.bin", 3073 + 5)
    with pytest.raises(ValueError, match="too early"):
        source.read(4)
