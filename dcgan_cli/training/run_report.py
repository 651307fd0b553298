"""How a run ended."""

from collections.abc import Mapping
from typing import Any

from dcgan_cli.report import Report
from dcgan_cli.training.events import Finished
from dcgan_cli.training.run_folder import RunFolder
from dcgan_cli.training.trainer import Trainer


def run_report(
    end: Finished,
    folder: RunFolder,
    trainer: Trainer,
    verdict: str,
    samples: Mapping[str, Any] | None,
) -> Report:
    """What a script wants to know of a run (docs/json.md).

    `verdict` is how it ended, in words; `samples` is what its last samples are.
    """
    data, training = trainer.about["data"], trainer.about["training"]
    facts = {
        "run": str(folder.path),
        "file": str(folder.last),
        "checkpoint": end.checkpoint,
        "step": end.step,
        "epoch": end.epoch,
        "seconds": end.seconds,
        "interrupted": end.signal is not None,
        "source": data["location"],
        "content": data["content"],
        "images": data["images"],
        "size": trainer.model.size,
        "channels": trainer.model.channels,
        "preset": training["preset"],
        "loss": training["loss"],
        "seed": training["seed"],
        "batch_size": trainer.recipe.batch_size,
        "device": training["device"],
        "precision": training["precision"],
        "d_loss": end.metrics.get("d_loss"),
        "g_loss": end.metrics.get("g_loss"),
        "samples": samples,
        "best": _best(folder, trainer),
        "diagnostics": [
            {
                "step": event.step,
                "name": event.diagnosis.name,
                "sign": event.diagnosis.sign,
                "action": event.action,
            }
            for event in trainer.diagnosis_events
        ],
    }
    return Report("Training", facts, verdict=verdict)


def _best(folder: RunFolder, trainer: Trainer) -> dict[str, Any] | None:
    """The best state by `--evaluate-every`; None where nothing was evaluated."""
    found = trainer.evaluations
    if found.best is None:
        return None
    file, kid = str(folder.best), found.best.value
    return {"file": file, "epoch": found.best_epoch, "step": found.best_step, "kid": kid}
