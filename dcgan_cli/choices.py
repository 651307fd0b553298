"""The allowed values of options; needs no torch, so that a command line is checked at once."""

from collections.abc import Sequence
from typing import Literal, get_args

from dcgan_cli.errors import UsageError

Policy = Literal["warn", "stop", "rollback"]
"""What a run does when its diagnostics find something wrong."""

BatchNormMode = Literal["running", "batch", "reestimated"]
"""Which batch-norm statistics images are generated with: model/batch_norm_statistics.py."""

PathKind = Literal["linear", "slerp"]
"""How a path through latent space is interpolated: analysis/interpolate/paths.py."""

Rule = Literal["guided", "leaky", "gradient"]
"""How gradients are propagated through LeakyReLU: model/hooks.py."""

Layout = Literal["slide", "paper", "audit"]
"""What a figure is for: render/figure.py."""

LossName = Literal["non-saturating", "minimax", "lsgan", "hinge", "relativistic", "wgan", "wgan-gp"]
"""What G and D minimize: training/losses.py."""

POLICIES: tuple[Policy, ...] = get_args(Policy)
MODES: tuple[BatchNormMode, ...] = get_args(BatchNormMode)
PATHS: tuple[PathKind, ...] = get_args(PathKind)
RULES: tuple[Rule, ...] = get_args(Rule)
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
LOSS_NAMES: tuple[LossName, ...] = get_args(LossName)
DEFAULT_LOSS = LOSS_NAMES[0]
CONTROLS = ("random", "pixels", "knn", "kmeans", "supervised")
"""What a probe is compared with: analysis/probe_svm/baselines.py."""

HELD_OUT = 0.2
"""The share of the images that a probe keeps for the test where nothing else says which are."""

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")


def one_of(option: str, value: str, allowed: Sequence[str]) -> str:
    """`value`. Raises UsageError, naming all that is allowed, where it is none of them."""
    if value not in allowed:
        raise UsageError(f"{option} {value}: expected one of {', '.join(allowed)}")
    return value


def check_device(name: str) -> str:
    """`name`, a kind of device with or without a number. Raises UsageError for other kinds."""
    kind, colon, number = name.partition(":")
    if kind not in DEVICES or (
        colon and (kind not in ("cuda", "mps", "cpu") or not number.isdecimal())
    ):
        raise UsageError(
            f"--device {name}: unknown device; expected one of {', '.join(DEVICES)}, or cuda:1"
        )
    return name
