"""Regularizers of the discriminator: weight clipping and penalties of its gradient.

A new regularizer is a function here, its weight in `losses.Loss` or `Recipe`, and a line in `step.py`
that adds it to D's objective.
"""

import torch
from torch import Tensor, nn


@torch.no_grad()
def clip_weights(discriminator: nn.Module, limit: float) -> None:
    """Clip every trained weight of D to [−limit, limit], in place (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in discriminator.parameters():
        if parameter.requires_grad:
            parameter.clamp_(-limit, limit)


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """E (‖∇D(x̂)‖₂ − 1)² at x̂ between real and fake (Gulrajani et al. 2017, eq. 3).

    x̂ = real + alpha · (fake − real), with `alpha` in [0, 1], [N, 1, 1, 1]. Differentiable with
    respect to D's parameters.
    """
    between = torch.lerp(real, fake, alpha).requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(2, dim=1) - 1).square().mean()


def squared_gradient(discriminator: nn.Module, images: Tensor) -> Tensor:
    """E ‖∇D(x)‖₂² at `images` [N, C, S, S] (Mescheder et al. 2018, eq. 9, without γ/2).

    Differentiable with respect to D's parameters.
    """
    images = images.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean()
