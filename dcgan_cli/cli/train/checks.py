"""What can be wrong with a `dcgan train` line, told before torch is imported."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dcgan_cli.checkpoint.find import find_checkpoint
from dcgan_cli.choices import DEFAULT_LOSS, LOSS_NAMES, POLICIES, Policy, one_of
from dcgan_cli.cli.places import refuse_overlap
from dcgan_cli.cli.request import Request, check_source
from dcgan_cli.cli.train.options import LearningOptions, NetworkOptions, RunOptions
from dcgan_cli.data.sources import Source
from dcgan_cli.errors import UsageError
from dcgan_cli.model.presets import PRESETS, with_options
from dcgan_cli.training.run_folder import KEEP, check_folder, parse_keep


def check_line(
    request: Request,
    path: Path,
    run: RunOptions,
    networks: NetworkOptions,
    learning: LearningOptions,
    overrides: Mapping[str, Any],
) -> Source | None:
    """Raise UsageError or SourceError for a line that cannot be meant; returns the images.

    None where a run goes on, whose images only its checkpoint knows, and under torchrun, where a
    refusal names the rank.
    """
    if run.resume and run.overwrite:
        raise UsageError("--resume and --overwrite exclude each other")
    if networks.begin_from is not None:
        if run.resume:
            raise UsageError(
                "--from begins a run, --resume goes on with one; leave one of them out"
            )
        find_checkpoint(networks.begin_from)
    if run.tensorboard and find_spec("tensorboard") is None:
        raise UsageError("--tensorboard needs TensorBoard; pip install 'dcgan[tensorboard]'")
    parse_keep(run.keep or KEEP)
    policy_of(run.on_unhealthy)
    preset = one_of("--preset", networks.preset or "small", tuple(PRESETS))
    one_of("--loss", learning.loss or DEFAULT_LOSS, LOSS_NAMES)
    with_options(PRESETS[preset], overrides)
    request.image_spec(1, 1)
    if request.labels is not None and not request.labels.is_file():
        raise UsageError(f"--labels {request.labels}: no such file; name a CSV file")
    check_source(request.location)
    refuse_overlap(request.location, path)
    under_torchrun = {"RANK", "TORCHELASTIC_RESTART_COUNT"} & os.environ.keys()
    if not run.profile and not under_torchrun:  # of several ranks the first one looks
        check_folder(path, run.resume, run.overwrite)
    return None if run.resume or under_torchrun else request.open()


def policy_of(typed: str) -> Policy:
    """What is done when training goes wrong. Raises UsageError."""
    one_of("--on-unhealthy", typed, POLICIES)
    return next(policy for policy in POLICIES if policy == typed)
