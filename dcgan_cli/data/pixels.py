"""The conversion between stored uint8 pixels and the networks' range [−1, 1] (paper §4)."""

import torch

from dcgan_cli.report import Images


def normalize(images: torch.Tensor) -> torch.Tensor:
    """uint8 [N, H, W, C] → float32 [N, C, H, W] in [−1, 1], on the same device: x / 127.5 − 1.

    Example: `normalize(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))` is all −1.
    """
    return images.permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1.0)


def to_uint8(normalized: torch.Tensor) -> Images:
    """Float [N, C, H, W] → uint8 [N, H, W, C]: the inverse of `normalize`, rounded and clipped."""
    scaled = (normalized.detach().float() + 1.0).mul_(127.5).round_().clamp_(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
