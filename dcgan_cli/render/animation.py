"""Pictures in a row as an animated GIF."""

import io
import math
from collections.abc import Sequence

from PIL import Image

MOST_FRAMES = 100


def encode_gif(images: Sequence[Image.Image], seconds: float = 0.15, hold: float = 2.0) -> bytes:
    """An endless GIF of `images`, `seconds` each, the last one held; evenly thinned to MOST_FRAMES."""
    step = max(1, math.ceil((len(images) - 1) / (MOST_FRAMES - 1)))
    chosen = [*images[:-1:step], images[-1]]
    # one palette for all frames, taken from the last: with their own the frames would flicker
    palette = chosen[-1].convert("RGB").quantize(256, Image.Quantize.MEDIANCUT)
    frames = [image.convert("RGB").quantize(palette=palette) for image in chosen]
    durations = [int(1000 * seconds)] * (len(frames) - 1) + [int(1000 * hold)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0
    )
    return buffer.getvalue()
