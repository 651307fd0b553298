"""The checkpoint file: one format for training, sampling and every analysis.

A `.pt` file that torch.save writes and `untrusted.py` reads: plain values and tensors, so that
reading it never runs code. Its keys:

    format         "dcgan"
    version        2; newer versions are refused, older ones are converted by `load`
    about          JSON text: model (ModelConfig), recipe, training, data, progress
    generator, discriminator, average    weights by name (average: the EMA generator, or absent)
    optimizers     the optimizers' states by network, or absent; the key is spelled "optimisers"
    digest         SHA-256 over all of the above; a file that does not match it is damaged
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dcgan_cli.checkpoint import foreign
from dcgan_cli.checkpoint.contents import check_parts, check_resumable, check_weights_finite
from dcgan_cli.checkpoint.untrusted import read_pt, reason
from dcgan_cli.data.reference import Reference
from dcgan_cli.errors import CheckpointError, DcganError, UsageError
from dcgan_cli.files import atomic_write
from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.discriminator import Discriminator, freeze_layers
from dcgan_cli.model.generator import Generator

VERSION = 2

PARTS = ("recipe", "training", "data", "progress")
"""The plain values of a checkpoint."""

RENAMED_PARAMETERS = {"paint.": "to_rgb.", "decide.": "head."}
"""Prefixes of the names of weights in version 1, and in version 2."""

Weights = Mapping[str, Tensor]
Network = TypeVar("Network", Generator, Discriminator)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Both networks and everything known about their training.

    Attributes:
        model: the architecture, from which the networks are rebuilt.
        generator, discriminator: weights by name.
        average: weights of the EMA generator, if there is one.
        optimizers: the optimizers' states by network; empty in files from which training cannot
            resume.
        recipe, training, data, progress: plain values that `dcgan train` wrote; `data` is the
            Reference to the training images. `training` has `statistics: none` if the weights came
            without batch-norm statistics.
    """

    model: ModelConfig
    generator: Weights
    discriminator: Weights
    average: Weights | None = None
    optimizers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    recipe: Mapping[str, Any] = field(default_factory=dict[str, Any])
    training: Mapping[str, Any] = field(default_factory=dict[str, Any])
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    progress: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @cached_property
    def hash(self) -> str:
        """Twelve hex digits that identify this model: they change when any of its weights changes.

        Computed at first use, from the names of version 1, so that it lasts.
        """
        names = {new: old for old, new in RENAMED_PARAMETERS.items()}
        networks = (self.generator, self.discriminator, self.average)
        weights = [_with_prefixes(network, names) for network in networks]
        return _digest([self.model.to_dict(), *weights])[:12]

    @property
    def aspect(self) -> float:
        """Width / height in which its images are shown: not 1 if they were stretched to squares.

        Also 1 if `data` does not say how the images were prepared.
        """
        try:
            return self.reference.shown.image_spec.aspect
        except DcganError:
            return 1.0

    def build_generator(self, average: bool = True) -> Generator:
        """The generator on the CPU; its EMA if there is one and `average` is true.

        Raises CheckpointError if weights and configuration do not fit.

        Example: `generator = load(path).build_generator()`.
        """
        weights = self.average if average and self.average is not None else self.generator
        generator = _filled(Generator, self.model, weights, "the generator's weights")
        if self._lacks_statistics:
            foreign.gather_statistics(generator)
        return generator

    def build_discriminator(self) -> Discriminator:
        """The discriminator on the CPU. Raises CheckpointError as `build_generator` does."""
        weights = self.discriminator
        network = _filled(Discriminator, self.model, weights, "the discriminator's weights")
        if self._lacks_statistics:
            generator = _filled(Generator, self.model, self.generator, "the generator's weights")
            foreign.gather_statistics(generator, network)
        return network

    @property
    def reference(self) -> Reference:
        """The reference to its training images. Raises DcganError if `data` is invalid."""
        return Reference.read(self.data, self.model.size, self.model.channels)

    @property
    def parts(self) -> dict[str, Mapping[str, Any]]:
        """All plain values, by name."""
        return {name: dict(getattr(self, name)) for name in PARTS}

    @property
    def _lacks_statistics(self) -> bool:
        return self.training.get("statistics") == "none"


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path` atomically. Raises StorageError.

    Example: `save(Path("model.pt"), checkpoint)`.
    """
    content: dict[str, Any] = {
        "format": "dcgan",
        "version": VERSION,
        "about": json.dumps({"model": checkpoint.model.to_dict(), **checkpoint.parts}),
        "generator": dict(checkpoint.generator),
        "discriminator": dict(checkpoint.discriminator),
    }
    if checkpoint.average is not None:
        content["average"] = dict(checkpoint.average)
    if checkpoint.optimizers:
        content["optimisers"] = dict(checkpoint.optimizers)
    content = _to_cpu(content)
    content["digest"] = _digest(content)
    with atomic_write(path) as file:
        torch.save(content, file)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint, all tensors on the CPU; the authors' own files too (`foreign`).

    Example: `checkpoint = load(Path("checkpoints/demo-faces.pt"))`.

    Raises:
        CheckpointError: the file is missing, not a checkpoint, truncated, altered, of a newer
            version, contains anything but plain values and tensors, or its weights do not fit its
            networks. No code in it is ever run.
    """
    if foreign.is_foreign(path):
        model, generator, discriminator, epoch = foreign.read(path)
        training, progress = {"statistics": "none"}, {"epoch": epoch}
        return Checkpoint(model, generator, discriminator, training=training, progress=progress)
    content = read_pt(path)
    try:
        return _interpret(path, content)
    except CheckpointError:
        raise
    except UsageError as error:
        raise CheckpointError(
            f"{path}: not a network that can be built: {reason(error)}"
        ) from error
    except Exception as error:  # a malicious file may have any type and value anywhere
        raise CheckpointError(f"{path}: incomplete checkpoint: {reason(error)}") from error


def _interpret(path: Path, content: dict[str, Any]) -> Checkpoint:
    """The checkpoint in `content`; raises whatever errors its types and values cause."""
    version = content.get("version")
    if content.get("format") != "dcgan" or not isinstance(version, int):
        raise CheckpointError(
            f"{path}: a PyTorch file, but not a dcgan checkpoint (no format mark); "
            "checkpoints are written by dcgan train"
        )
    if version > VERSION:
        raise CheckpointError(
            f"{path}: checkpoint version {version}, this dcgan reads up to {VERSION}; "
            "upgrade with pip install -U dcgan"
        )
    digest = content.pop("digest", None)
    if digest != _digest(content):
        raise CheckpointError(f"{path}: damaged: its content does not match its own digest")
    if version < 2:
        for part in ("generator", "discriminator", "average"):
            if part in content:
                content[part] = _with_prefixes(content[part], RENAMED_PARAMETERS)
    about: dict[str, dict[str, Any]] = json.loads(content["about"])
    model = ModelConfig.from_dict(about["model"])
    checkpoint = Checkpoint(
        model=model,
        generator=content["generator"],
        discriminator=content["discriminator"],
        average=content.get("average"),
        optimizers=content.get("optimisers", {}),
        **{part: dict(about[part]) for part in PARTS},
    )
    check_parts(str(path), checkpoint.parts)
    generator, discriminator = _shapes(Generator, model), _shapes(Discriminator, model)
    networks: list[tuple[str, nn.Module, Weights]] = [
        ("generator", generator, checkpoint.generator)
    ]
    if checkpoint.average is not None:
        networks.append(("average", generator, checkpoint.average))
    networks.append(("discriminator", discriminator, checkpoint.discriminator))
    for name, network, weights in networks:
        _check_weights(network, weights, f"{path}: the {name}'s weights")
    for name, _, weights in networks:
        check_weights_finite(f"{path}: the {name}'s weights", weights)
    return checkpoint


def load_resumable(path: Path) -> Checkpoint:
    """As `load`, for resuming: the training state must be complete and valid too.

    Raises CheckpointError.
    """
    checkpoint = load(path)
    discriminator = _shapes(Discriminator, checkpoint.model)
    frozen = checkpoint.recipe.get("freeze_d", 0)
    freeze_layers(discriminator, min(frozen, len(discriminator.layers)))
    networks = {
        "generator": _shapes(Generator, checkpoint.model),
        "discriminator": discriminator,
    }
    check_resumable(str(path), checkpoint.parts, checkpoint.optimizers, networks)
    return checkpoint


def _shapes(kind: type[Network], model: ModelConfig) -> Network:
    """A network on the device `meta`: no memory, and no draws from the global random generator."""
    with torch.device("meta"):
        return kind(model)


def _filled(kind: type[Network], model: ModelConfig, weights: Weights, what: str) -> Network:
    """A network on the CPU with `weights`."""
    network = _shapes(kind, model)
    _check_weights(network, weights, what)
    # to_empty would import sympy, which takes half a second
    copies = {
        name: weight.clone(memory_format=torch.contiguous_format)
        for name, weight in weights.items()
    }
    network.load_state_dict(copies, assign=True)
    if kind is Generator:  # draws twice as fast on a CPU; one format everywhere, so that bits agree
        network.to(memory_format=torch.channels_last)
    return network


def _check_weights(network: nn.Module, weights: Weights, what: str) -> None:
    """Raise CheckpointError with what is missing, unexpected or of another shape."""
    expected = network.state_dict()
    problems = [f"missing {name}" for name in expected if name not in weights]
    problems += [f"unexpected {str(name)[:60]!r}" for name in weights if name not in expected]
    problems += [
        f"{name} is {list(weights[name].shape)}, expected {list(expected[name].shape)}"
        for name in expected
        if name in weights and weights[name].shape != expected[name].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise CheckpointError(f"{what}: {'; '.join(problems[:3])}{more}")


def _with_prefixes(weights: Any, prefixes: Mapping[str, str]) -> Any:
    """`weights` with name prefixes replaced as `prefixes` says."""
    if not isinstance(weights, Mapping):
        return weights
    renamed: dict[Any, Any] = {}
    for name, value in weights.items():
        old = next((p for p in prefixes if str(name).startswith(p)), "")
        renamed[prefixes[old] + name[len(old) :] if old else name] = value
    return renamed


def _to_cpu(value: Any) -> Any:
    """The same structure with every tensor contiguous on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous()
    if isinstance(value, Mapping):
        return {key: _to_cpu(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_to_cpu(inner) for inner in value]
    return value


def _digest(value: Any) -> str:
    """SHA-256 of nested plain values and tensors, independent of key order and device."""
    total = hashlib.sha256()

    def add(inner: Any) -> None:
        if isinstance(inner, Tensor):
            data = inner.detach().cpu().contiguous()
            total.update(f"tensor {data.dtype} {list(data.shape)}".encode())
            total.update(data.reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(inner, Mapping):
            total.update(f"map {len(inner)}".encode())
            for key in sorted(inner, key=str):
                total.update(f"key {key!r}".encode())
                add(inner[key])
        elif isinstance(inner, list | tuple):
            total.update(f"list {len(inner)}".encode())
            for item in inner:
                add(item)
        else:
            total.update(f"{type(inner).__name__} {inner!r}".encode())

    add(value)
    return total.hexdigest()
