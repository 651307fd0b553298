"""`dcgan arithmetic`: add and subtract concepts, and say by measurement what came out."""

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from dcgan_cli.analysis.arithmetic.defaults import COLUMNS, EXEMPLARS, REACH, ROWS
from dcgan_cli.analysis.arithmetic.expression import Role, parse_expression
from dcgan_cli.checkpoint.names import check_points
from dcgan_cli.cli import options
from dcgan_cli.cli.outputs import NPY, PNG, WHY_PNG, Output, check_outputs
from dcgan_cli.cli.request import check_source
from dcgan_cli.errors import UsageError

SCORED = 2048
"""Samples that the classifier looks at to know how attributes vary, and along which directions."""


def arithmetic(
    checkpoint: options.Checkpoint = None,
    pos: Annotated[
        list[str] | None,
        Option(help="Add this to the displacement: a concept, samples.png#3,17,40 or z.npy."),
    ] = None,
    neg: Annotated[list[str] | None, Option(help="Subtract this from the displacement.")] = None,
    add: Annotated[list[str] | None, Option(help="What the displacement is added to.")] = None,
    expr: Annotated[
        str | None, Option(help='The same in one: "A - B + C", spaces around the signs.')
    ] = None,
    turn: Annotated[
        tuple[str, str] | None,
        Option(
            metavar="LEFT RIGHT",
            help="The turn vector instead: from LEFT to RIGHT, added to random samples (Fig. 8).",
            show_default=False,
        ),
    ] = None,
    exemplars: Annotated[
        int | None,
        Option(
            help="How many exemplars of each term are averaged (paper: 3, and 4 for --turn). "
            f"Default: {EXEMPLARS}, where a concept has so many.",
            min=1,
        ),
    ] = None,
    noise: Annotated[
        float, Option(help="Half the width of the neighbors' uniform noise.", min=0)
    ] = 0.25,
    rows: Annotated[
        int | None, Option(help=f"Samples that --turn moves. Default: {ROWS}.", min=1)
    ] = None,
    columns: Annotated[
        int | None, Option(help=f"Steps along the turn vector. Default: {COLUMNS}.", min=2)
    ] = None,
    reach: Annotated[
        float | None,
        Option(
            help=f"How many times the turn vector is added at most. Default: {REACH}, from the middle "
            "to LEFT and RIGHT; more extrapolates.",
            min=0.01,
        ),
    ] = None,
    classifier: Annotated[
        str | None,
        Option(
            "--classifier",
            "--judge",
            help="Labeled real images to train an attribute classifier on: demo:faces, faces.zip.",
        ),
    ] = None,
    classifier_labels: Annotated[
        Path | None,
        Option(
            "--classifier-labels", "--judge-labels", help="A CSV file of labels that joins them."
        ),
    ] = None,
    classifier_limit: Annotated[
        int,
        Option(
            "--classifier-limit",
            "--judge-limit",
            help="Train the classifier on this many images at most.",
            min=100,
        ),
    ] = options.CLASSIFIER_LIMIT,
    attribute: Annotated[
        list[str] | None,
        Option(help="Classify by this column of the labels alone; repeatable. Default: all."),
    ] = None,
    expect: Annotated[
        str | None,
        Option(help='What the result should be: "smiling & man". Default: what the terms say.'),
    ] = None,
    orthogonal_to: Annotated[
        list[str] | None,
        Option(help="Take this attribute's direction out of the displacement; repeatable."),
    ] = None,
    seeds: Annotated[
        int, Option(help="Number of draws of exemplars and noise that are classified.", min=1)
    ] = 1,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="The PNG. Default: arithmetic.png or turn.png; - is stdout."),
    ] = None,
    save_latents: options.SaveLatents = None,
    *,
    figure: options.FigureOptions,
    sampling: options.Sampling,
    show: options.Show = False,
    common: options.Common,
) -> None:
    """Calculate with concepts in Z: smiling woman - neutral woman + neutral man (paper Figs. 7, 8).

    The figure shows the exemplars of each term with their mean, the result among eight neighbors,
    and below it the control: the same arithmetic on pixels. With --classifier, an attribute
    classifier trained on labeled real images says what the results are, beside the pixels and
    random directions, and how far other attributes moved.

    [bold]Examples[/bold]

      dcgan arithmetic --pos smiling_woman --neg neutral_woman --add neutral_man

      dcgan arithmetic --expr "man_with_glasses - man_without_glasses + woman_without_glasses"

      dcgan arithmetic --expr "smiling_woman - neutral_woman + neutral_man" --classifier demo:faces

      dcgan arithmetic --turn turn_low turn_high --classifier demo:faces
    """
    roles = _asked(pos or [], neg or [], add or [], expr, turn)
    alone, no_turn = classifier is None, turn is None
    needs = "needs --classifier SOURCE, labeled images such as demo:faces"
    for option, is_wrong, why in (
        ("--classifier-labels", classifier_labels is not None and alone, needs),
        ("--attribute", bool(attribute) and alone, needs),
        ("--expect", expect is not None and alone, needs),
        ("--orthogonal-to", bool(orthogonal_to) and alone, needs),
        ("--seeds", seeds > 1 and alone, needs),
        ("--expect", expect is not None and turn, "is not for --turn"),
        ("--seeds", seeds > 1 and turn, "is not for --turn"),
        ("--rows", rows is not None and no_turn, "is for --turn"),
        ("--columns", columns is not None and no_turn, "is for --turn"),
        ("--reach", reach is not None and no_turn, "is for --turn"),
    ):
        if is_wrong:
            raise UsageError(f"{option}: {why}")
    target = out or Path("turn.png" if turn else "arithmetic.png")
    drawing = figure.into(target)
    outputs = (
        Output("-o", target, PNG, WHY_PNG, unnamed=out is None),
        drawing.captioned,
        Output("--save-latents", save_latents, NPY),
    )
    check_outputs(
        outputs, [classifier, classifier_labels, *(name for _, name in roles)], common.json
    )

    check_points(*(name for _, name in roles))
    check_source(classifier)

    from dcgan_cli.analysis.arithmetic.calculation import Term, calculate
    from dcgan_cli.analysis.arithmetic.reports import calculated, turned
    from dcgan_cli.analysis.arithmetic.turn import Turn
    from dcgan_cli.checkpoint.concepts import few_exemplars_warning
    from dcgan_cli.checkpoint.latent_arguments import to_npy
    from dcgan_cli.cli.classifier_setup import train_classifier
    from dcgan_cli.cli.models import open_model, read_points
    from dcgan_cli.cli.request import Request
    from dcgan_cli.cli.results import conclude

    console, machine = common.begin()
    named = [name for _, name in roles]
    path, model = open_model(console, checkpoint, "calculating with", outputs, knowing=named)
    sampler = sampling.sampler(model, machine)
    terms: list[Term] = []
    ends: list[str] = []
    for role, name in roles:
        points = read_points(console, name, model, path, sampler)
        if (warning := few_exemplars_warning(name, len(points.latents))) is not None:
            console.note(f"warning: {warning}")
        ends.append("" if points.concept is None else points.concept.end)
        meaning = {} if points.concept is None else points.concept.meaning
        terms.append(Term(role, name, points.latents, meaning))
    setup = None
    if classifier is not None:
        request = Request(classifier, labels=classifier_labels, limit=classifier_limit)
        learned = train_classifier(console, request, model, machine, "--classifier", attribute)
        setup = learned.with_samples(console.progress, sampler, SCORED, seed, orthogonal_to or [])
    without = None if setup is None else setup.without
    if turn is not None:
        left, right = (term.exemplars for term in terms)
        vector = Turn.between(
            left,
            right,
            seed=seed,
            exemplars=exemplars or EXEMPLARS,
            columns=columns or COLUMNS,
            reach=reach or REACH,
            without=without,
        )
        report, drawn = turned(
            console.progress, sampler, vector, turn, (ends[0], ends[1]), setup, rows or ROWS, seed
        )
    else:
        count = exemplars or EXEMPLARS
        done = [
            calculate(terms, seed=number, exemplars=count, noise=noise, without=without)
            for number in range(seed, seed + seeds)
        ]
        report = calculated(console.progress, sampler, terms, done, setup, seed, expect)
        drawn = done[0].results

    grid = report.grids[0].shaped(model.aspect)
    drawing.write(console, grid)
    facts: dict[str, Any] = {"orthogonal_to": orthogonal_to or []}
    if save_latents is not None:
        console.write_result(save_latents, to_npy(drawn))
        facts["latents"] = str(save_latents)
    conclude(console, report, common, out=target, shown=grid if show else None, **facts)


def _asked(
    pos: list[str], neg: list[str], add: list[str], expr: str | None, turn: tuple[str, str] | None
) -> "list[tuple[Role, str]]":
    """The terms by role and name. Raises UsageError where not exactly one thing is asked."""
    from dcgan_cli.analysis.arithmetic.expression import Role

    if bool(pos or neg or add) + (expr is not None) + (turn is not None) != 1:
        raise UsageError(
            "expected one of --pos A --neg B --add C, --expr 'A - B + C', or --turn LEFT RIGHT"
        )
    if turn is not None:
        return [("neg", turn[0]), ("pos", turn[1])]
    if expr is not None:
        return parse_expression(expr)
    if not pos and not add:
        raise UsageError("--neg alone: nothing to subtract from; give --pos or --add as well")
    named: tuple[tuple[Role, list[str]], ...] = (("pos", pos), ("neg", neg), ("add", add))
    return [(role, name) for role, names in named for name in names]
