"""Batch norm over the whole batch when it is divided among processes.

torch.nn.SyncBatchNorm works on CUDA only and cannot be differentiated twice, which the gradient
penalty needs. This one is made of differentiable operations, works on any device, and needs one
mean over the ranks forward and one backward.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from dcgan_cli.training.distributed import ProcessGroup


class _Synchronized(_BatchNorm):
    """A batch norm that in training mode takes its statistics from the rows of all ranks.

    All ranks must have the same number of rows. In evaluation mode nothing is exchanged.
    """

    def __init__(self, original: _BatchNorm, process_group: ProcessGroup) -> None:
        device = original.weight.device
        super().__init__(original.num_features, original.eps, original.momentum, device=device)
        self.load_state_dict(original.state_dict())
        self.process_group = process_group

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # nn.Module's own word
        """[N, C] or [N, C, H, W] → the same shape and type; statistics in float32 or better."""
        if not self.training:
            return super().forward(input)
        maps = input.float()
        axes = [axis for axis in range(maps.dim()) if axis != 1]
        variances, means = torch.var_mean(maps, axes, correction=0)
        # The ranks have equal shares, so that means can be averaged. In float64, because the
        # difference below cancels most digits.
        means, variances = means.double(), variances.double()
        mean, square = self.process_group.mean(torch.stack((means, variances + means.square())))
        variance = square - mean.square()
        self._update_running_statistics(
            mean, variance, self.process_group.size * maps.numel() // maps.shape[1]
        )
        shape = (1, -1, *[1] * (maps.dim() - 2))
        scale = self.weight * (variance + self.eps).rsqrt().float()
        shift = self.bias - mean.float() * scale
        return torch.addcmul(shift.view(shape), maps, scale.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Update the running statistics as torch.nn.BatchNorm does, with the unbiased variance."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.float(), self.momentum)
        self.running_var.lerp_((variance * count / (count - 1)).float(), self.momentum)


class SynchronizedBatchNorm1d(_Synchronized, nn.BatchNorm1d):
    """For [N, C]."""


class SynchronizedBatchNorm2d(_Synchronized, nn.BatchNorm2d):
    """For [N, C, H, W]."""


def synchronize(network: nn.Module, process_group: ProcessGroup) -> None:
    """Replace each batch norm in `network` by a synchronized one with the same weights."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm1d):
                setattr(parent, name, SynchronizedBatchNorm1d(child, process_group))
            elif isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, SynchronizedBatchNorm2d(child, process_group))
