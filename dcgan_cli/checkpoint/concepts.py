"""Concepts: named latent vectors of a model, in a readable file beside it (paper §6.3.2).

`checkpoints/faces/last.pt` has `checkpoints/faces/last.concepts.json`:

    {"format": "dcgan concepts", "version": 1, "checkpoint": HASH, "z_dim": 100,
     "concepts": {NAME: {"made": TEXT, "meaning": {ATTRIBUTE: CLASS}, "exemplars": [[…], …]}}}

A latent vector has a meaning only with one set of weights, so a file belongs to a model by the hash
in it, not by its name: any `*.concepts.json` in the folder that contains the hash of a checkpoint
belongs to that checkpoint. Bundled files and read-only folders are never changed: concepts that a
user adds to such a model are stored in the user's own folder, `<data>/concepts/HASH.concepts.json`,
which has precedence over the file beside the model and lists removed concepts under "hidden". If
`last.pt` has been trained further, its old concepts remain usable with the `epoch-*.pt` of the same
weights, and are renamed, not lost, when new ones are made.
"""

import difflib
import json
import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dcgan_cli.checkpoint.find import (
    BUNDLED,
    bundled,
    find_checkpoint,
    is_bundled,
    known_checkpoints,
)
from dcgan_cli.checkpoint.format import Checkpoint, load
from dcgan_cli.checkpoint.names import check_name, is_name
from dcgan_cli.checkpoint.untrusted import reason
from dcgan_cli.errors import CheckpointError, DcganError, UsageError
from dcgan_cli.files import data_folder, make_folder, write_text
from dcgan_cli.model.latents import Latents
from dcgan_cli.wording import counted

FORMAT, VERSION = "dcgan concepts", 1
SUFFIX = ".concepts.json"

MIN_EXEMPLARS = 3
"""Number of exemplars that the paper averages: single ones were unstable (§6.3.2)."""

MAX_CONCEPTS_BYTES = 64 << 20
"""A larger file is not read: a thousand concepts of 32 exemplars take 40 MB."""


@dataclass(frozen=True, eq=False)
class Concept:
    """A name and its exemplars, the latent vectors that are averaged.

    Attributes:
        exemplars: float32 [K, z_dim], K ≥ 1; the most certain first if an attribute classifier
            selected them.
        made: how they were made, for the user.
        meaning: class by attribute, if an attribute classifier selected them; empty if they were
            selected by hand.
        end: what the low or high end of a numerical attribute is, such as left; empty if unknown.
    """

    name: str
    exemplars: Latents
    made: str
    meaning: Mapping[str, str] = field(default_factory=dict[str, str])
    end: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.exemplars.ndim != 2 or not len(self.exemplars):
            raise UsageError(f"concept {self.name}: holds no points; name at least one, better 3")

    @property
    def mean(self) -> Latents:
        """The mean of the exemplars, used in arithmetic: float32 [z_dim]."""
        return self.exemplars.mean(0, dtype=np.float64).astype(np.float32)


Concepts = Mapping[str, Concept]


def find_checkpoint_with_concepts(argument: str | None, names: Iterable[str]) -> Path:
    """As `find_checkpoint`; without an argument, the first model that has all concepts `names`.

    `names` may contain latent arguments of any kind; those that are not the name of a concept are
    ignored. If no model has all of them, the first is returned, and its error will say what is
    missing.
    """
    wanted = {name for argument in names if is_name(name := argument.partition("#")[0])}
    if argument is None and wanted:
        for path in known_checkpoints():
            if wanted.issubset(_names_of(path)):
                return path
    return find_checkpoint(argument)


def concepts_path(checkpoint: Path) -> Path:
    """The path of the concepts file beside `checkpoint`."""
    return checkpoint.with_name(checkpoint.stem + SUFFIX)


def written_path(path: Path, checkpoint: Checkpoint) -> Path:
    """Where concepts are written: beside the checkpoint, or in the user's folder if read-only."""
    users = _users_path(checkpoint.hash)
    writable = os.access(path.parent, os.W_OK) and not is_bundled(path)
    return concepts_path(path) if writable and not users.is_file() else users


def _users_path(checkpoint: str) -> Path:
    """The user's own concepts of the model with this hash."""
    return data_folder() / "concepts" / f"{checkpoint}{SUFFIX}"


def read_concepts(path: Path, checkpoint: Checkpoint) -> dict[str, Concept]:
    """The concepts of `checkpoint`, which was read from `path`; empty if it has none.

    Example: `concepts = read_concepts(path, load(path))`.

    Raises CheckpointError if the file beside it belongs to other weights, or is damaged.
    """
    known = own_concepts(path, checkpoint)
    own = concepts_path(path)
    if not known and own.is_file() and (found := _hash_of(own)) != checkpoint.hash:
        raise CheckpointError(
            f"{own}: concepts of model {found}, but {path} is {checkpoint.hash} (trained further?); "
            f"make new ones with dcgan concepts learn {path} --data SOURCE"
        )
    return known


def own_concepts(path: Path, checkpoint: Checkpoint) -> dict[str, Concept]:
    """As `read_concepts`, for adding to them: empty if the file belongs to other weights."""
    users = _users_path(checkpoint.hash)
    beside = _beside(path, checkpoint)
    if not users.is_file():
        return beside
    hidden = _hidden(_read_json(users))
    shown = {name: concept for name, concept in beside.items() if name not in hidden}
    return {**shown, **read_file(users, checkpoint)}


def _beside(path: Path, checkpoint: Checkpoint) -> dict[str, Concept]:
    """The concepts in a file beside the checkpoint; empty if there is none for these weights."""
    own = concepts_path(path)
    if own.is_file() and _hash_of(own) == checkpoint.hash:
        return read_file(own, checkpoint)
    for other in sorted(path.parent.glob(f"*{SUFFIX}")):
        if other != own and _may_belong(other, checkpoint.hash):
            return read_file(other, checkpoint)
    return {}


def read_file(path: Path, checkpoint: Checkpoint) -> dict[str, Concept]:
    """The concepts in the file at `path`, which must belong to `checkpoint`.

    Raises CheckpointError: unreadable, damaged, of a newer version, or of another model.
    """
    content = _read_json(path)
    try:
        if content["checkpoint"] != checkpoint.hash:
            raise CheckpointError(
                f"{path}: concepts of model {_shown(content['checkpoint'])}, this is "
                f"{checkpoint.hash}; "
                "points of one model mean nothing to another"
            )
        concepts = {
            str(name): Concept(
                str(name),
                np.array(entry["exemplars"], np.float32),
                str(entry["made"]),
                {str(key): str(value) for key, value in entry["meaning"].items()},
                str(entry.get("end", "")),
            )
            for name, entry in content["concepts"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, UsageError) as error:
        raise CheckpointError(f"{path}: damaged list of concepts ({reason(error)})") from error
    for concept in concepts.values():
        shape = concept.exemplars.shape
        if shape[1] != checkpoint.model.z_dim or not np.isfinite(concept.exemplars).all():
            raise CheckpointError(
                f"{path}: {concept.name} holds numbers {list(shape)}, expected finite ones "
                f"[exemplars, {checkpoint.model.z_dim}]"
            )
    return concepts


def write_concepts(path: Path, checkpoint: Checkpoint, concepts: Concepts) -> Path | None:
    """Write the concepts of `checkpoint`, which is at `path`, to `written_path`, atomically.

    Returns where the concepts of earlier weights were moved; None if there were none. Raises
    StorageError.
    """
    own = written_path(path, checkpoint)
    set_aside = None
    if own != concepts_path(path):
        make_folder(own.parent)
        beside = _beside(path, checkpoint)
        there = {name: _entry(one) for name, one in beside.items()}
        new = {name: one for name, one in concepts.items() if _entry(one) != there.get(name)}
        write_text(own, to_text(checkpoint, new, beside.keys() - concepts.keys()))
        return None
    if own.is_file() and (found := _hash_of(own)) != checkpoint.hash:
        set_aside = own.with_name(f"{path.stem}.{found}{SUFFIX}")
        write_text(set_aside, own.read_text("utf-8"))
    write_file(own, checkpoint, concepts)
    return set_aside


def write_file(path: Path, checkpoint: Checkpoint, concepts: Concepts) -> None:
    """Write a concepts file at `path`, one line an exemplar. Raises StorageError."""
    write_text(path, to_text(checkpoint, concepts))


def to_text(checkpoint: Checkpoint, concepts: Concepts, hidden: Iterable[str] = ()) -> str:
    """The text of a concepts file; every float32 is restored exactly.

    `hidden` are names beside the checkpoint that the user has removed.
    """
    entries = ",\n".join(_entry(concept) for _, concept in sorted(concepts.items()))
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION, "checkpoint": checkpoint.hash}
    content["z_dim"] = checkpoint.model.z_dim
    if hidden:
        content["hidden"] = sorted(hidden)
    head = json.dumps(content)
    return f'{head[:-1]},\n "concepts": {{\n{entries}\n}}}}\n'


def unknown(concepts: Iterable[str], name: str, path: Path) -> str:
    """The error for a missing concept `name` of the checkpoint at `path`, with a remedy."""
    known = sorted(concepts)
    for model in BUNDLED:
        at = bundled(model)
        if at is not None and at.resolve() != path.resolve() and name in _names_of(at):
            return (
                f"{path} has no such concept, but the bundled {model} has; give the checkpoint "
                f"{model} on the command line, or make it: dcgan concepts learn {path} --data SOURCE"
            )
    if not known:
        return (
            f"{path} has no concepts yet; make some: dcgan concepts learn {path} --data SOURCE, "
            "or dcgan concepts add NAME samples.png#3,17,40"
        )
    near = difflib.get_close_matches(name, known, n=3)
    listed = f"near: {', '.join(near)}" if near else f"there are {', '.join(known[:8])}"
    more = ", …" if not near and len(known) > 8 else ""
    return f"no such concept of {path}; {listed}{more}"


def few_exemplars_warning(name: str, count: int) -> str | None:
    """A warning if `count` exemplars of `name` are too few; None if they are enough."""
    if count >= MIN_EXEMPLARS:
        return None
    return (
        f"{name} has {counted(count, 'exemplar')}, so results are unstable; the paper averaged "
        f"{MIN_EXEMPLARS} (§6.3.2)"
    )


def _entry(concept: Concept) -> str:
    rows = ",\n   ".join(
        "[" + ", ".join(str(value) for value in row) + "]" for row in concept.exemplars
    )
    content = {"made": concept.made, "meaning": dict(concept.meaning)}
    if concept.end:
        content["end"] = concept.end
    about = json.dumps(content, ensure_ascii=False)
    return f' {json.dumps(concept.name)}: {about[:-1]}, "exemplars": [\n   {rows}]}}'


def _read_json(path: Path) -> Mapping[str, Any]:
    """What the file at `path` holds, checked as far as all files of concepts are alike."""
    try:
        status = path.stat()
        if status.st_size > MAX_CONCEPTS_BYTES:
            raise CheckpointError(f"{path}: larger than any list of concepts; not read")
        return _parsed(
            path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        )
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}; expected concepts") from error


@lru_cache(maxsize=4)
def _parsed(path: Path, stamp: tuple[int, ...]) -> Mapping[str, Any]:
    """The same once for each state of the file, which `stamp` tells apart. Raises OSError too."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a list of concepts in JSON ({reason(error)}); move it away, or restore a copy"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: JSON, but not a list of concepts (no format mark)")
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise CheckpointError(
            f"{path}: version {_shown(version)} of concepts, this dcgan reads up to {VERSION}; upgrade it"
        )
    return content


def _shown(value: object) -> str:
    """A value of an untrusted file, shortened."""
    return value[:40] if isinstance(value, str) else reprlib.repr(value)


def _hash_of(path: Path) -> str:
    """The hash of the model that a concepts file belongs to, validated for use in a file name."""
    found = str(_read_json(path).get("checkpoint"))
    if not re.fullmatch(r"[0-9a-f]{1,64}", found):
        raise CheckpointError(f"{path}: damaged list of concepts (checkpoint {found[:40]!r})")
    return found


def _may_belong(path: Path, wanted: str) -> bool:
    """Whether a file in the folder belongs to this model; False if it is damaged."""
    try:
        return _hash_of(path) == wanted
    except CheckpointError:
        return False


def _hidden(content: Mapping[str, Any]) -> set[str]:
    """The names that a user's file lists as removed."""
    hidden = content.get("hidden", [])
    return {str(name) for name in hidden} if isinstance(hidden, list) else set()


def _names_of(path: Path) -> set[str]:
    """The names of the concepts of the checkpoint at `path`, with the changes of the user.

    The weights are read only if the hash is not known otherwise.
    """
    beside = concepts_path(path)
    names = set(_names(beside))
    try:
        known = beside.is_file() or not (data_folder() / "concepts").is_dir()
        users = _users_path(_hash_of(beside) if known else load(path).hash)
        if users.is_file():
            return (names - _hidden(_read_json(users))) | set(_names(users))
    except CheckpointError:
        return names
    return names


def _names(path: Path) -> list[str]:
    """Names in the file at `path`; empty if it cannot be read, because this is only a lookup."""
    try:
        return list(_read_json(path)["concepts"])
    except (DcganError, KeyError, TypeError):
        return []
