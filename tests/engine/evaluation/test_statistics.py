"""The statistics of an evaluation are those of scikit-learn and torchmetrics."""

import numpy as np
import pytest
import sklearn.metrics
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from cifar_tui.engine.evaluation.statistics import (
    ClassStatistics,
    accuracy_by_coverage,
    calibration,
    changes,
    class_statistics,
    confusion_matrix,
    most_confused,
)

RANDOM = np.random.default_rng(0)


def logits_of(classes, count, *, sharpness=3.0):
    """Random logits, float32 (count, classes), and targets that they often get right."""
    targets = RANDOM.integers(0, classes, count)
    logits = RANDOM.normal(size=(count, classes)).astype(np.float32)
    logits[np.arange(count), targets] += 1
    return sharpness * logits, targets


CASES = {
    "ten classes": (10, *logits_of(10, 1000)),
    "two classes": (2, *logits_of(2, 50)),
    "two hundred classes": (200, *logits_of(200, 1000)),
    "a class that never occurs": (4, np.eye(4, dtype=np.float32)[[0, 1, 2, 2]], np.array([0, 1, 2, 2])),
    "a class that is only predicted": (3, np.eye(3, dtype=np.float32)[[2, 1, 0]], np.array([0, 1, 0])),
    "one image": (3, np.eye(3, dtype=np.float32)[[1]], np.array([1])),
    "one image, wrong": (3, np.eye(3, dtype=np.float32)[[1]], np.array([0])),
    "ties": (3, np.zeros((6, 3), np.float32), np.array([0, 1, 2, 0, 1, 2])),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    """The number of classes, logits and targets."""
    return request.param


def test_confusion_is_that_of_scikit_learn(case):
    classes, logits, targets = case
    found = confusion_matrix(targets, logits.argmax(axis=1), classes)
    expected = sklearn.metrics.confusion_matrix(targets, logits.argmax(axis=1), labels=range(classes))
    assert np.array_equal(found, expected)


def test_precision_recall_and_f1_are_those_of_scikit_learn(case):
    classes, logits, targets = case
    predicted = logits.argmax(axis=1)
    found = class_statistics(confusion_matrix(targets, predicted, classes))
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        targets, predicted, labels=range(classes), zero_division=np.nan
    )
    occurs = [k in targets or k in predicted for k in range(classes)]
    assert [entry.support for entry in found] == support.tolist()
    for name, expected in (("precision", precision), ("recall", recall), ("f1", f1)):
        values = [getattr(entry, name) for entry in found]
        for k, (value, wanted) in enumerate(zip(values, expected.tolist(), strict=True)):
            if value is None:
                assert np.isnan(wanted) or not occurs[k], (name, k)
            else:
                assert value == pytest.approx(wanted), (name, k)


def test_a_class_that_neither_occurs_nor_is_predicted_has_no_figures():
    nothing = ClassStatistics(support=0, predicted=0, correct=0)
    assert (nothing.recall, nothing.precision, nothing.f1) == (None, None, None)
    only_predicted = ClassStatistics(support=0, predicted=3, correct=0)
    assert (only_predicted.recall, only_predicted.precision, only_predicted.f1) == (None, 0.0, 0.0)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_calibration_error_is_that_of_torchmetrics(case, bins):
    classes, logits, targets = case
    probabilities = torch.from_numpy(logits).softmax(dim=1)
    confidences, predicted = probabilities.max(dim=1)
    found = calibration(confidences.numpy(), predicted.numpy() == targets, bins=bins)
    expected = multiclass_calibration_error(
        probabilities, torch.from_numpy(targets), num_classes=classes, n_bins=bins
    )
    assert found.error == pytest.approx(expected.item(), abs=1e-6)
    assert sum(entry.count for entry in found.bins) == len(targets)
    for entry in found.bins:
        inside = (confidences >= entry.low - 1e-7) & (confidences < entry.high + 1e-7)
        assert inside.sum() >= entry.count
        assert entry.low - 1e-7 <= entry.confidence <= entry.high + 1e-7


def test_full_confidence_is_in_the_last_bin():
    (last,) = calibration([1.0, 0.95], [True, False], bins=10).bins
    assert (last.low, last.high, last.count, last.accuracy) == (0.9, 1.0, 2, 0.5)


def test_no_predictions_have_no_error():
    assert calibration([], []).error == 0.0
    assert calibration([], []).bins == ()
    shares, accuracies = accuracy_by_coverage([], [])
    assert len(shares) == len(accuracies) == 0


def test_accuracy_over_the_share_kept_is_that_of_a_plain_loop(case):
    _, logits, targets = case
    confidences = logits.max(axis=1).round(1)  # with ties
    correct = logits.argmax(axis=1) == targets
    shares, accuracies = accuracy_by_coverage(confidences, correct)
    thresholds = sorted(set(confidences.tolist()), reverse=True)
    assert len(shares) == len(thresholds)
    for share, accuracy, threshold in zip(shares, accuracies, thresholds, strict=True):
        kept = confidences >= threshold
        assert share == pytest.approx(kept.mean())
        assert accuracy == pytest.approx(correct[kept].mean())
    assert accuracies[-1] == pytest.approx(correct.mean())


def test_the_most_confused_pairs_are_the_largest_cells_beside_the_diagonal():
    confusion = np.array([[9, 1, 0], [4, 5, 1], [0, 0, 7]])
    pairs = most_confused(confusion, 5)
    assert [(pair.truth, pair.predicted, pair.count) for pair in pairs] == [(1, 0, 4), (0, 1, 1), (1, 2, 1)]
    assert [pair.share for pair in pairs] == pytest.approx([0.4, 0.1, 0.1])
    assert most_confused(confusion, 1) == pairs[:1]


def test_the_change_of_a_class_is_that_of_its_recall():
    before = class_statistics(np.array([[1, 1, 0], [0, 2, 0], [0, 0, 0]]))
    now = class_statistics(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]]))
    assert changes(now, before) == (0.5, -0.5, None)
    assert changes(now, None) == changes(now, before[:2]) == (None, None, None)
