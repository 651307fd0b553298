"""What the papers of some losses train them with, where nothing else is typed; without torch."""

from collections.abc import Mapping
from typing import Any

from dcgan_cli.model.config import Norm

LOSS_RECIPES: Mapping[str, Mapping[str, Any]] = {
    "relativistic": {"r1": 1.0, "r2": 1.0},  # Huang et al. 2024, §2
    "wgan": {"optimizer": "rmsprop", "lr": 5e-5},  # Arjovsky et al. 2017, algorithm 1
    # Gulrajani et al. 2017, algorithm 1; β₁ 0, β₂ 0.9
    "wgan-gp": {"optimizer": "adam", "lr": 1e-4, "beta1": 0.0, "beta2": 0.9},
}
"""By the names of Recipe."""

LOSS_NORMS: Mapping[str, Norm] = {"wgan-gp": "layer"}
"""The normalization of D that a loss needs: a gradient penalty is defined per image."""
