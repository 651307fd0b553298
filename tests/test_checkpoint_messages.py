"""Checkpoint files at their limits, and the very lines that they refuse with."""

import errno
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_concepts
import test_foreign
import torch
from cli_runner import untrained
from refusals import refused_as

from dcgan_cli.checkpoint import foreign, untrusted
from dcgan_cli.checkpoint.format import _digest, load, load_resumable, save
from dcgan_cli.errors import CheckpointError
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.pickles import ForbiddenError, PickleError

MODEL, LATER = test_concepts.MODEL, test_concepts.LATER


refusal = refused_as(CheckpointError)


# Checkpoint files


def test_what_is_no_checkpoint_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    assert refusal(lambda: load(path)) == f"{path}: no such checkpoint"
    path.mkdir()
    assert refusal(lambda: load(path)) == f"{path}: a folder; name the .pt file in it"
    path.rmdir()
    path.write_bytes(b"text")
    assert refusal(lambda: load(path)) == f"{path}: truncated, or not a checkpoint at all"
    torch.save([1], path)
    assert refusal(lambda: load(path)) == f"{path}: not a dcgan checkpoint: it holds a list"
    torch.save({"a": 1}, path)
    assert refusal(lambda: load(path)) == (
        f"{path}: a PyTorch file, but not a dcgan checkpoint (no format mark); "
        "checkpoints are written by dcgan train"
    )
    torch.save({"format": "dcgan", "version": 3}, path)
    assert refusal(lambda: load(path)) == (
        f"{path}: checkpoint version 3, this dcgan reads up to 2; upgrade with pip install -U dcgan"
    )
    for version in (1, 2):
        torch.save({"format": "dcgan", "version": version}, path)
        assert refusal(lambda: load(path)) == (
            f"{path}: damaged: its content does not match its own digest"
        )


def test_what_is_missing_in_a_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    for version in (1, 2):
        content: dict[str, Any] = {"format": "dcgan", "version": version}
        torch.save({**content, "digest": _digest(content)}, path)
        assert refusal(lambda: load(path)) == f"{path}: incomplete checkpoint: 'about'"
    save(path, untrained(ModelConfig(size=8, channels=1, z_dim=2, ngf=1, ndf=1, kernel=3)))
    found = load(path)
    assert (found.optimizers, found.average) == ({}, None)
    assert refusal(lambda: load_resumable(path)).startswith(f"{path}: holds no optimizer state")


def test_everything_in_a_checkpoint_comes_back(tmp_path: Path) -> None:
    config = ModelConfig(size=8, channels=1, z_dim=2, ngf=1, ndf=1, kernel=3)
    one = untrained(
        config, recipe={"lr": 0.5}, training={"seed": 3}, data={"limit": 7}, progress={"step": 9}
    )
    one = replace(
        one, average=untrained(config, 2.0).generator, optimizers={"generator": {"a": [1]}}
    )
    save(tmp_path / "a.pt", one)
    found = load(tmp_path / "a.pt")
    assert found.model == config
    assert found.parts == {
        "recipe": {"lr": 0.5}, "training": {"seed": 3}, "data": {"limit": 7}, "progress": {"step": 9},
    }  # fmt: skip
    assert found.optimizers == {"generator": {"a": [1]}}
    assert found.average is not None
    for part in ("generator", "discriminator", "average"):
        ours, theirs = getattr(one, part), getattr(found, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert found.hash == one.hash
    assert len(found.hash) == 12
    average, plain = (found.build_generator(wanted).to_rgb.weight for wanted in (True, False))
    assert torch.equal(average, one.average["to_rgb.weight"])  # type: ignore[index]
    assert torch.equal(plain, one.generator["to_rgb.weight"])
    assert torch.equal(replace(found, average=None).build_generator().to_rgb.weight, plain)


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    whole = untrained(ModelConfig(size=8, channels=1, z_dim=2, ngf=1, ndf=1, kernel=3))
    names = list(whole.generator)
    path = tmp_path / "a.pt"

    def said(part: str, weights: dict[str, Any]) -> str:
        save(path, replace(whole, **{part: weights}))
        return refusal(lambda: load(path))

    without = {name: whole.generator[name] for name in names[1:]}
    for part in ("generator", "average"):
        assert said(part, without) == f"{path}: the {part}'s weights: missing {names[0]}"
    more = {**whole.discriminator, "y" * 70: torch.zeros(1)}
    assert said("discriminator", more) == (
        f"{path}: the discriminator's weights: unexpected {'y' * 60!r}"
    )
    shape = list(whole.generator[names[0]].shape)
    assert said("generator", {**whole.generator, names[0]: torch.zeros(9, 9)}) == (
        f"{path}: the generator's weights: {names[0]} is [9, 9], expected {shape}"
    )
    assert said("generator", dict.fromkeys(names, torch.zeros(1, 1, 1, 1, 1))).endswith(
        f" and {len(names) - 3} more"
    )
    three = {name: whole.generator[name] for name in names[3:]}
    assert said("generator", three).endswith(
        f"missing {names[0]}; missing {names[1]}; missing {names[2]}"
    )


def test_what_untrusted_tensors_may_be() -> None:
    contiguous = untrusted._is_contiguous
    assert contiguous((2, 3), (3, 1))
    assert contiguous((2, 1, 3), (3, 99, 1)), "the stride of a length of 1 says nothing"
    assert contiguous((), ())
    assert contiguous((2, 0, 3), (3, 3, 1))
    assert not contiguous((2, 3), (1, 2))
    assert not contiguous((3,), (2,))
    assert not contiguous((3,), (0,))
    with pytest.raises(ValueError, match=r"shorter|longer"):
        contiguous((3, 2), (1,))
    assert refusal(untrusted._never_called, ForbiddenError) == "it makes numbers of its own"
    assert (
        refusal(lambda: untrusted._empty_dictionary(1), ForbiddenError)
        == "a dictionary made of arguments"
    )
    assert untrusted._empty_dictionary() == {}


def test_tensors_are_held_against_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pt"
    torch.save({"a": torch.arange(6.0), "empty": torch.zeros(0)}, path)
    found = untrusted.read_pt(path)
    assert found["a"].tolist() == [0, 1, 2, 3, 4, 5]
    assert found["empty"].shape == (0,)
    with zipfile.ZipFile(path) as archive:
        reader = untrusted._Reader(path, archive, path.stat().st_size)
        numbers = reader._storage(("storage", Named("FloatStorage"), "0", "cpu", 6))
        for identity in (
            ("storage", Named("OtherStorage"), "0", "cpu", 6),
            ("storage", Named("FloatStorage"), "7", "cpu", 6),
            ("storage", 3, "0", "cpu", 6),
            ("other", Named("FloatStorage"), "0", "cpu", 6),
            "storage",
        ):
            said = refusal(lambda identity=identity: reader._storage(identity), ForbiddenError)
            assert said == "numbers of a kind that is not read"

        def tensor(start: object, shape: object, strides: object, grad: object = False) -> Any:
            return reader._tensor(numbers, start, shape, strides, grad, {})

        assert tensor(1, (2, 2), (2, 1)).tolist() == [[1, 2], [3, 4]]
        assert tensor(2, (4,), (1,)).tolist() == [2, 3, 4, 5]
        larger = "a tensor larger than its numbers"
        for start, shape, strides, kind, words in (
            (3, (4,), (1,), PickleError, larger),
            (-1, (2,), (1,), PickleError, larger),
            (0, ((1 << 40) - 1,), (1,), PickleError, larger),
            (0, (1 << 40,), (1,), PickleError, "a tensor of no possible shape"),
            (0, (-1,), (1,), PickleError, "a tensor of no possible shape"),
            (0, (True,), (1,), PickleError, "a tensor of no possible shape"),
            (0, (2,), (2,), ForbiddenError, "a tensor whose numbers do not follow each other"),
            (0, (1,) * 9, (1,) * 9, ForbiddenError, "more tensors than any network has"),
            ("0", (1,), (1,), ForbiddenError, "a tensor of a kind that is not read"),
        ):
            assert refusal(lambda a=(start, shape, strides): tensor(*a), kind) == words
        assert refusal(lambda: tensor(0, (1,), (1,), True), ForbiddenError) == (
            "a tensor of a kind that is not read"
        )
        assert tensor(0, (1,) * 8, (1,) * 8).shape == (1,) * 8
        monkeypatch.setattr(untrusted, "MAX_TENSORS", reader._tensors + 1)
        tensor(0, (1,), (1,))
        said = refusal(lambda: tensor(0, (1,), (1,)), ForbiddenError)
        assert said == "more tensors than any network has"


def test_files_that_hold_other_things_or_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pt"

    def said(files: Mapping[str, bytes]) -> str:
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return refusal(lambda: untrusted.read_pt(path)).removeprefix(f"{path}: ")

    assert said({"x": b""}) == "not a checkpoint: no data.pkl in it"
    assert said({"a/data.pkl": b"", "b/data.pkl": b""}) == "not a checkpoint: no data.pkl in it"
    assert said({"a/data.pkl": b"N.", "a/byteorder": b"middle"}) == (
        "written on a machine of another byte order; save it on one like this"
    )
    assert said({"a/data.pkl": b"N."}) == "not a dcgan checkpoint: it holds a NoneType"
    assert said({"a/data.pkl": b"N.", "a/byteorder": b"x" * 17}) == (
        "refused: it holds what dcgan does not write"
    )
    for error, words in (
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("odd"), "odd"),
    ):

        def broken(*_: object, error: OSError = error) -> Any:
            raise error

        monkeypatch.setattr(zipfile, "ZipFile", broken)
        assert refusal(lambda: untrusted.read_pt(path)) == f"{path}: cannot be read: {words}"


class Named:
    """What a pickle names: the kind of a storage."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_plain_values_are_no_larger_than_their_file(tmp_path: Path) -> None:
    def check(value: object, size: int) -> None:
        untrusted._check_plain(tmp_path, value, size)

    tensor = torch.zeros(3)
    fits = {1: 1, "abc": 4, "": 1, None: 1, 0.5: 1}
    for value, size in [*fits.items(), ([1, [2]], 7), ({"a": "bc"}, 7), (tensor, 13)]:
        check(value, size)  # type: ignore[arg-type]
        assert refusal(lambda value=value, size=size: check(value, size - 1)) == (
            f"{tmp_path}: refused: it holds what dcgan does not write"
        )
    for value in (b"x", {1}, (1,), [b"x"], {"a": [object()]}):
        assert "does not write" in refusal(lambda value=value: check(value, 999))


def test_reasons_are_one_short_line() -> None:
    assert untrusted.reason(ValueError("first\nsecond")) == "first"
    assert untrusted.reason(ValueError("x" * 200)) == "x" * 120
    assert untrusted.reason(ValueError()) == "ValueError"


# The authors' own files


def test_the_authors_arrays_are_refused_with_what_was_found(tmp_path: Path) -> None:
    folder = test_foreign.write_folder(tmp_path / "theirs")
    path = folder / "200_gen_params.jl"
    file = test_foreign.file_of

    def said(kind: str, number: int, array: np.ndarray[Any, Any] | bytes) -> str:
        place = file(folder, kind, number)
        before = place.read_bytes()
        if isinstance(array, bytes):
            place.write_bytes(array)
        else:
            np.save(place, array)
        found = refusal(lambda: load(path))
        place.write_bytes(before)
        return found.removeprefix(f"{place}: ")

    assert said("gen", 2, np.zeros(128, np.int32)) == (
        "int32 numbers, or some not finite; expected finite float32"
    )
    assert said("gen", 2, np.full(128, np.inf, np.float32)) == (
        "float32 numbers, or some not finite; expected finite float32"
    )
    assert said("gen", 2, b"") == "not an array of numbers: its header is damaged"
    assert said("gen", 1, np.zeros(3, np.float32)) == "shape [3], expected [z, units]"
    for kind, number in (("gen", 10), ("discrim", 1)):
        assert said(kind, number, np.zeros(3, np.float32)) == (
            "shape [3], expected [maps, channels, side, side]"
        )
    assert said("gen", 1, np.zeros((5, 64), np.float32)) == "shape [5, 64], expected [5, 128]"
    file(folder, "gen", 3).unlink()
    assert refusal(lambda: load(path)) == (
        f"{folder}: missing 200_gen_params.jl_03.npy; expected 200_gen_params.jl_01.npy to "
        "200_gen_params.jl_10.npy"
    )
    file(folder, "gen", 4).unlink()
    assert "missing 200_gen_params.jl_03.npy and 1 more; expected" in refusal(lambda: load(path))


def test_the_authors_networks_are_told_by_their_shapes(tmp_path: Path) -> None:
    folder = test_foreign.write_folder(tmp_path / "theirs", epoch=9)
    test_foreign.write_folder(folder, epoch=30, seed=1)
    (folder / "99_gen_params.txt").touch()
    assert foreign.recognize(folder) == folder / "30_gen_params.jl"
    assert foreign.recognize(folder / "30_gen_params.jl_01.npy") is None
    np.save(
        folder / "9_gen_params.jl_01.npy", np.load(folder / "9_gen_params.jl_01.npy").astype("<f8")
    )
    found = foreign.read(folder / "9_gen_params.jl")
    assert found.epoch == 9
    checkpoint = load(folder / "9_gen_params.jl")
    assert (checkpoint.training, checkpoint.progress) == ({"statistics": "none"}, {"epoch": 9})
    assert found.model == ModelConfig(
        size=32, channels=3, z_dim=5, z_dist="normal", ngf=2, ndf=2, kernel=5,
        projection="unit", bn_eps=1e-8,
    )  # fmt: skip
    for network in (found.generator, found.discriminator):
        for name, tensor in network.items():
            assert tensor.is_contiguous()
            if name.endswith("num_batches_tracked"):
                assert int(tensor) == 0
            if name.endswith("running_var"):
                assert (tensor == 1).all()
            if name.endswith("running_mean"):
                assert (tensor == 0).all()
    assert found.generator["to_rgb.weight"].dtype == torch.float32
    for file in (
        *folder.glob("*_gen_params.jl_10.npy"),
        *folder.glob("*_discrim_params.jl_01.npy"),
    ):
        np.save(file, np.load(file)[:, :1])
    assert foreign.read(folder / "9_gen_params.jl").model.channels == 1
