"""The options of `dcgan train` in groups; defaults in their help are those of what they set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

from typer import Option

from dcgan_cli.choices import LOSS_NAMES, POLICIES
from dcgan_cli.cli import options
from dcgan_cli.cli.request import Request
from dcgan_cli.model.config import DiscriminatorNorm, ModelConfig, Norm, ZDistribution
from dcgan_cli.model.presets import HYPERPARAMETERS, PRESETS
from dcgan_cli.model.recipe import AUGMENTATIONS, USUAL_STEPS, Optimizer, Recipe
from dcgan_cli.training.loss_recipes import LOSS_NORMS, LOSS_RECIPES
from dcgan_cli.training.run_folder import KEEP

WGAN, WGAN_GP = LOSS_RECIPES["wgan"], LOSS_RECIPES["wgan-gp"]
RELATIVISTIC = LOSS_RECIPES["relativistic"]


def _short(value: float) -> str:
    """2e-4 for 0.0002."""
    return f"{value:.0e}".replace("e-0", "e-")


def _or(words: Any) -> str:
    """A, b or c."""
    *first, last = words
    return f"{', '.join(first)} or {last}"


@dataclass(frozen=True)
class RunOptions:
    """What is trained when, and what is kept of it."""

    panel = "Run"
    run: Annotated[str | None, Option(help="Name of the run. Default: from SOURCE.")] = None
    out: Annotated[Path, Option(help="Folder of all runs.")] = Path("checkpoints")
    resume: Annotated[bool, Option("--resume", help="Go on with the run, bit for bit.")] = False
    overwrite: Annotated[bool, Option("--overwrite", help="Begin anew, deleting the run.")] = False
    epochs: Annotated[
        float | None,
        Option(
            help=f"Passes over the images. Default: {Recipe.epochs}, or more: so many that "
            f"{USUAL_STEPS:,} steps are made.",
            min=0,
        ),
    ] = None
    steps: Annotated[int | None, Option(help="Or so many steps in all.", min=0)] = None
    minutes: Annotated[float | None, Option(help="Or so long from now.", min=0)] = None
    keep: Annotated[
        str | None,
        Option(
            help="Newest epoch checkpoints to keep beside epochs 1 and 5: a number or 'all'. "
            f"Default: {KEEP}, or what the run was told before.",
            show_default=False,
        ),
    ] = None
    save_minutes: Annotated[float, Option(help="Write last.pt at least so often.", min=0.01)] = 10.0
    on_unhealthy: Annotated[
        str,
        Option(help="When training goes wrong: warn, stop, or rollback (to last.pt, half the lr)."),
    ] = POLICIES[0]
    evaluate_every: Annotated[
        int | None,
        Option(
            help="Compare samples with the images (KID) at least so many epochs apart; best.pt is the "
            "best state.",
            min=1,
        ),
    ] = None
    profile: Annotated[
        bool,
        Option("--profile", help="Make a few steps, say where their time goes, and write nothing."),
    ] = False
    tensorboard: Annotated[bool, Option("--tensorboard", help="Write TensorBoard files too.")] = (
        False
    )


@dataclass(frozen=True)
class ImageOptions:
    """Which images are trained on, and how they are read."""

    panel = "Images"
    labels: Annotated[Path | None, Option(help="CSV: file, then labels or boxes.")] = None
    limit: Annotated[int | None, Option(help="Use so many, evenly spread.", min=1)] = None
    size: Annotated[
        int | None,
        Option(
            help=f"Side in pixels, 4 to 7 times a power of two. Default: up to {ModelConfig.size}."
        ),
    ] = None
    channels: Annotated[int | None, Option(help="1 or 3. Default: as the images are.")] = None
    crop: Annotated[str | None, Option(help="center, or random (from 1.5 × size).")] = None
    flip: Annotated[bool | None, Option("--flip/--no-flip", help="Mirror half of them.")] = None
    background: Annotated[
        str, Option(help="Color behind transparent images, and around those of --fit pad.")
    ] = Request.background
    fit: Annotated[
        str,
        Option(
            help="How an image that is no square becomes one: crop (its middle), pad (whole, on "
            "--background) or stretch (samples are drawn in the images' usual shape again)."
        ),
    ] = Request.fit
    levels: Annotated[
        str | None,
        Option(
            help="Values of black and white in images of more than 8 bits, such as 0,4095. "
            "Default: from the images as a whole.",
            show_default=False,
        ),
    ] = None
    workers: Annotated[int | None, Option(help="Decoding processes. Default: one a core.")] = None
    no_cache: Annotated[bool, Option("--no-cache", help="Decode at every visit.")] = False
    cache_limit: Annotated[float, Option(help="Most GiB of decoded images kept.")] = (
        Request.cache_gib
    )
    max_unreadable: Annotated[
        float, Option(help="Refuse when a larger share cannot be read.", min=0, max=1)
    ] = Request.max_unreadable

    def request(self, location: str) -> Request:
        """The images at `location`, read so."""
        return Request(
            location,
            self.labels,
            self.limit,
            self.background,
            self.fit,
            self.levels,
            workers=self.workers,
            use_cache=not self.no_cache,
            cache_gib=self.cache_limit,
            max_unreadable=self.max_unreadable,
        )


@dataclass(frozen=True)
class NetworkOptions:
    """What G and D are; None: as the preset says."""

    panel = "Networks"
    begin_from: Annotated[
        str | None,
        Option(
            "--from",
            help="Begin with the networks of this checkpoint, run or bundled model, trained on "
            "other images.",
        ),
    ] = None
    preset: Annotated[
        str | None, Option(help=f"{_or(PRESETS)}. Default: paper on a GPU, small on a CPU.")
    ] = None
    z_dim: Annotated[int | None, Option(help=f"Length of z ({ModelConfig.z_dim}).")] = None
    z_dist: Annotated[str | None, Option(help=f"{_or(get_args(ZDistribution))}.")] = None
    ngf: Annotated[int | None, Option(help="Width of the generator.")] = None
    ndf: Annotated[int | None, Option(help="Width of the discriminator.")] = None
    kernel: Annotated[int | None, Option(help="Side of the kernels: 3, 4, 5.")] = None
    projection: Annotated[str | None, Option(help="First batch norm, per unit or channel.")] = None
    bn_eps: Annotated[float | None, Option(help="ε of batch norm.")] = None
    g_norm: Annotated[str | None, Option(help=f"{_or(get_args(Norm))}.")] = None
    d_norm: Annotated[
        str | None,
        Option(
            help=f"{_or(get_args(DiscriminatorNorm))}. Default: {ModelConfig.d_norm}; "
            f"{LOSS_NORMS['wgan-gp']} for wgan-gp."
        ),
    ] = None


@dataclass(frozen=True)
class LearningOptions:
    """How they are trained; None: as the preset and the loss say."""

    panel = "Learning"
    loss: Annotated[str | None, Option(help=f"{', '.join(LOSS_NAMES)}. Default: the first.")] = None
    d_steps: Annotated[int | None, Option(help="D updates per G update.", min=1)] = None
    updates: Annotated[
        str | None, Option(help="together (D and G on each batch) or alternate.")
    ] = None
    batch_size: Annotated[
        int | None, Option(help="Images a batch; under torchrun, shared out among all processes.")
    ] = None
    sync_bn: Annotated[
        bool | None,
        Option(
            "--sync-bn/--no-sync-bn",
            help="Under torchrun: batch norm over the whole batch, so that any number of "
            "processes make the same run (default), or over each process's share, which saves "
            "their talking.",
            show_default=False,
        ),
    ] = None
    optimizer: Annotated[
        str | None,
        Option(
            help=f"{_or(get_args(Optimizer))}. Default: {Recipe.optimizer}; {WGAN['optimizer']} for "
            "--loss wgan."
        ),
    ] = None
    lr: Annotated[
        float | None,
        Option(
            help=f"Learning rate. Default: {_short(Recipe.lr)}; {_short(WGAN['lr'])} for wgan, "
            f"{_short(WGAN_GP['lr'])} for wgan-gp."
        ),
    ] = None
    lr_g: Annotated[float | None, Option(help="Learning rate of G, if it has its own.")] = None
    lr_d: Annotated[float | None, Option(help="Learning rate of D, if it has its own.")] = None
    beta1: Annotated[
        float | None, Option(help=f"Adam's β₁ ({Recipe.beta1:g}; wgan-gp {WGAN_GP['beta1']:g}).")
    ] = None
    beta2: Annotated[
        float | None, Option(help=f"Adam's β₂ ({Recipe.beta2:g}; wgan-gp {WGAN_GP['beta2']:g}).")
    ] = None
    weight_decay: Annotated[float | None, Option(help="L2 on all weights.")] = None
    augment: Annotated[
        str | None,
        Option(
            help=f"Change all that D sees at random, so that it does not learn few images by heart: "
            f"{','.join(AUGMENTATIONS)}, some of them, or none. Default: {Recipe.augment}."
        ),
    ] = None
    r1: Annotated[
        float | None,
        Option(
            help=f"Weight of the penalty of D's gradient at real images ({Recipe.r1:g}; "
            f"{RELATIVISTIC['r1']:g} for relativistic)."
        ),
    ] = None
    r2: Annotated[
        float | None,
        Option(
            help=f"The same at generated images ({Recipe.r2:g}; {RELATIVISTIC['r2']:g} for "
            "relativistic)."
        ),
    ] = None
    freeze_d: Annotated[
        int | None,
        Option(help="Do not train so many layers of D, from the image on; for --from."),
    ] = None
    ema: Annotated[
        float | None,
        Option(help="Also keep an EMA of G with this decay, e.g. 0.999.", min=0, max=1),
    ] = None


@dataclass(frozen=True)
class MachineOptions:
    """What a run works with."""

    seed: options.Seed = 0
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    threads: options.Threads = None


def hyperparameters(*groups: ImageOptions | NetworkOptions | LearningOptions) -> dict[str, Any]:
    """What was typed of the networks and of the recipe, by the names of their dataclasses."""
    given = {name: value for group in groups for name, value in vars(group).items()}
    return {name: given[name] for name in given.keys() & HYPERPARAMETERS if given[name] is not None}
