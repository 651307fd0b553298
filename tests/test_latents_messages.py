"""Arrays and latent arguments at their limits, and the very lines that they refuse with."""

import struct
from pathlib import Path

import numpy as np
import pytest
import test_concepts
from PIL import Image, PngImagePlugin
from refusals import refused_as

from dcgan_cli.checkpoint import concepts as c
from dcgan_cli.checkpoint import latent_arguments, npy
from dcgan_cli.errors import CheckpointError, DcganError, UsageError
from dcgan_cli.report import RECORD

MODEL, LATER = test_concepts.MODEL, test_concepts.LATER


refusal = refused_as(CheckpointError)


# Arrays


def test_arrays_are_read_in_either_order_and_by_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.arange(12, dtype="<f4").reshape(4, 3)
    for name, array in (
        ("c", values),
        ("f", np.asfortranarray(values)),
        ("i", values.astype("<i2")),
    ):
        np.save(tmp_path / f"{name}.npy", array)
        file = npy.open_npy(tmp_path / f"{name}.npy")
        assert file.column_major is (name == "f")
        assert (file.shape, file.dtype, file.path) == (
            (4, 3),
            array.dtype,
            tmp_path / f"{name}.npy",
        )
        for found, expected in ((file.read(), array), (file.rows([2, 0, 2]), array[[2, 0, 2]])):
            assert found.tolist() == expected.tolist()
            assert found.dtype == array.dtype
    file = npy.open_npy(tmp_path / "c.npy")
    monkeypatch.setattr(npy, "MAX_READ_BYTES", 24)
    assert file.rows([0, 1]).shape == (2, 3)
    said = "36 bytes are more than is read at once"
    assert refusal(lambda: file.rows([0, 1, 2]), ValueError) == said
    assert refusal(file.read, ValueError) == "48 bytes are more than is read at once"
    monkeypatch.setattr(npy, "MAX_READ_BYTES", 48)
    assert file.read().shape == (4, 3)


def header(text: str, size: int = 0) -> bytes:
    """A .npy file of any header."""
    return (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + f"{text}\n".encode() + bytes(size)
    )


def test_arrays_that_promise_what_they_do_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"

    def said(text: str, size: int = 0) -> str:
        path.write_bytes(header("{" + text + "}", size))
        return refusal(lambda: npy.open_npy(path), ValueError)

    order = "'fortran_order': False"
    assert said(f"'descr': '<f4', {order}, 'shape': (300, 5)", 7) == (
        "its header promises 6,000 bytes, the file holds 7"
    )
    assert said(f"'descr': '<f4', {order}, 'shape': (1, 5)", 19).startswith(
        "its header promises 20"
    )
    assert (
        said(f"'descr': '<c8', {order}, 'shape': (0,)") == "complex64 numbers; expected real ones"
    )
    assert said(f"'descr': '|b1', {order}, 'shape': (0,)") == "bool numbers; expected real ones"
    assert said(f"'descr': '<f4', {order}, 'shape': (-1, 5)") == "its shape is (-1, 5)"
    assert said(f"'descr': '<f4', {order}, 'shape': (True, 5)") == "its shape is (True, 5)"
    long = f"(-1, {', '.join(['1'] * 25)})"
    assert said(f"'descr': '<f4', {order}, 'shape': {long}") == f"its shape is {long[:60]}"
    assert said("'descr': '<f4'") == "its header is damaged"
    path.write_bytes(header(f"{{'descr': '<f4', {order}, 'shape': (0, 5)}}"))
    assert npy.open_npy(path).read().shape == (0, 5)
    np.save(path, np.zeros((2, 3), np.float32))
    file = npy.open_npy(path)
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal(file.read, ValueError) == "the file ends 1 bytes too early"


# Latent arguments


def test_latent_arguments_are_refused_with_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, grid = tmp_path / "z.npy", tmp_path / "s.png"

    def said(argument: str, kind: type[DcganError] = UsageError) -> str:
        return refusal(lambda: latent_arguments.read_latents(argument, MODEL), kind)

    assert said("gone.png") == (
        "gone.png: no such file; expected an image grid (samples.png#3,17), z.npy#0,4 or a concept's name"
    )
    np.save(path, np.zeros((3, 5), np.float32))
    for picks, word in (
        ("x", "'x'"),
        ("2-1", "'2-1'"),
        ("0,", "''"),
        ("1-", "'1-'"),
        ("-1", "'-1'"),
    ):
        assert said(f"{path}#{picks}") == (
            f"{path}#{picks}: {word} is no tile number; expected #3,17 or #2-5"
        )
    assert said(f"{path}#3") == f"{path}#3: no tile 3; there are 3, counted from 0"
    assert said(f"{path}#1-3") == f"{path}#1-3: no tile 3; there are 3, counted from 0"
    monkeypatch.setattr(latent_arguments, "MAX_POINTS", 2)
    assert said(str(path)) == (
        f"{path}: holds 3 points, more than 2; name those that are meant: {path}#0-1"
    )
    assert latent_arguments.read_latents(f"{path}#2,1", MODEL).latents.shape == (2, 5)
    for picks in ("0-2", "0,1,2", "0-1,2", "1,1,1"):
        assert said(f"{path}#{picks}") == f"{path}#{picks}: names more than 2 points; name fewer"
    np.save(path, np.zeros((0, 5), np.float32))
    assert said(str(path)) == f"{path}: holds no points"
    np.save(path, np.zeros((1, 1, 5), np.float32))
    assert said(str(path)) == f"{path}: float32 [1, 1, 5]; expected numbers [N, z_dim]"
    np.save(path, np.full((1, 5), 1e300))
    assert said(str(path)) == (
        f"{path}: not all of these are latent vectors (a tile may show an image that was not drawn "
        "from one); name those that are: #3,17"
    )
    np.save(path, np.zeros((1, 6), np.float32))
    assert said(str(path), CheckpointError) == (
        f"{path}: points of 6 numbers, this model's z has 5; they belong to another model"
    )
    path.write_bytes(b"")
    assert said(str(path)) == f"{path}: not an array of numbers (.npy): its header is damaged"
    Image.new("L", (4, 4)).save(grid)
    assert said(str(grid)) == (
        f"{grid}: carries no latents; only image grids drawn by dcgan do (not re-saved elsewhere)"
    )
    info = PngImagePlugin.PngInfo()
    info.add_text(f"{RECORD}.0", "{")
    Image.new("L", (4, 4)).save(grid, pnginfo=info)
    assert said(str(grid)).startswith(f"{grid}: ")


def test_latents_of_one_point_and_their_file(tmp_path: Path) -> None:
    path = tmp_path / "z.npy"
    point = np.array([1, 2, 3, 4, 5], np.float32)
    np.save(path, point)
    named = latent_arguments.read_latents(f"{path}#0", MODEL)
    assert named.latents.tolist() == [[1, 2, 3, 4, 5]]
    assert (named.name, named.checkpoint, named.concept, named.drawn) == (
        f"{path}#0",
        None,
        None,
        None,
    )
    path.write_bytes(latent_arguments.to_npy(np.stack([point, 3 * point])))
    named = latent_arguments.read_latents(str(path), MODEL)
    assert named.mean.tolist() == [[2, 4, 6, 8, 10]]
    assert named.mean.dtype == np.float32
    named = latent_arguments.read_latents(f"{path}#1,0-1", MODEL)
    assert named.latents[:, 0].tolist() == [3, 1, 3]


def test_concepts_are_latent_arguments(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    known = test_concepts.known("smile")
    c.write_concepts(path, MODEL, known)
    named = latent_arguments.read_latents("smile#2,0", MODEL, path)
    assert named.latents.tolist() == known["smile"].exemplars[[2, 0]].tolist()
    assert (named.name, named.checkpoint) == ("smile#2,0", MODEL.hash)
    assert named.concept is not None
    assert named.concept.name == "smile"

    def said(argument: str) -> str:
        return refusal(lambda: latent_arguments.read_latents(argument, MODEL, path), UsageError)

    assert said("smile#3") == "smile#3: no tile 3; there are 3, counted from 0"
    assert said("smiles") == f"smiles: no such concept of {path}; near: smile"


def test_grids_are_read_piece_by_piece(tmp_path: Path) -> None:
    from test_latents import write_grid

    path = tmp_path / "s.png"
    write_grid(path, MODEL, np.arange(10, dtype=np.float32).reshape(2, 5))
    named = latent_arguments.read_latents(f"{path}#1", MODEL)
    assert named.latents.tolist() == [[5, 6, 7, 8, 9]]
    assert (named.name, named.checkpoint) == (f"{path}#1", MODEL.hash)
    assert refusal(lambda: latent_arguments.read_latents(str(path), LATER)) == (
        f"{path}: drawn by model {MODEL.hash}, this is {LATER.hash}; name the checkpoint that drew "
        "it, or pass the numbers as .npy"
    )
