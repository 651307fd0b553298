"""Named networks with their recipes: what `--preset` chooses between.

Sources: Radford et al. 2015, §4 and Fig. 1; the authors' released code for values that the paper
does not state; soumith/dcgan.torch and pytorch/examples for the two other variants in wide use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from dcgan_cli.model.config import ModelConfig
from dcgan_cli.model.recipe import Recipe

HYPERPARAMETERS = frozenset(
    field.name for part in (ModelConfig, Recipe) for field in fields(part) if field.name != "epochs"
)
"""What a preset decides and an option overrides; how long is said apart."""


@dataclass(frozen=True)
class Preset:
    """A named model configuration and recipe; `about` is its line in help texts.

    `ema` is the decay of the EMA of G, if it keeps one.
    """

    about: str
    model: ModelConfig
    recipe: Recipe
    ema: float | None = None


_TORCH_NETWORK = ModelConfig(
    z_dist="normal", ngf=64, ndf=64, kernel=4, projection="channel", bn_eps=1e-5
)

PRESETS: dict[str, Preset] = {
    "paper": Preset(
        "the authors' faces code: 5×5 kernels, 128 maps, uniform z",
        ModelConfig(),
        Recipe(weight_decay=1e-5, updates="alternate"),
    ),
    "torch": Preset(
        "soumith/dcgan.torch: 4×4 kernels, 64 maps, random crops and flips",
        _TORCH_NETWORK,
        Recipe(batch_size=64, crop="random", flip=True),
    ),
    "tutorial": Preset(
        "pytorch/examples: 4×4 kernels, 64 maps", _TORCH_NETWORK, Recipe(batch_size=64)
    ),
    "small": Preset(
        "pytorch/examples at half the width, for CPUs: 4×4 kernels, 32 maps",
        replace(_TORCH_NETWORK, ngf=32, ndf=32),
        Recipe(batch_size=64),
    ),
    "photos": Preset(
        "small in batches of 16, with an EMA of G: most from a few minutes on a CPU",
        replace(_TORCH_NETWORK, ngf=32, ndf=32),
        Recipe(batch_size=16),
        ema=0.999,
    ),
}


def with_options(preset: Preset, options: Mapping[str, Any]) -> tuple[ModelConfig, Recipe]:
    """The preset with every option that is not None replaced.

    Raises UsageError for a value out of range, TypeError for a name that neither dataclass has.

    Example: `model, recipe = with_options(PRESETS["small"], {"size": 32, "lr": 1e-4})`.
    """
    given = {name: value for name, value in options.items() if value is not None}
    of_model = {field.name for field in fields(ModelConfig)}
    model = replace(preset.model, **{k: v for k, v in given.items() if k in of_model})
    recipe = replace(preset.recipe, **{k: v for k, v in given.items() if k not in of_model})
    return model, recipe
