"""Images as a JPEG of some quality shows them."""

import io

import numpy as np
from PIL import Image

from dcgan_cli.data.image_set import PixelArray


def compressed(images: PixelArray, quality: int) -> PixelArray:
    """`images` uint8 [N, H, W, 1 or 3] written as JPEG of `quality`, 1 to 95, and read again."""
    found = np.empty_like(images)
    for number, pixels in enumerate(images):
        file = io.BytesIO()
        gray = pixels.shape[2] == 1
        Image.fromarray(pixels[..., 0] if gray else pixels).save(file, "JPEG", quality=quality)
        with Image.open(file) as image:
            found[number] = np.asarray(image).reshape(pixels.shape)
    return found
