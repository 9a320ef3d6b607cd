"""A batch of samples has the newest predictions for its images."""

from dataclasses import replace

import numpy as np

from cifar_tui.engine.events import SamplesPredicted
from cifar_tui.runs.source import build_sample_batch, wrong_images
from tests.runs.made_results import make_results

IMAGES = np.zeros((10, 32, 32, 3), np.uint8)
TARGETS = np.zeros(10, np.int64)
NAMES = ("zero", "while training", "evaluated")


def shown(number, *, trained=None, tested=None):
    """Step and predicted class of a batch: the first 4 images are predicted while training, all by tests."""
    samples = SamplesPredicted(step=trained, predicted=(1,) * 4, confidences=(0.5,) * 4)
    predictions = replace(make_results([0] * 10, [2] * 10).predictions, step=tested or None)
    batch = build_sample_batch(
        number,
        images=IMAGES,
        targets=TARGETS,
        class_names=NAMES,
        samples=None if trained is None else samples,
        evaluated=None if tested is None else predictions,
    )
    return batch.step, batch.samples[-1].predicted


def test_the_first_images_have_the_newer_of_both_predictions():
    assert shown(0) == (None, None)
    assert shown(0, trained=50) == (50, "while training")
    assert shown(0, trained=50, tested=100) == (100, "evaluated")
    assert shown(0, trained=100, tested=100) == (100, "evaluated")
    assert shown(0, trained=150, tested=100) == (150, "while training")


def test_the_others_have_those_of_the_last_evaluation():
    assert shown(2, trained=50) == (None, None)
    assert shown(2, trained=150, tested=100) == (100, "evaluated")


def test_an_evaluation_of_a_file_of_weights_has_no_step():
    assert shown(2, tested=0) == (None, "evaluated")


def test_each_image_has_its_own_newest_prediction():
    samples = SamplesPredicted(step=150, predicted=(1,) * 5, confidences=(0.5,) * 5)
    tested = replace(make_results([0] * 10, [2] * 10).predictions, step=100)
    batch = build_sample_batch(
        1, images=IMAGES, targets=TARGETS, class_names=NAMES, samples=samples, evaluated=tested
    )
    shown = [sample.predicted for sample in batch.samples]
    assert shown == ["while training"] + ["evaluated"] * 3, "as what is wrong is told"
    assert batch.step == 100


def test_wrong_is_what_the_newest_prediction_of_an_image_says():
    samples = SamplesPredicted(step=150, predicted=(0, 1, 0, 1), confidences=(0.5,) * 4)
    tested = replace(make_results([0] * 10, [1, 1, 1, 1, 0, 2, 0, 0, 0, 2]).predictions, step=100)
    assert wrong_images(TARGETS, samples, tested) == [1, 3, 5, 9]
    assert wrong_images(TARGETS, None, tested) == [0, 1, 2, 3, 5, 9]
    assert wrong_images(TARGETS, samples, None) == [1, 3], "the others are not predicted yet"
    assert wrong_images(TARGETS, None, None) == []
