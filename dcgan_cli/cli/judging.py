"""From labelled pictures to a judge, with every step said; shared by `concepts learn` and `arithmetic`."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from dcgan_cli.cli.console import Console
from dcgan_cli.cli.pictures import Request, look, prepare_shown
from dcgan_cli.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import torch

    from dcgan_cli.analysis.concepts.judge import Judge, Verdict
    from dcgan_cli.analysis.drawing import Drawing
    from dcgan_cli.analysis.views import Numbers
    from dcgan_cli.checkpoint.format import Checkpoint
    from dcgan_cli.data.labels import Column
    from dcgan_cli.errors import UsageError
    from dcgan_cli.model.discriminator import Discriminator
    from dcgan_cli.report import Finding

LIMIT = 4000
"""Labelled pictures that a judge learns from and is examined on, where nothing else is said."""

Limit = Annotated[int, typer.Option(help="Learn to judge from so many pictures at most.", min=100)]
"""The option that says otherwise."""


@dataclass(frozen=True, eq=False)
class Bench:
    """A judge, and what it takes to measure with it.

    Attributes:
        judge: who knows the labels' words.
        discriminator: with whose features it sees.
        signed: the real pictures that it learnt from, [N, C, S, S] in [−1, 1].
        columns: their labels.
        samples: its verdicts on plain samples of the generator; empty before `with_samples`.
        without: directions of Z that shall play no part, orthonormal rows [R, z_dim].
        findings: how far it can be trusted.
    """

    judge: "Judge"
    discriminator: "Discriminator"
    signed: "torch.Tensor"
    columns: "Mapping[str, Column]"
    samples: "Mapping[str, Verdict]"
    without: "Numbers | None"
    findings: "Sequence[Finding]"

    def with_samples(
        self,
        console: Console,
        drawing: "Drawing",
        count: int,
        seed: int,
        orthogonal_to: list[str],
    ) -> "Bench":
        """The bench after a look at plain samples, and the directions of `orthogonal_to`.

        Raises UsageError where the judge knows no such attribute.
        """
        import numpy as np

        from dcgan_cli.analysis.arithmetic.directions import attribute_axes, orthonormal
        from dcgan_cli.analysis.concepts.learning import agreements, score_samples
        from dcgan_cli.report import Estimate, Finding

        for name in orthogonal_to:
            if name not in self.judge.attributes:
                raise _unknown("--orthogonal-to", name, self.judge.attributes)
        with console.progress("judging samples") as bar:
            latents, samples = score_samples(drawing, self.judge, count, seed, bar)
        findings = [*self.judge.findings(), *agreements(samples, self.judge)]
        axes: list[Numbers] = []
        for name in orthogonal_to:
            rows, explained = attribute_axes(latents, samples[name].evidence)
            axes.append(rows)
            what = f"{name} explained by a direction of Z (R² on samples kept back)"
            findings.append(
                Finding(f"linear_{name}", what, explained, Estimate(0.0), "the mean", about=name)
            )
        without = orthonormal(np.concatenate(axes)) if axes else None
        return replace(self, samples=samples, without=without, findings=findings)


def train_judge(
    console: Console,
    request: Request,
    model: "Checkpoint",
    device: "torch.device",
    option: str,
    attributes: list[str] | None = None,
    seed: int = 0,
) -> Bench:
    """Read the labelled pictures of `request` and learn from them.

    `option` names the source in errors; `attributes` keeps these columns alone.

    Raises:
        UsageError: no labels, or no such column.
        DcganError: nothing that can be judged better than chance.
    """
    import numpy as np
    import torch

    from dcgan_cli.analysis.concepts.judge import fit_judge
    from dcgan_cli.data.pixels import to_signed

    source, _ = look(console, request)
    columns = dict(source.labels.columns) if source.labels is not None else {}
    columns = _chosen(columns, attributes, option, request)
    pictures = prepare_shown(console, source, request, model)
    signed = to_signed(torch.from_numpy(pictures.take(np.arange(len(pictures)))))
    rows = {name: column[pictures.origin] for name, column in columns.items()}
    pictures.close()
    discriminator = model.build_discriminator().to(device)
    with console.progress("learning to judge") as bar:
        judge = fit_judge(signed, rows, discriminator, seed=seed, progress=bar)
    for name, reason in judge.refused.items():
        console.note(f"not judged: {name}: {reason}")
    for name, known in judge.attributes.items():
        figure = "accuracy" if known.classes else "R²"
        console.note(
            f"judge: {name} ({', '.join(known.classes) or 'a number'}): {figure} "
            f"{known.held_out.value:.3f} [{known.held_out.low:.3f}, {known.held_out.high:.3f}] on "
            f"{counted(known.held_out.n or 0, 'picture')} kept back, chance {known.chance:.3f}"
        )
    return Bench(judge, discriminator, signed, rows, {}, None, judge.findings())


def _chosen(
    columns: "dict[str, Column]", attributes: list[str] | None, option: str, request: Request
) -> "dict[str, Column]":
    """The columns to learn. Raises UsageError."""
    from dcgan_cli.errors import UsageError

    if not columns:
        raise UsageError(
            f"{option} {request.location}: has no labels to learn from; give a CSV file of them "
            f"with {'--judge-labels' if option == '--judge' else '--labels'}, or a source that has "
            "its own, such as demo:faces"
        )
    for name in attributes or ():
        if name not in columns:
            raise _unknown("--attribute", name, columns)
    return {name: columns[name] for name in attributes or columns}


def _unknown(option: str, name: str, known: "Iterable[str]") -> "UsageError":
    """There is no attribute `name`; what comes near."""
    import difflib

    from dcgan_cli.errors import UsageError

    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=3) or listed
    return UsageError(f"{option} {name}: no such attribute is judged; there are {', '.join(near)}")
