"""`dcgan concepts learn`: exemplars found by an attribute classifier of labeled real images."""

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from dcgan_cli.cli import options
from dcgan_cli.cli.request import check_source
from dcgan_cli.errors import UsageError

SAMPLES, EXEMPLARS = 4096, 32


def learn(
    checkpoint: options.Checkpoint = None,
    data: Annotated[
        str | None,
        Option(
            help="Labeled real images, as in dcgan train: demo:faces, faces.zip.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None, Option(help="A CSV file of labels that joins the images.")
    ] = None,
    limit: Annotated[
        int, Option(help="Learn to classify from so many images at most.", min=100)
    ] = options.CLASSIFIER_LIMIT,
    attribute: Annotated[
        list[str] | None,
        Option(help="Learn this column of the labels alone; repeatable. Default: all."),
    ] = None,
    concept: Annotated[
        list[str] | None,
        Option(
            help='Make this concept: "smiling_woman=smiling & woman"; repeatable. Default: every '
            "class, and every pair of classes of two attributes."
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        Option(
            help="What a column of yes and no is called, if it is so and if not: male=man/woman; "
            "repeatable. Default: male, not_male."
        ),
    ] = None,
    exemplars: Annotated[
        int, Option(help="Exemplars of each concept; the paper has 3.", min=3)
    ] = EXEMPLARS,
    samples: Annotated[
        int, Option(help="How many samples are classified to find them.", min=100)
    ] = SAMPLES,
    seed: options.Seed = 0,
    *,
    sampling: options.Sampling,
    common: options.Common,
) -> None:
    """Find exemplars with an attribute classifier that learns from labeled real images.

    The attribute classifier is linear, on the discriminator's features or on small pixels,
    whichever does better; its accuracy on images that it did not learn from is printed, and labels
    in which it is no better than chance are refused. It looks at many samples; the most certain
    ones that differ in everything else become the exemplars. Concepts of the same name are
    replaced.

    [bold]Examples[/bold]

      dcgan concepts learn --data demo:faces

      dcgan concepts learn faces --data faces.zip --labels labels.csv --attribute smile

      dcgan concepts learn --data demo:faces --concept "smiling_woman=smiling & woman"

      dcgan concepts learn faces --data faces.zip --name male=man/woman --name smile=smiling/neutral
    """
    if data is None:
        raise UsageError("--data SOURCE is missing: labeled images such as demo:faces")

    check_source(data)

    from dcgan_cli.analysis.concepts import concept_search
    from dcgan_cli.analysis.concepts.words import parse_names
    from dcgan_cli.checkpoint.concepts import own_concepts, written_path
    from dcgan_cli.cli.classifier_setup import train_classifier
    from dcgan_cli.cli.concepts.storage import write
    from dcgan_cli.cli.models import open_model
    from dcgan_cli.cli.request import Request
    from dcgan_cli.cli.results import conclude

    console, machine = common.begin()
    path, model = open_model(console, checkpoint, "concepts of")
    known = own_concepts(path, model)
    request = Request(data, labels=labels, limit=limit)
    setup = train_classifier(console, request, model, machine, "--data", attribute, seed)
    classifier = setup.classifier
    names = parse_names(name or (), classifier)
    requests = [concept_search.parse_request(text, classifier, names) for text in concept or ()]
    sampler = sampling.sampler(model, machine)
    with console.progress("classifying samples") as bar:
        latents, predictions = concept_search.score_samples(sampler, classifier, samples, seed, bar)
    found, report = concept_search.find_exemplars(
        latents,
        predictions,
        requests or concept_search.default_requests(classifier, names),
        classifier,
        exemplars=exemplars,
        ends=setup.ends,
        made=f"trained on {data} (seed {seed}, --bn {sampling.bn}{' --no-ema' if sampling.no_ema else ''})",
    )
    write(console, path, model, {**known, **{one.name: one for one in found}})
    facts: dict[str, Any] = {
        "checkpoint": model.hash,
        "seed": seed,
        "samples": samples,
        "bn": sampling.bn,
        "ema": sampler.average,
        "concepts": [one.name for one in found],
    }
    conclude(console, report, common, out=written_path(path, model), **facts)
