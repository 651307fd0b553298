"""Images in a row as an animation: GIF, WebP or MP4."""

import io
import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TypeVar

import numpy as np
from PIL import Image

from dcgan_cli.errors import UsageError
from dcgan_cli.render.png import shown, shown_size
from dcgan_cli.report import Images

Frame = TypeVar("Frame")

MAX_FRAMES = 100

COMFORTABLE = 512
"""Films of smaller images are enlarged by a whole factor until they are at least this wide."""

PALETTE_FRAMES = 16
"""Frames from which the colors of a GIF are chosen."""


def thinned(frames: Sequence[Frame], most: int) -> list[Frame]:
    """At most `most` (> 1) of `frames`, evenly spaced, the first and the last among them."""
    if len(frames) <= most:
        return list(frames)
    step = math.ceil((len(frames) - 1) / (most - 1))
    return [*frames[:-1:step], frames[-1]]


def encode_gif(images: Sequence[Image.Image], seconds: float = 0.15, hold: float = 2.0) -> bytes:
    """An endless GIF of `images`, `seconds` each, the last one held; evenly thinned to MAX_FRAMES."""
    return _gif(thinned(images, MAX_FRAMES), seconds, hold, images[-1])


def _gif(
    images: Sequence[Image.Image], seconds: float, hold: float, palette: Image.Image, scale: int = 1
) -> bytes:
    # one palette for all frames: with their own they would flicker
    colors = palette.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT)
    frames = [image.convert("RGB").quantize(palette=colors) for image in images]
    # enlarged last: equal pixels side by side take little space, dithered ones much
    large = [_enlarged(frame, scale, Image.Resampling.NEAREST) for frame in frames]
    return _save_all(large, "GIF", seconds, hold)


def encode_film_gif(
    images: Sequence[Image.Image], seconds: float, hold: float, scale: int = 1
) -> bytes:
    """An endless GIF of all of `images`, `scale` times as large, in colors from all along the way."""
    sample = images[:: max(1, len(images) // PALETTE_FRAMES)]
    strip = np.hstack([np.asarray(image.convert("RGB")) for image in sample])
    return _gif(images, seconds, hold, Image.fromarray(strip), scale)


def encode_webp(
    images: Sequence[Image.Image], seconds: float, hold: float, scale: int = 1
) -> bytes:
    """An endless lossless animated WebP: every pixel as it was drawn, `scale` times as large."""
    nearest = Image.Resampling.NEAREST
    frames = [_enlarged(image.convert("RGB"), scale, nearest) for image in images]
    return _save_all(frames, "WEBP", seconds, hold, lossless=True)


def encode_mp4(images: Sequence[Image.Image], seconds: float, hold: float, scale: int = 1) -> bytes:
    """An H.264 film that every browser plays, smoothly enlarged `scale` times.

    The last frame is repeated for `hold` seconds.

    Raises UsageError where the `video` extra is not installed.
    """
    require_video()
    from imageio.v3 import imwrite  # the `video` extra

    smooth = Image.Resampling.LANCZOS
    frames = [np.asarray(_enlarged(image.convert("RGB"), scale, smooth)) for image in images]
    frames += frames[-1:] * (round(hold / seconds) - 1)
    data = imwrite(
        "<bytes>",
        np.stack(frames),
        extension=".mp4",
        plugin="FFMPEG",
        fps=1 / seconds,
        codec="libx264",
        quality=8,
        pixelformat="yuv420p",
        macro_block_size=2,  # what 4:2:0 needs; imageio's own 16 would scale the images
        output_params=["-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )
    assert data is not None
    return data


Encode = Callable[[Sequence[Image.Image], float, float, int], bytes]

FORMATS: dict[str, Encode] = {".gif": encode_film_gif, ".webp": encode_webp, ".mp4": encode_mp4}
"""By the end of the file name: from frames, seconds a frame, seconds on the last one, and a scale."""


def require_video() -> None:
    """Raise UsageError, with what to install, where MP4 cannot be written."""
    if find_spec("imageio") is None or find_spec("imageio_ffmpeg") is None:
        raise UsageError(
            "MP4 needs the video extra, which is not installed: pip install 'dcgan[video]'; "
            "or name a file that ends in .webp or .gif"
        )


def film_frames(images: Images, aspect: float = 1.0) -> list[Image.Image]:
    """Images uint8 [N, H, W, C] as frames of their own size, shown in `aspect`, width / height."""
    _, height, width, _ = images.shape
    size = shown_size(width, height, aspect)
    return [shown(image, size) for image in images]


def film_scale(frames: Sequence[Image.Image]) -> int:
    """How many times `frames` are enlarged to be COMFORTABLE."""
    return max(1, math.ceil(COMFORTABLE / frames[0].width))


def _enlarged(image: Image.Image, scale: int, how: Image.Resampling) -> Image.Image:
    return image.resize((image.width * scale, image.height * scale), how)


def _save_all(
    frames: Sequence[Image.Image], kind: str, seconds: float, hold: float, **options: object
) -> bytes:
    buffer = io.BytesIO()
    durations = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * hold)]
    options |= {"append_images": frames[1:], "duration": durations}
    frames[0].save(buffer, kind, save_all=True, loop=0, **options)
    return buffer.getvalue()
