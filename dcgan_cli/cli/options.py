"""Options that commands share, each written once, and groups of them.

A group is a dataclass: a command that has a parameter of its type has all of its options, in the
order of the fields (cli/commands.py).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from dcgan_cli.choices import LAYOUTS, MODES, PRECISIONS, check_device, one_of
from dcgan_cli.cli.boundary import set_debug
from dcgan_cli.cli.console import Console

if TYPE_CHECKING:
    import torch

    from dcgan_cli.analysis.sampling import Sampler
    from dcgan_cli.checkpoint.format import Checkpoint as Model
    from dcgan_cli.cli.figures import FigureFile

Checkpoint = Annotated[
    str | None,
    Argument(
        help="A .pt file, the name of a run in checkpoints/, or nothing: the newest run (or the "
        "newest model that knows the concepts which are named).",
        show_default=False,
    ),
]
Seed = Annotated[int, Option(help="Where all randomness comes from.", min=0)]
Device = Annotated[str, Option(help="auto, cpu, cuda, cuda:1 or mps.", callback=check_device)]
Precision = Annotated[
    str,
    Option(
        help="auto, fp32 or bf16 (bf16 arithmetic, fp32 weights).",
        callback=lambda value: one_of("--precision", value, PRECISIONS),
    ),
]
Threads = Annotated[
    int | None, Option(help="CPU threads. Default: all that are free to use.", min=1)
]
BatchNorm = Annotated[
    str,
    Option(
        "--bn",
        help="Batch-norm statistics to draw with: reestimated (averaged over reference batches), "
        "batch (of one reference batch), running (moving averages of training).",
        callback=lambda value: one_of("--bn", value, MODES),
    ),
]
BATCH_NORM = "reestimated"
"""The default of --bn: the images nearest to the real ones (README, "Draw")."""

NoEma = Annotated[
    bool, Option("--no-ema", help="Draw with the last weights, not with their average.")
]
Layout = Annotated[
    str,
    Option(
        help="How the figure is composed: slide, paper (300 dots an inch) or audit (every tile with "
        "its caption).",
        callback=lambda value: one_of("--layout", value, LAYOUTS),
    ),
]
Scale = Annotated[
    int | None,
    Option(
        help="Enlarge tiles so many times. Default: until they are 128 pixels wide, on paper 192.",
        min=1,
        max=16,
        show_default=False,
    ),
]
Caption = Annotated[
    bool, Option("--caption", help="Write the figure's caption into a .txt file beside it.")
]
CLASSIFIER_LIMIT = 4000
"""Labeled images that a classifier learns from and is evaluated on, where nothing else is said."""

Show = Annotated[bool, Option("--show", help="Show the images in the terminal.")]
SaveLatents = Annotated[
    Path | None, Option(help="Write the points drawn as float32 [N, z_dim] .npy.")
]
Json = Annotated[bool, Option("--json", help="Print one JSON document on stdout.")]
Verbose = Annotated[
    bool, Option("--verbose", "-v", help="All values and tables, not the main values alone.")
]
Quiet = Annotated[bool, Option("--quiet", "-q", help="No notes and no progress on stderr.")]
Debug = Annotated[
    bool,
    Option("--debug", help="Show the traceback of an error.", callback=set_debug, is_eager=True),
]


@dataclass(frozen=True)
class Streams:
    """What a command prints, and where."""

    json: Json = False
    verbose: Verbose = False
    quiet: Quiet = False
    debug: Debug = False

    @property
    def console(self) -> Console:
        """The two streams, as loud as was asked for."""
        return Console(self.quiet)


@dataclass(frozen=True)
class Common(Streams):
    """What every command takes that computes: how it prints, and on what it works."""

    device: Device = "auto"
    threads: Threads = None

    def begin(self) -> "tuple[Console, torch.device]":
        """The two streams and the device, PyTorch's threads set. Raises UsageError."""
        from dcgan_cli.runtime import choose_device, use_threads

        use_threads(self.threads)
        return self.console, choose_device(self.device)


@dataclass(frozen=True)
class FigureOptions:
    """How the figure of an image grid is composed."""

    layout: Layout = "slide"
    scale: Scale = None
    caption: Caption = False

    def into(self, out: Path) -> "FigureFile":
        """The figure that goes into `out`. Raises UsageError for a caption beside what is no file."""
        from dcgan_cli.cli.figures import FigureFile

        return FigureFile(out, self.layout, self.scale, self.caption)


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn from a generator."""

    bn: BatchNorm = BATCH_NORM
    no_ema: NoEma = False

    def sampler(self, model: "Model", device: "torch.device") -> "Sampler":
        """What draws with the generator of `model`."""
        from dcgan_cli.analysis.sampling import Sampler

        return Sampler.of(model, self.bn, device, average=not self.no_ema)
