"""A batch of samples has the newest predictions for its images."""

import numpy as np

from cifar_tui.engine.events import SamplesPredicted
from cifar_tui.runs.source import Predictions, build_sample_batch
from cifar_tui.runs.state import RunSnapshot
from tests.runs.made_events import evaluated

IMAGES = np.zeros((10, 32, 32, 3), np.uint8)
TARGETS = np.zeros(10, np.int64)
NAMES = ("zero", "while training", "evaluated")


def shown(number, *, trained=None, tested=None, kept=None):
    """Step and predicted class of a batch: the first 4 images are predicted while training, all by tests."""
    samples = SamplesPredicted(step=trained, predicted=(1,) * 4, confidences=(0.5,) * 4)
    predictions = Predictions(step=kept, predicted=[2] * 10, confidences=[1.0] * 10)
    batch = build_sample_batch(
        number,
        images=IMAGES,
        targets=TARGETS,
        class_names=NAMES,
        snapshot=RunSnapshot(
            samples=None if trained is None else samples,
            evaluated=None if tested is None else evaluated(tested, 1),
        ),
        evaluated=None if kept is None else predictions,
    )
    return batch.step, batch.samples[-1].predicted


def test_the_first_images_have_the_newer_of_both_predictions():
    assert shown(0) == (None, None)
    assert shown(0, trained=50) == (50, "while training")
    assert shown(0, trained=50, tested=100, kept=100) == (100, "evaluated")
    assert shown(0, trained=100, tested=100, kept=100) == (100, "evaluated")
    assert shown(0, trained=150, tested=100, kept=100) == (150, "while training")


def test_the_others_have_those_of_the_last_evaluation():
    assert shown(2, trained=50) == (None, None)
    assert shown(2, trained=150, tested=100, kept=100) == (100, "evaluated")


def test_predictions_of_another_evaluation_are_not_shown():
    assert shown(2, tested=100, kept=200) == (None, None), "steps that a resume trains again"
    assert shown(2, kept=200) == (None, None)
    assert shown(0, trained=150, tested=200, kept=100) == (150, "while training")


def test_an_evaluation_of_a_file_of_weights_has_no_step():
    assert shown(0, tested=0, kept=None) == (None, None)
    assert shown(2, tested=0, kept=0) == (0, "evaluated")
