"""Which predictions an export takes: those of the latest evaluation that are stored, and no others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.events import Resumed
from cifar_tui.engine.layout import SAMPLES_FILE
from cifar_tui.runs.disk.samples import (
    read_predictions,
    write_predictions,
    write_samples,
    write_test_files,
)
from cifar_tui.runs.export.record import read_record
from tests.runs.export.made_runs import evaluated, made_predictions, made_run
from tests.runs.made_events import record

CLASSES = ("cat", "dog", "ship")


@pytest.fixture
def folder(tmp_path):
    return made_run(tmp_path / "run")


def evaluate_again(folder, step):
    """Log another evaluation, whose predictions are all for the first class; returns them."""
    targets = np.arange(60) % 3
    predicted = np.zeros(60, int)
    record(folder, evaluated(step, targets, predicted, CLASSES))
    return made_predictions(step, targets, predicted, np.full(60, 0.5))


def test_those_of_the_latest_evaluation_are_taken(folder):
    stored = read_predictions(folder, classes=3)
    made = read_record(folder).results
    assert made.class_names == CLASSES
    assert made.predictions.step == 100
    for name in ("targets", "predicted", "confidences", "losses"):
        assert np.array_equal(getattr(made.predictions, name), getattr(stored, name)), name
    assert len(made.images) == 60
    assert (made.root, made.files) == (None, ())


def test_the_files_of_the_images_are_known(folder):
    files = tuple(f"test/cat/{number}.png" for number in range(60))
    write_test_files(folder, Path("/photos"), files)
    made = read_record(folder).results
    assert (made.root, made.files) == (Path("/photos"), files)


def test_while_a_run_is_active_those_of_its_latest_evaluation_are_taken(folder):
    write_predictions(folder, evaluate_again(folder, 150))
    made = read_record(folder)
    assert made.results.predictions.step == 150
    assert made.results.predictions.predicted.tolist() == [0] * 60
    assert made.evaluated is made.evaluations[-1]


def test_if_those_of_the_latest_evaluation_are_not_stored_earlier_ones_are_known_as_such(folder):
    evaluate_again(folder, 150)
    made = read_record(folder)
    assert (made.results.predictions.step, made.evaluated.step) == (100, 100)
    assert len(made.results.history) == 2
    assert made.evaluations[-1].step == 150


def test_predictions_of_steps_that_were_trained_again_are_not_taken(folder):
    record(folder, Resumed(step=50, epoch=1, batch=50, train_seconds=1.0))
    made = read_record(folder)
    assert (made.results, made.evaluated) == (None, None)
    assert [event.step for event in made.evaluations] == [50]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"step": 99}, id="another step"),
        pytest.param({"top_classes": np.zeros((60, 1), int)}, id="another number of correct ones"),
        pytest.param({"targets": np.full(60, 3)}, id="a class beyond the last one"),
    ],
)
def test_predictions_that_do_not_agree_with_the_event_log_are_left_out(folder, changes):
    write_predictions(folder, replace(read_predictions(folder, classes=3), **changes))
    assert read_record(folder).results is None


def test_images_of_another_test_set_are_not_shown(folder):
    split = ImageSplit(images=torch.zeros(60, 3, 32, 32, dtype=torch.uint8), targets=torch.zeros(60).long())
    write_samples(folder, split)
    made = read_record(folder).results
    assert len(made.images) == 0
    assert len(made.predictions.targets) == 60


def test_predictions_are_exported_without_images_too(folder):
    (folder / SAMPLES_FILE).unlink()
    made = read_record(folder).results
    assert (len(made.images), len(made.predictions.targets)) == (0, 60)


def test_an_evaluation_of_an_unknown_step_is_found(tmp_path):
    folder = made_run(tmp_path / "run")
    last = read_record(folder).evaluations[-1]
    record(folder, replace(last, step=0))
    write_predictions(folder, replace(read_predictions(folder, classes=3), step=None))
    made = read_record(folder)
    assert made.results.predictions.step is None
    assert made.evaluated.step == 0
