"""Matrix products of float32 on CPUs, by the faster of the two libraries that PyTorch ships."""

import torch
from torch import Tensor

_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def matmul_nt(left: Tensor, right: Tensor) -> Tensor:
    """left·rightᵀ [M, N] of matrices [M, K] and [N, K] of the same dtype.

    For float32 PyTorch calls its BLAS, which is slow if one of the three sizes is small: on 2
    cores, [10, 4096] times [4096, 4000] takes 9 ms, with oneDNN 4 ms. PyTorch's convolutions use
    oneDNN anyway.
    """
    if _ONEDNN and left.device.type == "cpu" and left.dtype is torch.float32:
        # oneDNN is as slow as a loop if there are gaps between the rows
        right = right if right.t().is_contiguous() else right.contiguous()
        return torch.ops.mkldnn._linear_pointwise(left.contiguous(), right, None, "none", [], "")
    return left @ right.t()
