"""The checkpoint file: exact round trips, and attacks on it that all end in one line."""

import io
import json
import os
import pickle
import time
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dcgan_cli.checkpoint import find
from dcgan_cli.checkpoint import format as checkpoint_format
from dcgan_cli.checkpoint.find import find_checkpoint, known_checkpoints
from dcgan_cli.checkpoint.format import Checkpoint, load, save
from dcgan_cli.errors import CheckpointError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.layers import initialize

MODEL = ModelConfig(size=8, channels=1, z_dim=2, ngf=1, ndf=2, kernel=3)

ATTACK = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def make_checkpoint(seed: int = 0, average: bool = True) -> Checkpoint:
    """A tiny model after one update by Adam, with all that training writes beside it."""
    stream = torch.Generator().manual_seed(seed)
    generator, discriminator = Generator(MODEL), Discriminator(MODEL)
    optimizers: dict[str, Any] = {}
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        initialize(network, stream)
        adam = torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for weight in network.parameters():
            weight.grad = torch.randn(weight.shape, generator=stream)
        adam.step()
        optimizers[name] = adam.state_dict()
    return Checkpoint(
        MODEL,
        generator.state_dict(),
        discriminator.state_dict(),
        {name: value + 1 for name, value in generator.state_dict().items()} if average else None,
        optimizers,
        recipe={"lr": 2e-4, "flip": True},
        training={"loss": "hinge"},
        data={"location": "Bilder/Gesichter ä", "limit": None},
        progress={"step": 10**12, "health": {"worst": [1.5, None]}},
    )


def equal(one: Any, other: Any) -> bool:
    """Same nesting, same values, same bits; a tuple may come back as a list."""
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and one == other


def same_content(one: Checkpoint, other: Checkpoint) -> bool:
    return one.model == other.model and all(
        equal(getattr(one, part), getattr(other, part)) for part in vars(one) if part != "model"
    )


def refused(path: Path) -> str:
    """The one line that loading `path` ends in; it must say the file and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CheckpointError) as caught:
            load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert len(message) < len(str(path)) + 300
    return message.removeprefix(f"{path}: ")


def content_of(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def write_content(path: Path, content: dict[str, Any], sealed: bool = True) -> None:
    """Write `content`, with a digest that matches it as an attacker can make one."""
    content = {key: value for key, value in content.items() if key != "digest"}
    if sealed:
        content["digest"] = checkpoint_format._digest(content)
    torch.save(content, path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good checkpoint."""
    path = tmp_path / "last.pt"
    save(path, make_checkpoint())
    return path


# Round trip


@pytest.mark.parametrize("average", [True, False])
def test_round_trip_is_exact(average: bool, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(average=average)
    save(tmp_path / "a.pt", checkpoint)
    loaded = load(tmp_path / "a.pt")
    assert same_content(loaded, checkpoint)
    assert loaded.hash == checkpoint.hash
    save(tmp_path / "b.pt", loaded)
    assert same_content(load(tmp_path / "b.pt"), checkpoint)


def test_adam_goes_on_from_a_loaded_state(path: Path) -> None:
    network = Generator(MODEL)
    adam = torch.optim.Adam(network.parameters())
    adam.load_state_dict(dict(load(path).optimizers["generator"]))
    assert adam.param_groups[0]["lr"] == 2e-4
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    adam.step()
    assert adam.state[network.to_rgb.weight]["step"] == 2


def test_networks_are_rebuilt_from_the_file_alone(path: Path) -> None:
    checkpoint, loaded = make_checkpoint(), load(path)
    assert equal(dict(loaded.build_generator().state_dict()), dict(checkpoint.average or {}))
    assert equal(
        dict(loaded.build_generator(average=False).state_dict()), dict(checkpoint.generator)
    )
    assert equal(dict(loaded.build_discriminator().state_dict()), dict(checkpoint.discriminator))
    trained = loaded.build_generator()
    assert all(weight.requires_grad for weight in trained.parameters())
    with torch.no_grad():
        for weight in trained.parameters():
            weight.zero_()
    assert same_content(loaded, checkpoint), "the network must not share memory with its file"


def test_without_an_average_the_generator_is_built(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(average=False)
    built = checkpoint.build_generator(average=True)
    assert equal(dict(built.state_dict()), dict(checkpoint.generator))


def test_building_draws_nothing_from_the_global_generator(path: Path) -> None:
    before = torch.get_rng_state()
    load(path).build_generator()
    load(path).build_discriminator()
    assert torch.equal(before, torch.get_rng_state())


def test_views_and_autograd_are_saved_by_value(tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    name, weight = "project.linear.weight", checkpoint.generator["project.linear.weight"]
    transposed = weight.t().contiguous().t().requires_grad_()
    save(
        tmp_path / "a.pt", replace(checkpoint, generator={**checkpoint.generator, name: transposed})
    )
    assert same_content(load(tmp_path / "a.pt"), checkpoint)


# Hash


def test_hash_changes_with_any_weight() -> None:
    checkpoint = make_checkpoint()
    hashes = {checkpoint.hash}
    weights = 0
    for part in ("generator", "discriminator", "average"):
        for name, value in getattr(checkpoint, part).items():
            for index in range(value.numel()):
                changed = value.clone()
                changed.view(-1)[index] += 1
                network = {**getattr(checkpoint, part), name: changed}
                hashes.add(replace(checkpoint, **{part: network}).hash)
                weights += 1
    assert weights > 100
    assert len(hashes) == weights + 1
    assert all(len(value) == 12 and int(value, 16) >= 0 for value in hashes)


def test_hash_tells_the_networks_apart_and_minus_zero_from_zero() -> None:
    checkpoint = make_checkpoint()
    zero = {**checkpoint.generator, "to_rgb.weight": torch.zeros(1, 1, 3, 3)}
    minus = {**checkpoint.generator, "to_rgb.weight": -torch.zeros(1, 1, 3, 3)}
    hashes = {
        checkpoint.hash,
        replace(checkpoint, average=None).hash,
        replace(checkpoint, average=checkpoint.generator).hash,
        replace(checkpoint, model=replace(MODEL, bn_eps=1e-5)).hash,
        replace(checkpoint, generator=zero).hash,
        replace(checkpoint, generator=minus).hash,
    }
    assert len(hashes) == 6


def test_hash_is_of_the_model_alone() -> None:
    checkpoint = make_checkpoint()
    backwards = dict(reversed(list(checkpoint.generator.items())))
    same = replace(checkpoint, generator=backwards, optimizers={}, progress={}, recipe={}, data={})
    assert same.hash == checkpoint.hash


# Damage


def test_truncated_anywhere(path: Path) -> None:
    whole = path.read_bytes()
    lengths = {*range(0, len(whole), 97), *range(40), *range(len(whole) - 200, len(whole))}
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        refused(path)


@ATTACK
@given(data=st.data())
def test_flipped_bytes_are_refused_or_harmless(path: Path, data: st.DataObject) -> None:
    whole = bytearray(path.read_bytes())
    places = data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4))
    broken = bytearray(whole)
    for place in places:
        broken[place] ^= data.draw(st.integers(1, 255))
    victim = path.with_name("broken.pt")
    victim.write_bytes(broken)
    try:
        loaded = load(victim)
    except CheckpointError:
        refused(victim)
    else:
        assert same_content(loaded, make_checkpoint())


def test_every_bit_of_every_number_is_guarded(path: Path) -> None:
    """A flip inside a tensor's bytes never goes unseen."""
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        record = next(entry for entry in archive.infolist() if entry.filename.endswith("data/0"))
        stored = whole.index(archive.read(record))
    for place in range(stored, stored + record.file_size):
        for bit in (0, 7):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            path.write_bytes(broken)
            assert "checksum" in refused(path)


def test_a_changed_weight_with_a_right_checksum_is_seen(path: Path) -> None:
    content = content_of(path)
    content["generator"]["to_rgb.weight"][0, 0, 0, 0] += 1
    torch.save(content, path)
    assert "does not match its own digest" in refused(path)


@pytest.mark.parametrize("size", [0, 1, 22, 1000])
def test_noise_is_refused(size: int, tmp_path: Path) -> None:
    path = tmp_path / "noise.pt"
    path.write_bytes(torch.randint(0, 256, (size,), dtype=torch.uint8).numpy().tobytes())
    assert "not a checkpoint" in refused(path)


def test_missing_and_folder(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.pt") == "no such checkpoint"
    assert "a folder" in refused(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_right_to_read(path: Path) -> None:
    path.chmod(0)
    assert "Permission denied" in refused(path)


# Hostility


class Bomb:
    """Pickles as a call that makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("place", ["root", "weights", "about", "key"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_never_runs(place: str, zipped: bool, path: Path) -> None:
    marker = path.with_name("it-ran")
    content: Any = content_of(path)
    bomb = Bomb(marker)
    if place == "root":
        content = bomb
    elif place == "weights":
        content["generator"]["to_rgb.weight"] = bomb
    elif place == "about":
        content["about"] = bomb
    else:
        content[bomb] = 1
    if zipped:
        torch.save(content, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=False)
    refused(path)
    assert not marker.exists()


def test_raw_pickle_never_runs(tmp_path: Path) -> None:
    marker, path = tmp_path / "it-ran", tmp_path / "a.pt"
    path.write_bytes(pickle.dumps(Bomb(marker)))
    refused(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the bomb is no bomb"


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(Generator(MODEL), tmp_path / "a.pt")
    assert "could run code" in refused(tmp_path / "a.pt")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(tmp_path / "a.pt"))
    refused(tmp_path / "a.pt")


def test_compressed_bomb_is_not_unpacked(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, bytes(50_000_000) if name.endswith("data/0") else data)
    start = time.process_time()
    assert "compressed to unpack to" in refused(path)
    assert time.process_time() - start < 0.5


def laughs(depth: int) -> list[Any]:
    inner: list[Any] = [1]
    for _ in range(depth):
        inner = [inner] * 10
    return inner


def self_containing() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(lambda: torch.zeros(1).expand(10**14), id="one number as terabytes"),
        pytest.param(lambda: [torch.zeros(10_000)] * 5_000, id="one tensor many times"),
        pytest.param(lambda: ["x" * 10_000] * 5_000, id="one text many times"),
        pytest.param(lambda: laughs(12), id="a billion laughs"),
        pytest.param(self_containing, id="a list in itself"),
        pytest.param(lambda: nested(400), id="a deep list"),
        pytest.param(lambda: torch.zeros(3, device="meta"), id="meta tensor"),
        pytest.param(lambda: torch.eye(3).to_sparse(), id="sparse tensor"),
        pytest.param(lambda: torch.zeros(2, dtype=torch.complex64).conj(), id="conjugate view"),
        pytest.param(lambda: {1, 2}, id="set"),
        pytest.param(lambda: 10**5000, id="an int too long to print"),
        pytest.param(lambda: torch.nn.Parameter(torch.zeros(1)), id="parameter"),
    ],
)
@pytest.mark.parametrize("key", ["generator", "version", "about", "extra"])
def test_what_save_never_writes(key: str, hostile: Callable[[], Any], path: Path) -> None:
    content = {**content_of(path), key: hostile()}
    torch.save(content, path)
    start = time.process_time()
    refused(path)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"format": "pkg"}, "not a dcgan checkpoint"),
        ({"format": torch.zeros(3)}, "not a dcgan checkpoint"),
        ({"version": 3}, "checkpoint version 3, this dcgan reads up to 2; upgrade"),
        ({"version": "1"}, "not a dcgan checkpoint"),
        ({"about": "{"}, "incomplete checkpoint"),
        ({"about": "[" * 100_000}, "incomplete checkpoint"),
        ({"about": "[]"}, "incomplete checkpoint"),
        ({"about": "{}"}, "incomplete checkpoint: 'model'"),
        ({"about": 5}, "incomplete checkpoint"),
        ({"generator": 5}, "incomplete checkpoint"),
        ({"generator": {}}, "the generator's weights: missing project.linear.weight"),
        ({"discriminator": {}}, "the discriminator's weights: missing layers.0.0.weight"),
        ({"average": {}}, "the average's weights: missing project.linear.weight"),
        (
            {"generator": {**make_checkpoint().generator, "a\nb": torch.zeros(1)}},
            "the generator's weights: unexpected 'a\\nb'",
        ),
        ({"generator": dict.fromkeys(make_checkpoint().generator, 5)}, "incomplete checkpoint"),
    ],
)
def test_wrong_content_is_one_line(change: dict[str, Any], expected: str, path: Path) -> None:
    write_content(path, {**content_of(path), **change})
    assert refused(path).startswith(expected) or expected in refused(path)


@pytest.mark.parametrize("key", ["format", "version", "about", "generator", "discriminator"])
def test_every_missing_key_is_seen(key: str, path: Path) -> None:
    content = content_of(path)
    del content[key]
    write_content(path, content)
    refused(path)


def test_missing_digest_is_seen(path: Path) -> None:
    write_content(path, content_of(path), sealed=False)
    assert "digest" in refused(path)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 9},
        {"size": 1e999},
        {"size": 64.0},
        {"size": 10**4000},
        {"size": "8"},
        {"channels": 2},
        {"z_dim": 10**12},
        {"z_dim": 10**30},
        {"ngf": 10**9},
        {"ngf": None},
        {"colour": 3},
        {"bn_eps": "x"},
    ],
)
def test_impossible_networks_are_refused_before_they_are_built(
    change: dict[str, Any], path: Path
) -> None:
    content = content_of(path)
    about = json.loads(content["about"])
    about["model"].update(change)
    write_content(path, {**content, "about": json.dumps(about)})
    start = time.process_time()
    refused(path)
    assert time.process_time() - start < 2


def test_parts_that_are_no_mappings_are_refused(path: Path) -> None:
    content = content_of(path)
    for part in ("recipe", "training", "data", "progress"):
        about = json.loads(content["about"])
        about[part] = 5
        write_content(path, {**content, "about": json.dumps(about)})
        refused(path)
        del about[part]
        write_content(path, {**content, "about": json.dumps(about)})
        assert refused(path) == f"incomplete checkpoint: '{part}'"


def test_weights_of_another_network_are_listed() -> None:
    checkpoint = make_checkpoint()
    weights = dict(checkpoint.generator)
    del weights["to_rgb.weight"]
    weights["to_rgb.bias"] = torch.zeros(1)
    weights["project.linear.weight"] = torch.zeros(3, 3)
    with pytest.raises(CheckpointError) as caught:
        replace(checkpoint, generator=weights, average=None).build_generator()
    assert str(caught.value) == (
        "the generator's weights: missing to_rgb.weight; unexpected 'to_rgb.bias'; "
        "project.linear.weight is [3, 3], expected [16, 2]"
    )
    with pytest.raises(CheckpointError, match=r"^the generator's weights: m.*; .*; .* and 4 more$"):
        replace(checkpoint, average={}).build_generator()
    with pytest.raises(CheckpointError, match=r"^the discriminator's weights: missing"):
        replace(checkpoint, discriminator={}).build_discriminator()


def test_a_plain_file_of_tensors_is_no_checkpoint(tmp_path: Path) -> None:
    for content in ({"a": torch.zeros(1)}, [1], torch.zeros(1), "text"):
        torch.save(content, tmp_path / "a.pt")
        assert "not a dcgan checkpoint" in refused(tmp_path / "a.pt")


def test_a_zip_of_other_things_is_no_checkpoint(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    (tmp_path / "a.pt").write_bytes(buffer.getvalue())
    refused(tmp_path / "a.pt")


# Finding


def touch(path: Path, age: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    moment = 1_700_000_000 - age
    os.utime(path, (moment, moment))
    return path


def test_find_by_path_run_and_bundled_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "checkpoints"
    faces, digits = touch(root / "faces" / "last.pt"), touch(root / "digits.pt")
    assert find_checkpoint("faces", root) == faces
    assert find_checkpoint("digits", root) == digits
    assert find_checkpoint(str(digits), root) == digits
    assert find_checkpoint(str(faces.parent), root) == faces
    assert find_checkpoint("faces") == Path("checkpoints/faces/last.pt")
    touch(tmp_path / "faces" / "last.pt")
    assert find_checkpoint("faces", root) == Path("faces/last.pt"), "a path comes first"


def test_find_the_newest(tmp_path: Path) -> None:
    touch(tmp_path / "old" / "last.pt", age=100)
    new = touch(tmp_path / "new" / "last.pt", age=10)
    touch(tmp_path / "new" / "epoch-0001.pt", age=0)
    touch(tmp_path / "bundled.pt", age=1000)
    (tmp_path / "gone.pt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.pt").mkdir()
    assert find_checkpoint(None, tmp_path) == new


@pytest.fixture
def nothing_bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "bundled", lambda name: None)  # pyright: ignore[reportUnknownLambdaType]


@pytest.mark.usefixtures("nothing_bundled")
def test_nothing_to_find(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint given and none in .*dcgan train"):
        find_checkpoint(None, tmp_path / "none")
    with pytest.raises(CheckpointError, match="holds no runs"):
        find_checkpoint("faces", tmp_path)


@pytest.mark.usefixtures("nothing_bundled")
def test_near_names_are_offered(tmp_path: Path) -> None:
    for name in ("faces", "rooms", "digits"):
        touch(tmp_path / name / "last.pt")
    with pytest.raises(CheckpointError, match=r"face: neither .*: faces$"):
        find_checkpoint("face", tmp_path)
    with pytest.raises(CheckpointError, match=r": digits, faces, rooms$"):
        find_checkpoint("xyz", tmp_path)


def test_a_loose_file_is_known_beside_runs(tmp_path: Path) -> None:
    loose, run = tmp_path / "loose.pt", tmp_path / "faces" / "last.pt"
    run.parent.mkdir()
    for path in (loose, run):
        path.touch()
    (tmp_path / "notes.txt").touch()
    known = [path for path in known_checkpoints(tmp_path) if path.is_relative_to(tmp_path)]
    assert sorted(known) == sorted([loose, run])
