"""Batches: an epoch is a permutation, an address is a batch, and nothing global is drawn from."""

import itertools
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dcgan_cli.data.batches import Address, Batches
from dcgan_cli.data.pixels import to_uint8
from dcgan_cli.data.random_crop import crop, sample_crops
from dcgan_cli.data.resident import copy_to, fits, make_resident
from dcgan_cli.errors import SourceError
from dcgan_cli.report import Images


class Numbered:
    """Images that are their own number, in every pixel (or as `images` says)."""

    def __init__(self, count: int, side: int = 2) -> None:
        self.images = np.broadcast_to(
            np.arange(count, dtype=np.uint8)[:, None, None, None], (count, side, side, 1)
        )
        self.taken = 0

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: NDArray[np.int64]) -> Images:
        self.taken += 1
        return self.images[indices]


@contextmanager
def opened(images: Numbered, **options: Any) -> Iterator[Batches]:
    batches = Batches(images, **{"size": 2, "batch_size": 4, "seed": 0, **options})
    try:
        yield batches
    finally:
        batches.close()


def numbers(batch: torch.Tensor) -> list[int]:
    """Which images a batch of Numbered holds."""
    return to_uint8(batch)[:, 0, 0, 0].tolist()


@settings(max_examples=30, deadline=None)
@given(count=st.integers(2, 200), batch_size=st.integers(2, 30), seed=st.integers(0, 2**33))
def test_every_image_at_most_once_an_epoch(count: int, batch_size: int, seed: int) -> None:
    if count < batch_size:
        return
    with opened(Numbered(count), batch_size=batch_size, seed=seed) as batches:
        assert batches.per_epoch == count // batch_size
        for epoch in range(3):
            seen = [
                number
                for position in range(batches.per_epoch)
                for number in numbers(batches.get((epoch, position)))
            ]
            assert len(seen) == len(set(seen)) == batches.per_epoch * batch_size


def test_order_differs_from_epoch_to_epoch_and_seed_to_seed() -> None:
    orders: set[tuple[int, ...]] = set()
    for seed in range(3):
        with opened(Numbered(60), batch_size=60, seed=seed) as batches:
            orders |= {tuple(numbers(batches.get((epoch, 0)))) for epoch in range(3)}
    assert len(orders) == 9
    assert all(sorted(order) == list(range(60)) for order in orders)
    assert tuple(range(60)) not in orders


def test_batches_are_signed_and_contiguous() -> None:
    with opened(Numbered(8)) as batches:
        batch = batches.get((0, 0))
    assert batch.shape == (4, 1, 2, 2)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous()
    assert batch.min() >= -1
    assert batch.max() <= 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=12))
def test_an_address_is_a_batch_whatever_was_asked_before(addresses: list[Address]) -> None:
    expected: dict[Address, torch.Tensor] = {}
    options = {"size": 2, "seed": 9, "flip": True}
    with opened(Numbered(20, side=3), **options) as batches:
        for epoch in range(4):
            for position in range(5):
                expected[epoch, position] = batches.get((epoch, position))
    with opened(Numbered(20, side=3), **options) as batches:
        for address in addresses:
            assert torch.equal(batches.get(address), expected[address])


def test_a_thread_in_the_next_epoch_cannot_swap_the_order() -> None:
    """The look-ahead may set the next epoch's order while this one's is in use, as after a rollback."""
    with opened(Numbered(40), batch_size=20) as batches:

        class Overtaken(tuple[int, NDArray[np.int64]]):
            """An order that, once looked at, is replaced by the other thread."""

            def __getitem__(self, index: Any) -> Any:
                if threading.current_thread() is threading.main_thread() and index == 0:
                    batches._thread.submit(batches._prepare, (1, 0)).result()
                return super().__getitem__(index)

        expected = batches._prepare((0, 0))
        batches._order = Overtaken(batches._order)
        assert np.array_equal(batches._prepare((0, 0)), expected)
        assert batches._order[0] == 1, "the other thread was there"


def test_following_batch_is_prepared_meanwhile() -> None:
    images = Numbered(8)
    with opened(images) as batches:
        addresses = ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0))
        for address, following in itertools.pairwise(addresses):
            batches.get(address, following)
        batches._thread.submit(lambda: None).result()
        assert images.taken == 5, "four were asked for, one more is ready; none was made twice"


def test_an_error_while_preparing_reaches_the_one_who_asks() -> None:
    images = Numbered(8)
    with opened(images) as batches:
        batches._thread.submit(threading.Event().wait, 0.05)
        batches.get((0, 0), (0, 1))
        images.take = lambda indices: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        with pytest.raises(ZeroDivisionError):
            batches.get((0, 1))


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (3, "3 images are fewer than a batch of 4; add images"),
        (0, "0 images are fewer than a batch of 4; add images"),
    ],
)
def test_too_few_images(count: int, expected: str) -> None:
    with pytest.raises(SourceError) as caught, opened(Numbered(count)):
        pass
    assert str(caught.value) == expected


def test_too_few_images_names_a_batch_that_fits_even_alternating() -> None:
    with (
        pytest.raises(SourceError, match=r"type --batch-size 50$"),
        opened(Numbered(100), batch_size=128),
    ):
        pass


def test_exactly_one_batch_is_enough() -> None:
    with opened(Numbered(4)) as batches:
        assert batches.per_epoch == 1
        assert sorted(numbers(batches.get((0, 0)))) == [0, 1, 2, 3]


def test_no_global_generator_is_drawn_from() -> None:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    with opened(Numbered(8, side=4), flip=True) as batches:
        for epoch in range(2):
            batches.get((epoch, 0))
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert states[2] == np.random.get_state()[1].tobytes()  # noqa: NPY002


# Windows and mirrors


def coordinates(count: int, side: int) -> Images:
    """Images whose two channels are the y and x of each pixel."""
    y, x = np.mgrid[:side, :side]
    return np.broadcast_to(np.stack((y, x), -1).astype(np.uint8), (count, side, side, 2))


def windowed(images: Images, size: int, flip: bool, seed: int = 0) -> Images:
    """A random window of each image."""
    margin = images.shape[1] - size
    crops = sample_crops(len(images), margin, flip, np.random.default_rng(seed))
    return crop(images, crops, size)


def test_windows_are_whole_and_everywhere() -> None:
    crops = windowed(coordinates(500, 6), 4, flip=False)
    assert crops.shape == (500, 4, 4, 2)
    corners = crops[:, 0, 0].astype(int)
    expected = coordinates(1, 4)[0] + corners[:, None, None]
    assert np.array_equal(crops, expected)
    found, counts = np.unique(corners, axis=0, return_counts=True)
    assert found.tolist() == [[y, x] for y in range(3) for x in range(3)]
    assert counts.min() > 30, "nine places, each as likely: 55 on average"


def test_mirrors_are_left_right_and_half() -> None:
    images = coordinates(1000, 4)
    result = windowed(images, 4, flip=True)
    mirrored = result[:, 0, 0, 1] == 3
    assert np.array_equal(result[~mirrored], images[~mirrored])
    assert np.array_equal(result[mirrored], images[mirrored][:, :, ::-1])
    assert 450 < mirrored.sum() < 550


def test_window_and_mirror_together() -> None:
    result = windowed(coordinates(200, 7), 4, flip=True, seed=1)
    for image in result:
        straight = image if image[0, 0, 1] < image[0, 1, 1] else image[:, ::-1]
        assert np.array_equal(straight, coordinates(1, 4)[0] + straight[0, 0])


def test_nothing_to_do_copies_nothing() -> None:
    images = coordinates(3, 4)
    assert windowed(images, 4, flip=False) is images


def test_a_batch_of_an_epoch_is_cropped_anew() -> None:
    with opened(Numbered(4, side=8), size=2, flip=True) as batches:
        batches.images.images = coordinates(4, 8)[..., :1]  # type: ignore[attr-defined]
        rows = {tuple(batches.get((epoch, 0)).flatten().tolist()) for epoch in range(8)}
    assert len(rows) > 4


# Images that are all on the device


@settings(max_examples=40, deadline=None)
@given(margin=st.integers(0, 3), flip=st.booleans(), seed=st.integers(0, 99), first=st.booleans())
def test_resident_images_make_the_same_batches(
    margin: int, flip: bool, seed: int, first: bool
) -> None:
    images = Numbered(30, side=4 + margin)
    images.images = np.random.default_rng(seed).integers(
        0, 256, (30, 4 + margin, 4 + margin, 3), np.uint8
    )
    options = {
        "size": 4,
        "batch_size": 8,
        "seed": seed,
        "flip": flip,
        "share": slice(0, 4) if first else slice(4, 8),
    }
    resident = copy_to(images, torch.device("cpu"))
    assert np.array_equal(resident.numpy(), images.images)
    with opened(images, **options) as plain, opened(images, **options, resident=resident) as on:
        for address in itertools.product(range(2), range(3)):
            assert torch.equal(on.get(address), plain.get(address))


def test_resident_images_are_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcgan_cli.data.resident.IMAGES_PER_COPY", 7)
    images = Numbered(20)
    resident = copy_to(images, torch.device("cpu"))
    assert resident[:, 0, 0, 0].tolist() == list(range(20))
    taken = images.taken
    with opened(images, resident=resident) as batches:
        batches.get((0, 0), (0, 1))
        batches.get((0, 1))
    assert images.taken == taken


def test_images_are_resident_where_half_the_memory_holds_them() -> None:
    assert fits(Numbered(10, side=4), 2 * 160)
    assert not fits(Numbered(10, side=4), 2 * 160 - 1)
    assert make_resident(Numbered(10), torch.device("cpu")) is None, "they are in memory already"
