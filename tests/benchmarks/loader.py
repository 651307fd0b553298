"""Images per second of the second epoch against torchvision's ImageFolder and a DataLoader.

    python tests/benchmarks/loader.py [--pictures 4000] [--side 96] [--workers 2]

Both deliver normalized float batches of 128 images of 64×64, made from the same JPEG files.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timing import compare
from torchvision import datasets, transforms

from dcgan_cli.data.batches import Batches
from dcgan_cli.data.cache import prepare
from dcgan_cli.data.demo import faces
from dcgan_cli.data.resize_crop import ImageSpec
from dcgan_cli.data.sources import open_source

BATCH, SIZE = 128, 64


def write_images(folder: Path, count: int, side: int) -> None:
    """JPEGs as a camera's images scaled down would be: synthetic faces with noise."""
    stream = np.random.default_rng(0)
    target = folder / "all"
    target.mkdir()
    drawn = [faces.draw(i, side) for i in range(min(count, 64))]
    for i in range(count):
        noise = stream.normal(0, 4, (side, side, 3))
        image = np.clip(drawn[i % len(drawn)] + noise, 0, 255).astype(np.uint8)
        Image.fromarray(image).save(target / f"{i:06d}.jpg", quality=92)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["DCGAN_CACHE"] = str(folder / "cache")
        (folder / "pictures").mkdir()
        write_images(folder / "pictures", arguments.images, arguments.side)

        images = prepare(open_source(str(folder / "pictures")), ImageSpec(SIZE, 3))
        batches = Batches(images, size=SIZE, batch_size=BATCH, seed=0, look_ahead=False)
        epochs = iter(range(10**6))

        def ours() -> None:
            epoch = next(epochs)
            for position in range(batches.per_epoch - 1):
                batches.get((epoch, position), (epoch, position + 1))

        transform = transforms.Compose(
            [
                transforms.Resize(SIZE),
                transforms.CenterCrop(SIZE),
                transforms.ToTensor(),
                transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
            ]
        )
        loader = torch.utils.data.DataLoader(
            datasets.ImageFolder(str(folder / "pictures"), transform),
            BATCH,
            shuffle=True,
            drop_last=True,
            num_workers=arguments.workers,
            persistent_workers=arguments.workers > 0,
        )

        def theirs() -> None:
            for _ in loader:
                pass

        ratio = compare(ours, theirs, arguments.rounds)
        print(ratio.line("loader, second epoch", "pictures", batches.per_epoch * BATCH))
        batches.close()


if __name__ == "__main__":
    main()
