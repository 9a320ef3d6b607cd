"""Texts of others that would act on a terminal, on markup or on a layout, and events made of them."""

import dataclasses
import os

from cifar_tui.engine.config.file import config_to_toml
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import (
    _EVENT_TYPES,
    Alert,
    CheckpointSaved,
    ClassAccuracy,
    DataLoaded,
    EpochFinished,
    Evaluated,
    EvaluationProgress,
    LoadingProgress,
    LossPoint,
    LossWindow,
    Message,
    Phase,
    PhaseChanged,
    RankMeasured,
    RanksMeasured,
    Resumed,
    RunEnded,
    SamplesPredicted,
    StepsDone,
    TrainingFinished,
    TrainingStarted,
    Validated,
)
from tests.runs.made_events import record

TEXTS = {
    "title": "a\x1b]0;PWNED\x07",
    "clear": "\x1b[2J\x1b[H\x1b[31mred",
    "8-bit codes": "\x9b2J\x9d0;PWNED\x9c",
    "bell": "a\x07",
    "backspaces": "good\b\b\b\bevil",
    "carriage return": "good\revil",
    "newline": "a\nb",
    "tab": "a\tb",
    "null": "a\0b",
    "closing tag": "[/",
    "closing tags": "[/][/red][/]",
    "markup": "[red]x",
    "link": "[link=https://example.org]x[/link]",
    "action": "[@click=app.quit]x[/]",
    "backslash": "x\\",
    "long": "x" * 300,
    "wide": "界" * 300,
    "odd wide": "a" + "界" * 300,
    "marks": "e" + "\u0301" * 300,
    "leading mark": "\u0301e",
    "right to left": "\u202egnp.exe",
    "isolate": "a\u2066b",
    "zero width": "\u200b\u2060\ufeff",
    "filler": "\u3164",
    "variation": "\u2600\ufe0f",
    "emoji": "\U0001f469\u200d\U0001f52c\U0001f1e9\U0001f1ea\U0001f44d\U0001f3fd",
    "tags": "a\U000e0041",
    "surrogates": "a\udcff\udc80",
    "line separators": "a\u2028b\x85c",
    "spaces": "  ",
    "no-break": "a\xa0b\u3000c",
}
"""What somebody may call a class, a run, a file or a device."""

# no name of a file is longer than 255 bytes, or has a slash or a null character
FILE_NAMES = {kind: text[:80].replace("/", "|").replace("\0", "0") for kind, text in TEXTS.items()}

EXAMPLES = (
    PhaseChanged(phase=Phase.LOADING, message="loading"),
    LoadingProgress(stage="decoding", done=1, total=4, unit="images"),
    DataLoaded(title="data", synthetic=False, class_names=("a", "b"), train_images=40, test_images=20),
    PhaseChanged(phase=Phase.TRAINING, message="training"),
    TrainingStarted(run="run", device="cpu", backend="eager", steps_per_epoch=10, total_steps=20),
    LossPoint(
        step=5,
        steps=5,
        epoch=1,
        batch=5,
        loss=2.0,
        accuracy=0.4,
        learning_rate=0.1,
        images=20,
        train_seconds=1.0,
    ),
    StepsDone(step=6, epoch=1, batch=6, train_seconds=1.2),
    LossWindow(epoch=1, batch=6, step=6, loss=2.0),
    SamplesPredicted(step=6, predicted=(0, 1, 1, 0), confidences=(0.9, 0.8, 0.7, 0.6)),
    EvaluationProgress(done=10, total=20, correct=5, batch=1, batches=2),
    Evaluated(
        step=6,
        final=False,
        correct=12,
        total=20,
        loss=1.0,
        per_class=(
            ClassAccuracy(name="a", correct=8, total=10),
            ClassAccuracy(name="b", correct=4, total=10),
        ),
    ),
    RanksMeasured(
        ranks=(
            RankMeasured(host="a", device="cpu", images_per_second=10.0, waited=0.1),
            RankMeasured(host="b", device="cpu", images_per_second=9.0, waited=0.0),
        ),
    ),
    EpochFinished(epoch=1, step=10, loss=2.0, accuracy=0.4, train_seconds=2.0),
    Validated(epoch=1, step=10, correct=5, total=10, loss=1.0, best=True),
    CheckpointSaved(path="last.pt", step=10, reason="epoch"),
    Resumed(step=10, epoch=1, batch=10, train_seconds=2.0),
    Message(text="a message"),
    Message(text="as the tutorial prints it", printed=True),
    Alert(text="an alert"),
    TrainingFinished(completed=True, epoch=2, step=20, train_seconds=4.0, images=80, final_loss=1.0),
    PhaseChanged(phase=Phase.FAILED, message="failed"),
    RunEnded(exit_code=4, error="an error"),
)
"""A run with every kind of event, which fails at its end."""

assert {type(event) for event in EXAMPLES} == set(_EVENT_TYPES.values())


def with_text(value, text):
    """The dataclass `value` with `text` in place of every text in it; several in a tuple get numbers."""
    changes = {}
    for field in dataclasses.fields(value):
        before = getattr(value, field.name)
        if type(before) is str:  # not a phase
            changes[field.name] = text
        elif isinstance(before, tuple) and before and isinstance(before[0], str):
            changes[field.name] = tuple(f"{text}{number}" for number in range(len(before)))
        elif isinstance(before, tuple) and before and dataclasses.is_dataclass(before[0]):
            numbered = ((entry, f"{text}{number}") for number, entry in enumerate(before))
            changes[field.name] = tuple(with_text(entry, own) for entry, own in numbered)
    return dataclasses.replace(value, **changes)


def hostile_run(text):
    """The events of `EXAMPLES` with `text` in all their fields."""
    return [with_text(event, text) for event in EXAMPLES]


def write_hostile_runs(checkpoints, *, unknown_every):
    """Write a run for each of `TEXTS`, called by it, into `checkpoints`, and return that.

    Every `unknown_every`th has a setting of a later version, called in markup.
    """
    for number, (kind, text) in enumerate(TEXTS.items()):
        folder = checkpoints / f"{FILE_NAMES[kind]}{number}"
        folder.mkdir()
        config = TrainConfig(data=f"/{text}".encode(errors="replace").decode(), epochs=number + 1)
        unknown = "" if (number + 1) % unknown_every else f'"{"[/red]" * 9}{number}" = 1\n'
        (folder / "config.toml").write_text(config_to_toml(config) + unknown)
        (folder / "name").write_bytes(os.fsencode(text))
        record(folder, *hostile_run(text))
    return checkpoints
