"""Animations of a walk, opened again with the readers that people use."""

import builtins
import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dcgan_cli.errors import UsageError
from dcgan_cli.render.animation import (
    COMFORTABLE,
    FORMATS,
    encode_film_gif,
    encode_mp4,
    encode_webp,
    film_frames,
    film_scale,
    require_video,
)
from dcgan_cli.report import Images


def film(count: int, side: int = 64, channels: int = 3) -> Images:
    """A bright square that moves over a gradient: no two images are alike."""
    y, x = np.mgrid[:side, :side]
    ramp = np.stack([x * 200 / side, y * 200 / side, (x + y) * 100 / side], -1)[..., :channels]
    arrays = np.repeat(ramp[None], count, 0).astype(np.uint8)
    for i, image in enumerate(arrays):
        left = i * (side - side // 4) // max(1, count - 1)
        image[: side // 4, left : left + side // 4] = 255
        image[-1, i % side] = 255
        image[-2, i // side] = 255
    return arrays


def reopened(data: bytes) -> Any:
    return Image.open(io.BytesIO(data))


def read(image: Any) -> tuple[np.ndarray[Any, Any], list[int]]:
    """All frames as RGB [N, H, W, 3], and how many milliseconds each is shown."""
    shown, durations = [], []
    for number in range(image.n_frames):
        image.seek(number)
        shown.append(np.array(image.convert("RGB")))
        durations.append(image.info["duration"])
    return np.stack(shown), durations


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_are_the_images_as_they_were_drawn(channels: int) -> None:
    arrays = film(3, 16, channels)
    images = film_frames(arrays)
    assert [image.mode for image in images] == [{1: "L", 3: "RGB"}[channels]] * 3
    assert np.array_equal(np.stack([np.array(i).reshape(16, 16, channels) for i in images]), arrays)


@pytest.mark.parametrize(("side", "scale"), [(16, 32), (48, 11), (64, 8), (512, 1), (600, 1)])
def test_films_are_enlarged_until_they_fill_a_slide(side: int, scale: int) -> None:
    frames = film_frames(np.zeros((2, side, side, 3), np.uint8))
    assert film_scale(frames) == scale
    assert side * scale >= COMFORTABLE == 512


@pytest.mark.parametrize("ending", FORMATS)
def test_a_film_is_scaled_as_told(ending: str) -> None:
    if ending == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
        imageio = pytest.importorskip("imageio.v3")
        data = encode_mp4(film_frames(film(3, 16)), 0.05, 0.05, 4)
        assert imageio.imread(data, plugin="FFMPEG", extension=".mp4").shape[1:] == (64, 64, 3)
    else:
        data = FORMATS[ending](film_frames(film(3, 16)), 0.05, 0.05, 4)
        assert reopened(data).size == (64, 64)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [2, 30, 150])
def test_webp_holds_every_pixel_and_loops(count: int, channels: int) -> None:
    arrays = film(count, 16, channels)
    image = reopened(encode_webp(film_frames(arrays), 0.05, 1.0, 8))
    assert (image.format, image.size, image.n_frames) == ("WEBP", (128, 128), count)
    assert image.info["loop"] == 0
    frames, _ = read(image)
    assert np.array_equal(frames[:, ::8, ::8], np.broadcast_to(arrays, (count, 16, 16, 3)))


def test_webp_rests_on_its_last_frame_for_so_long() -> None:
    _, durations = read(reopened(encode_webp(film_frames(film(5)), 0.05, 1.0)))
    assert durations == [50] * 4 + [1000]
    _, durations = read(reopened(encode_webp(film_frames(film(5)), 0.1, 0.1)))
    assert durations == [100] * 5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [2, 30, 150, 250])
def test_gif_has_all_its_frames_and_loops(count: int, channels: int) -> None:
    arrays = film(count, channels=channels)
    image = reopened(encode_film_gif(film_frames(arrays), 0.05, 1.0, 2))
    assert (image.format, image.size, image.n_frames) == ("GIF", (128, 128), count)
    assert image.info["loop"] == 0
    frames, durations = read(image)
    assert durations == [50] * (count - 1) + [1000]
    wanted = np.broadcast_to(arrays, (count, 64, 64, 3)).astype(float)
    assert np.abs(frames[:, ::2, ::2] - wanted).mean() < 12


def test_gif_has_colors_of_the_whole_way_and_not_of_its_end_alone() -> None:
    colors = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]], np.uint8)
    arrays = np.broadcast_to(colors[:, None, None], (4, 16, 16, 3)).copy()
    frames, _ = read(reopened(encode_film_gif(film_frames(arrays), 0.05, 0.05)))
    assert np.array_equal(frames[:, 8, 8], colors)


@pytest.fixture
def imageio() -> Any:
    """The reader and writer of MP4: the `video` extra, without which these tests are skipped."""
    pytest.importorskip("imageio_ffmpeg")
    return pytest.importorskip("imageio.v3")


@pytest.mark.parametrize("channels", [1, 3])
def test_mp4_has_its_frames_in_order_and_rests_at_the_end(
    channels: int, imageio: Any, tmp_path: Path
) -> None:
    arrays = film(30, channels=channels)
    path = tmp_path / "walk.mp4"
    path.write_bytes(encode_mp4(film_frames(arrays), 0.05, 1.0, 2))
    meta = imageio.immeta(path, plugin="FFMPEG")
    assert (meta["codec"], meta["fps"], meta["size"]) == ("h264", 20, (128, 128))
    assert meta["pix_fmt"].startswith("yuv420p")
    frames = imageio.imread(path, plugin="FFMPEG")
    assert frames.shape == (30 + 19, 128, 128, 3)
    wanted = np.broadcast_to(arrays, (30, 64, 64, 3)).astype(float)
    distances = np.abs(frames[:30, None, ::2, ::2] - wanted[None]).mean((2, 3, 4))
    assert distances.diagonal().max() < 5
    assert np.array_equal(distances.argmin(1), np.arange(30))
    assert np.abs(frames[29:].astype(float) - frames[29]).mean() < 2
    index = path.read_bytes().find
    assert 0 < index(b"moov") < index(b"mdat"), "starts to play before all of it is there"


def test_mp4_that_loops_does_not_rest(imageio: Any) -> None:
    data = encode_mp4(film_frames(film(10)), 0.05, 0.05)
    frames = imageio.imread(data, extension=".mp4", plugin="FFMPEG")
    assert len(frames) == 10


@pytest.mark.parametrize("missing", ["imageio", "imageio_ffmpeg"])
def test_mp4_without_the_extra_is_one_line_that_says_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "dcgan_cli.render.animation.find_spec",
        lambda name: None if name == missing else find(name),
    )
    for attempt in (require_video, lambda: encode_mp4(film_frames(film(2)), 0.05, 0.05)):
        with pytest.raises(UsageError, match=r"pip install 'dcgan\[video\]'") as caught:
            attempt()
        assert "\n" not in str(caught.value)


def test_other_animations_do_not_need_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    importing: Callable[..., Any] = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        assert not name.startswith("imageio")
        return importing(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for ending in (".gif", ".webp"):
        assert FORMATS[ending](film_frames(film(2)), 0.05, 0.05)
