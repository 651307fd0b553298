"""Memory formats make networks faster and change nothing else."""

from pathlib import Path

import tiny
import torch

from dcgan_cli.analysis.sampling import Sampler
from dcgan_cli.model.discriminator import Discriminator
from dcgan_cli.model.generator import Generator
from dcgan_cli.model.latents import seeded_latents
from dcgan_cli.model.layers import initialize, match_gradient
from dcgan_cli.runtime import torch_stream

LAST = torch.channels_last


def test_a_gradient_arrives_in_the_format_of_its_maps() -> None:
    for layout in (torch.contiguous_format, LAST):
        weight = torch.randn(2, 3, 4, 5, requires_grad=True)
        maps = (2 * weight).to(memory_format=layout)
        found: list[torch.Tensor] = []
        match_gradient(maps)
        maps.register_hook(found.append)
        maps.flatten(1).square().sum().backward()
        assert found[0].is_contiguous(memory_format=layout)
        assert weight.grad is not None
        torch.testing.assert_close(weight.grad, 8 * weight.detach())


def test_maps_without_a_gradient_are_left_alone() -> None:
    match_gradient(torch.zeros(1, 2, 3, 4))


def test_gradients_are_those_of_the_plain_format() -> None:
    def gradients(layout: torch.memory_format) -> list[torch.Tensor]:
        generator, discriminator = Generator(tiny.MODEL), Discriminator(tiny.MODEL)
        for name, network in (("g", generator), ("d", discriminator)):
            initialize(network, torch_stream(0, name))
            network.double().to(memory_format=layout)
        z = torch.from_numpy(seeded_latents(0, 8, tiny.MODEL.z_dim, tiny.MODEL.z_dist)).double()
        discriminator(generator(z)).square().sum().backward()
        return [
            parameter.grad
            for network in (generator, discriminator)
            for parameter in network.parameters()
            if parameter.grad is not None
        ]

    plain, last = gradients(torch.contiguous_format), gradients(LAST)
    assert len(plain) > 8
    for one, other in zip(plain, last, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_samples_are_those_of_the_plain_format(tmp_path: Path) -> None:
    with tiny.trainer(tmp_path) as trainer:
        checkpoint = trainer.checkpoint()
    sampler = Sampler.of(checkpoint, "reestimated", torch.device("cpu"))
    latents = seeded_latents(0, 5, tiny.MODEL.z_dim, tiny.MODEL.z_dist)
    found = sampler.normalized(latents)
    assert any(
        p.is_contiguous(memory_format=LAST) and p.dim() == 4 for p in sampler.generator.parameters()
    )
    sampler.generator.to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(found, sampler.normalized(latents), rtol=1e-4, atol=1e-5)
