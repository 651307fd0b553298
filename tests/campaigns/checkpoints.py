"""Damaged and hostile checkpoints: their bytes, their pickle, their values, and the run they hold."""

import contextlib
import io
import json
import os
import pickle
import random
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any

import test_checkpoint
import torch
from PIL import Image

from campaigns.mutating import WIDE, mutate, spoil
from campaigns.running import READ, REFUSED, Kind, Unclean
from dcgan_cli.checkpoint import format as checkpoint_format
from dcgan_cli.checkpoint.format import load, save
from dcgan_cli.cli.app import app
from dcgan_cli.cli.boundary import run_guarded


def prepare(base: Path) -> None:
    save(base / "last.pt", test_checkpoint.make_checkpoint())


def _same_or_unclean(path: Path, base: Path) -> str:
    """What is loaded in spite of damage must be what was saved."""
    loaded = load(path)
    if not test_checkpoint.same_content(loaded, load(base / "last.pt")):
        raise Unclean("altered content was accepted")
    return READ


def damaged_file(stream: random.Random, base: Path, place: Path) -> str:
    """Bytes of the file."""
    path = place / "last.pt"
    path.write_bytes(mutate((base / "last.pt").read_bytes(), stream))
    return _same_or_unclean(path, base)


def damaged_pickle(stream: random.Random, base: Path, place: Path) -> str:
    """Its pickle, in an archive whose checksums are right; or one that was made to harm."""
    with zipfile.ZipFile(base / "last.pt") as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = next(name for name in entries if name.endswith("data.pkl"))
    marker = place / "it-ran"
    hostile = stream.random() < 0.5
    entries[name] = bomb(stream, marker) if hostile else mutate(entries[name], stream, 2)
    path = place / "bad.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in entries.items():
            archive.writestr(entry, data)
    try:
        return _same_or_unclean(path, base)
    finally:
        if marker.exists():
            raise Unclean("code in the file was run")


def bomb(stream: random.Random, marker: Path) -> bytes:
    """A pickle that would run code, or ask for memory or time."""
    kind = stream.randrange(9)
    size = stream.choice(WIDE)
    if kind == 0:
        return pickle.dumps(test_checkpoint.Bomb(marker), stream.randrange(6))
    if kind == 1:  # bytearray(n)
        return b"\x80\x02cbuiltins\nbytearray\n" + _long(size) + b"\x85R."
    if kind == 2:  # a place in the memo
        return b"\x80\x02}r" + struct.pack("<I", size & 0xFFFFFFFF) + b"."
    if kind == 3:  # lengths that are not there
        code = stream.choice((b"\x8e", b"\x8d", b"\x96"))
        return b"\x80\x05" + code + struct.pack("<Q", size & (1 << 64) - 1) + b"."
    if kind == 4:  # tuples of tuples, hashed
        return b"\x80\x02}(K\x01" + b"q\x00h\x00\x86" * 60 + b"K\x01u."
    if kind == 5:
        return b"\x80\x02" + b"(" * stream.randrange(100_000) + b"."
    if kind == 6:
        return b"\x80\x02" + b"]" + b"]a" * stream.randrange(1000) + b"0" * 3 + b"."
    if kind == 7:  # a tensor of a size that its storage has not
        return _tensor(size & (1 << 62) - 1, stream.choice((0, 1, -5, size)))
    return b"I" + b"9" * stream.choice((10, 5000, 200_000)) + b"\n."


def _long(value: int) -> bytes:
    data = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def _tensor(length: int, start: int) -> bytes:
    return (
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage"
        b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + _long(length) + b"tQ"
        + _long(start & (1 << 62) - 1) + _long(length) + b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


# Values that match their digest


def prepare_run(base: Path) -> None:
    """A run of a few steps on twelve images."""
    stream = random.Random(0)
    (base / "photos").mkdir()
    for number in range(12):
        pixels = stream.randbytes(16 * 16)
        Image.frombytes("L", (16, 16), pixels).save(base / "photos" / f"{number}.png")
    code, text = train(base, "photos", "--steps", "7")
    assert code == 0, text
    again = base / "again"
    shutil.copytree(base / "runs", again / "runs")
    shutil.copytree(base / "photos", again / "photos")
    code, text = train(again, "--resume", "--steps", "8")
    assert code == 0, text  # or every case would be refused for the same reason
    shutil.rmtree(again)


def train(folder: Path, *arguments: str) -> tuple[int, str]:
    """`dcgan train` with tiny networks, in this process; its code and what it said."""
    os.environ["DCGAN_CACHE"] = str(folder / "cache")
    line = [
        "train",
        *arguments,
        "--out",
        str(folder / "runs"),
        "--run",
        "r",
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    if "--resume" not in arguments:
        line += [
            "--size",
            "8",
            "--ngf",
            "1",
            "--ndf",
            "1",
            "--batch-size",
            "4",
            "--z-dim",
            "2",
            "--ema",
            "0.9",
        ]
    return typed(folder, line)


def typed(folder: Path, line: list[str]) -> tuple[int, str]:
    """A command in this process and in `folder`: its exit code and its two streams."""
    before = Path.cwd()
    out = io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = run_guarded(lambda: app(line, standalone_mode=False))
    finally:
        os.chdir(before)
    return code, out.getvalue()


def classifier(code: int, text: str) -> str:
    """READ or REFUSED; Unclean for anything but success or one line of ours."""
    errors = [line for line in text.splitlines() if line.startswith("dcgan: ")]
    if "internal error" in text or "Traceback" in text or "not enough memory" in text:
        raise Unclean(" ".join(errors) or text[-300:])
    if code == 0:
        return READ
    if code not in (1, 2) or len(errors) != 1:
        raise Unclean(f"exit code {code} with {len(errors)} lines: {text[-300:]}")
    return REFUSED


def impossible_run(stream: random.Random, base: Path, place: Path) -> str:
    """A value of the run, or of its optimizers, under --resume."""
    shutil.copytree(base, place, dirs_exist_ok=True)
    path = place / "runs" / "r" / "last.pt"
    content = torch.load(path, weights_only=True)
    about = json.loads(content["about"])
    for _ in range(stream.randint(1, 2)):
        parts = [about["recipe"], about["progress"], about["data"], about["training"]]
        spoil(stream.choice([*parts, about["progress"]["health"], content["optimisers"]]), stream)
    content["about"] = json.dumps(about)
    del content["digest"]
    with contextlib.suppress(ValueError):  # numbers that no digest can print
        content["digest"] = checkpoint_format._digest(content)
    torch.save(content, path)
    return classifier(*train(place, "--resume", "--steps", "8"))


def broken_weights(stream: random.Random, base: Path, place: Path) -> str:
    """Weights that are not finite, negative variances: nothing is drawn, nothing goes on."""
    shutil.copytree(base, place, dirs_exist_ok=True)
    path = place / "runs" / "r" / "last.pt"
    content = torch.load(path, weights_only=True)
    weights = content[stream.choice(("generator", "discriminator", "average"))]
    name = stream.choice([name for name, tensor in weights.items() if tensor.is_floating_point()])
    flat = weights[name].view(-1)
    if name.endswith("running_var") and stream.random() < 0.5:
        flat[:] = -1.0
    else:
        some = slice(None) if stream.random() < 0.3 else stream.randrange(len(flat))
        flat[some] = stream.choice((float("nan"), float("inf"), -float("inf")))
    del content["digest"]
    content["digest"] = checkpoint_format._digest(content)
    torch.save(content, path)
    if stream.random() < 0.5:
        code, text = train(place, "--resume", "--steps", "8")
    else:
        code, text = typed(
            place, ["sample", str(path), "-n", "2", "--seed", "1", "-o", "s.png", "--device", "cpu"]
        )
    verdict = classifier(code, text)
    if verdict == READ:
        raise Unclean(f"{name} was not finite, and was used")
    return verdict


def damaged_metrics(stream: random.Random, base: Path, place: Path) -> str:
    """metrics.jsonl under --resume: the run goes on, and whole lines are kept."""
    shutil.copytree(base, place, dirs_exist_ok=True)
    path = place / "runs" / "r" / "metrics.jsonl"
    path.write_bytes(mutate(path.read_bytes(), stream, most=2))
    return classifier(*train(place, "--resume", "--steps", "8"))


COSTLY: dict[str, Any] = {"seconds": 30.0, "share": 5}
"""Cases that train and draw."""

KINDS = (
    Kind("checkpoint", "bytes of a checkpoint", prepare, damaged_file),
    Kind("pickle", "the pickle in a checkpoint, checksums right", prepare, damaged_pickle),
    Kind("resume", "values of a run, digest right", prepare_run, impossible_run, **COSTLY),
    Kind("weights", "weights that are not finite", prepare_run, broken_weights, **COSTLY),
    Kind("metrics", "metrics.jsonl of a run", prepare_run, damaged_metrics, 30.0, share=10),
)
