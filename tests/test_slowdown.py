"""A run that has become slow beside other programs says so once."""

import pytest

from dcgan_cli.cli.train import slowdown
from dcgan_cli.training.events import ProgressEvent


def notes(steps: list[int], busy: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said in windows of so many steps each, in pieces of ten seconds."""
    monkeypatch.setattr(slowdown, "busy_cores", lambda: busy)
    monkeypatch.setattr(slowdown, "allowed_cores", lambda: 4)
    watched, found, step, seconds = slowdown.Slowdown(), [], 0.0, 5.0
    for made in steps:
        for _ in range(3):
            step, seconds = step + made / 3, seconds + 10
            event = ProgressEvent(round(step), None, 0.0, 1.0, seconds, None, {})
            found.append(watched.note(event))
    return [note for note in found if note]


def test_it_is_said_once_what_would_help(monkeypatch: pytest.MonkeyPatch) -> None:
    (note,) = notes([300, 300, 300, 60, 60, 60, 60, 300, 60, 60], 1, monkeypatch)
    assert "5.0 times slower than before" in note
    assert "keep 1 of 4 cores busy" in note
    assert "--resume" in note


@pytest.mark.parametrize(
    ("steps", "busy"),
    [
        ([300, 300, 60, 300, 60, 300], 1),  # an image grid now and then
        ([300, 200, 180, 160, 170], 1),
        ([300, 300, 60, 60, 60], 0),
        ([60, 60, 300, 300], 2),
    ],
)
def test_else_nothing_is_said(steps: list[int], busy: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert notes(steps, busy, monkeypatch) == []
