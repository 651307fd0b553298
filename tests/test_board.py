"""What `dcgan train --tensorboard` shows of its samples."""

import numpy as np
import pytest
import tiny

from dcgan_cli.cli.train.display import _grid


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_are_one_grid_of_eight_to_a_row_on_white(channels: int) -> None:
    images = tiny.Noise(11, channels=channels).images
    grid = _grid(images)
    side = 16 + 2
    assert grid.shape == (3, 2 * side + 2, 8 * side + 2)
    for number, image in enumerate(images):
        row, column = divmod(number, 8)
        y, x = 2 + row * side, 2 + column * side
        shown = grid[:, y : y + 16, x : x + 16].permute(1, 2, 0).numpy()
        assert np.array_equal(shown, np.broadcast_to(image, (16, 16, 3)))
    assert (grid[:, :2] == 255).all()
    assert (grid[:, side + 2 :, 3 * side + 2 :] == 255).all(), "no image, white"
