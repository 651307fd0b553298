"""The `dcgan` command: the registry of subcommands, one line each.

Command modules import torch and its like inside their functions, so that `dcgan --help` and wrong
usage answer at once.
"""

import sys
from itertools import pairwise
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperGroup

from dcgan_cli import __version__
from dcgan_cli.cli.arithmetic.command import arithmetic
from dcgan_cli.cli.boundary import ends_on_signals, report_losses, run_guarded
from dcgan_cli.cli.command_decorator import command
from dcgan_cli.cli.concepts.command import concepts
from dcgan_cli.cli.drop_filters.command import drop_filters
from dcgan_cli.cli.evaluate.command import evaluate
from dcgan_cli.cli.guided_backprop import guided_backprop
from dcgan_cli.cli.interpolate import interpolate
from dcgan_cli.cli.nearest_neighbors.command import nearest_neighbors
from dcgan_cli.cli.probe_svm.command import probe_svm
from dcgan_cli.cli.sample import sample
from dcgan_cli.cli.streams import secure_streams
from dcgan_cli.cli.train.command import train
from dcgan_cli.cores import configure_openmp
from dcgan_cli.errors import UsageError

COMMANDS = (
    ("train", train),
    ("sample", sample),
    ("evaluate", evaluate),
    ("interpolate", interpolate),
    ("arithmetic", arithmetic),
    ("probe-svm", probe_svm),
    ("nearest-neighbors", nearest_neighbors),
    ("concepts", concepts),
    ("drop-filters", drop_filters),
    ("guided-backprop", guided_backprop),
)


class _Dcgan(TyperGroup):
    """The command; none of its options takes an empty text, which a path would make a `.`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for option, value in pairwise([*args, "…"]):
            name, equals, rest = option.partition("=")
            if name.startswith("-") and (not value or (equals and not rest)):
                raise UsageError(f"{name} '': empty; expected a value")
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="dcgan",
    cls=_Dcgan,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command in COMMANDS:
    if isinstance(_command, typer.Typer):  # a group of subcommands
        app.add_typer(_command, name=_name)
    else:
        app.command(_name)(command(_command))


def _print_version(value: bool) -> None:
    if value:
        print(f"dcgan {__version__}")
        raise typer.Exit


@app.callback()
def _dcgan(
    version: Annotated[
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The DCGAN paper as a toolkit: train on your images, draw, calculate in Z, look inside.

    Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional Generative
    Adversarial Networks (arXiv 1511.06434).
    """


def main() -> None:
    """Run the command line and exit with its code."""
    configure_openmp()
    secure_streams()
    ends_on_signals()
    sys.exit(report_losses(run_guarded(lambda: app(standalone_mode=False))))
