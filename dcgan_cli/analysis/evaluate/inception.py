"""The Inception network of FID (Heusel et al. 2017), from a file of its weights.

It is TensorFlow's Inception of 2015, which differs from torchvision's in four kinds of pooling. The
file is pytorch-fid's or torch-fidelity's; it is never downloaded.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torchvision.models.inception import Inception3

from dcgan_cli.errors import DcganError

SIDE = 299

FILES = ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth")
"""The names under which pytorch-fid and torch-fidelity keep it in PyTorch's cache."""


def cached_file() -> Path | None:
    """The file of weights in PyTorch's cache, if another program has put it there."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def inception(path: Path) -> nn.Module:
    """The network with the weights in `path`: [N, 3, SIDE, SIDE] → features [N, 2048].

    Raises DcganError where the file holds anything else.
    """
    network = empty_inception()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        kept = {key: value for key, value in weights.items() if not key.startswith(("fc.", "Aux"))}
        network.load_state_dict(kept)
    except Exception as error:  # what a file that is not one raises has any type
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DcganError(
            f"{path}: not the weights of FID's Inception ({reason[:120]}); expected a file such as "
            f"{FILES[0]}"
        ) from error
    return network.eval().requires_grad_(False)


def empty_inception() -> nn.Module:
    """The network with random weights."""
    network = Inception3(num_classes=1, aux_logits=False, init_weights=False)
    network.fc = nn.Identity()  # type: ignore[assignment]
    for name, block in network.named_children():
        if name.startswith(("Mixed_5", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7b")):
            _pool(block, _average)
        elif name == "Mixed_7c":
            _pool(block, lambda maps: F.max_pool2d(maps, 3, 1, 1))
    return network


def prepare(pixels: Tensor) -> Tensor:
    """Pixels float32 [N, 3, H, W] in 0..255, resized to SIDE as TensorFlow 1 does, in [−1, 1]."""
    rows = _resize(pixels, 2)
    return (_resize(rows, 3) - 128) / 128


def _resize(pixels: Tensor, axis: int) -> Tensor:
    """Linear along one axis; output i lies at i · n / SIDE, with no shift by half a pixel."""
    n = pixels.shape[axis]
    places = torch.arange(SIDE, device=pixels.device, dtype=torch.float32) * (n / SIDE)
    low = places.floor().long().clamp(max=n - 1)
    high = (low + 1).clamp(max=n - 1)
    shape = [-1 if each == axis else 1 for each in range(4)]
    first, second = pixels.index_select(axis, low), pixels.index_select(axis, high)
    return first + (second - first) * (places - low).view(shape)


def _average(maps: Tensor) -> Tensor:
    return F.avg_pool2d(maps, 3, 1, 1, count_include_pad=False)


def _pool(block: Any, pool: Callable[[Tensor], Tensor]) -> None:
    """Let the last branch of an Inception block pool its input by `pool`."""
    original = block._forward

    def forward(maps: Tensor) -> list[Tensor]:
        *branches, _ = original(maps)
        return [*branches, block.branch_pool(pool(maps))]

    block._forward = forward
