"""How far a run is from a baseline: at the same epoch, class by class, and image by image."""

import os
from pathlib import Path

import pytest

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.events import ClassAccuracy, Evaluated
from cifar_tui.engine.layout import SAMPLES_FILE
from cifar_tui.runs.curves import Curves
from cifar_tui.runs.differences import (
    class_differences,
    compare_images,
    difference_at_epoch,
    epochs_done,
    images_compared,
    other_images,
    recent_mean,
    why_not_compared,
)
from cifar_tui.runs.disk.samples import write_test_files
from cifar_tui.runs.disk.store import write_config
from cifar_tui.runs.evaluated import read_results
from tests.runs.made_evaluations import evaluate


def curves(values, *, length=100, tests=(), offset=0.0):
    """A curve with a point each tenth of an epoch; `tests` are (epoch, accuracy)."""
    points = [(length * (n + 1) / 10, value + offset) for n, value in enumerate(values)]
    return Curves(
        loss=points,
        train_accuracy=[(step, 1 - value) for step, value in points],
        test_accuracy=[(epoch * length, accuracy) for epoch, accuracy in tests],
        steps_per_epoch=length,
    )


def evaluation(**accuracies):
    classes = [ClassAccuracy(name=name, correct=right, total=of) for name, (right, of) in accuracies.items()]
    correct, total = sum(entry.correct for entry in classes), sum(entry.total for entry in classes)
    return Evaluated(step=10, final=True, correct=correct, total=total, loss=1.0, per_class=tuple(classes))


def test_runs_are_compared_at_the_latest_epoch_that_both_have_trained():
    long = curves([2.0 - 0.05 * n for n in range(30)], tests=[(1, 0.3), (2, 0.4), (3, 0.5)])
    short = curves([1.5 - 0.05 * n for n in range(20)], length=50, tests=[(1, 0.35), (2, 0.42)])
    for run, baseline, sign in ((short, long, 1), (long, short, -1)):
        found = difference_at_epoch(run, baseline)
        assert found.epoch == 2
        assert found.loss == pytest.approx(-0.5 * sign)
        assert found.train_accuracy == pytest.approx(0.5 * sign)
        assert found.test_accuracy == pytest.approx(0.02 * sign)
        assert (found.test_epoch, found.interpolated) == (2, False)
    earlier = difference_at_epoch(long, short, epoch=1.2)
    assert (earlier.epoch, earlier.test_epoch) == (1.2, 1)
    assert earlier.test_accuracy == pytest.approx(-0.05)


def test_a_baseline_evaluated_at_other_epochs_is_interpolated_and_that_is_said():
    baseline = curves([1.0] * 40, tests=[(2, 0.4), (4, 0.6)])
    run = curves([1.0] * 30, tests=[(1, 0.2), (3, 0.55)])
    found = difference_at_epoch(run, baseline)
    assert found.test_accuracy == pytest.approx(0.05)
    assert (found.test_epoch, found.interpolated) == (3, True)
    before = difference_at_epoch(curves([1.0] * 10, tests=[(1, 0.2)]), baseline)
    assert (before.test_accuracy, before.test_epoch) == (None, None), "it is never extrapolated"


def test_of_two_evaluations_at_the_same_step_the_later_counts():
    run = curves([1.0] * 10, tests=[(1, 0.5), (1, 0.6)])
    baseline = curves([1.0] * 10, tests=[(1, 0.3), (1, 0.4)])
    assert difference_at_epoch(run, baseline).test_accuracy == pytest.approx(0.2)


@pytest.mark.parametrize("empty", [Curves(), Curves(loss=[(5, 1.0)]), Curves(steps_per_epoch=100)])
def test_without_a_shared_epoch_there_is_no_difference(empty):
    full = curves([1.0] * 10)
    assert difference_at_epoch(empty, full) is None
    assert difference_at_epoch(full, empty) is None
    assert epochs_done(empty) == 0


def test_losses_are_means_over_the_last_twentieth_of_the_steps():
    points = [(step, float(step)) for step in range(1, 1001)]
    assert recent_mean(points, 1000) == pytest.approx(sum(range(951, 1001)) / 50)
    assert recent_mean(points, 4) == 4, "of one point at least"
    assert recent_mean(points, 0.5) is None
    assert recent_mean([], 10) is None


def test_classes_are_matched_by_name_and_the_largest_difference_comes_first():
    baseline = evaluation(plane=(5, 10), car=(5, 10), cat=(5, 10), only=(1, 10), none=(0, 0))
    run = evaluation(cat=(4, 10), automobile=(9, 10), airplane=(6, 20), none=(0, 0), new=(1, 1))
    found = class_differences(run, baseline)
    assert [entry.name for entry in found[:3]] == ["car", "plane", "cat"]
    assert [entry.change for entry in found[:3]] == pytest.approx([0.4, -0.2, -0.1])
    assert (found[1].support, found[1].baseline_support) == (20, 10)
    assert {entry.name: entry.change for entry in found[3:]} == {"none": None, "new": None, "only": None}


def results(folder, *values, **options):
    """What is read of an evaluation in `folder`."""
    folder.mkdir(exist_ok=True)
    return read_results(folder, (evaluate(folder, *values, **options),))


def why(one, other):
    return why_not_compared(one, other, other_images(one, other), ("one", "other"))


def test_images_are_counted_by_the_run_that_recognises_them(tmp_path):
    one = results(tmp_path / "one", [0, 0, 1, 1, 2], [0, 1, 1, 0, 0])
    other = results(tmp_path / "other", [0, 0, 1, 1, 2], [0, 0, 0, 0, 1])
    assert (why(one, other), images_compared(one, other)) == ("", "")
    found = compare_images(one, other)
    assert found.both_right.tolist() == [0]
    assert found.only_run.tolist() == [2]
    assert found.only_baseline.tolist() == [1]
    assert found.both_wrong.tolist() == [3, 4]


def test_the_same_images_with_classes_in_another_order_are_the_same(tmp_path):
    one = results(tmp_path / "one", [0, 1, 2], [0, 1, 2])
    names = ("automobile", "cat", "airplane")
    other = results(tmp_path / "other", [2, 0, 1], [2, 0, 0], names=names)
    assert why(one, other) == ""
    assert compare_images(one, other).only_run.tolist() == [2]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"targets": [0, 1], "predicted": [0, 1]}, "on different numbers of test images (3 and 2)"),
        ({"targets": [0, 1, 1]}, "on test images of different classes"),
        ({"names": ("plane", "car", "dog")}, "on test images of different classes"),
        ({"pixels": 1}, "on different test images"),
        ({"images": 0}, "the test images of other are not stored, so they may be different"),
    ],
)
def test_runs_on_other_images_are_not_compared_but_explained(tmp_path, other, reason):
    one = results(tmp_path / "one", [0, 1, 2], [0, 1, 2])
    values = {"targets": [0, 1, 2], "predicted": [0, 1, 2]} | other
    assert why(one, results(tmp_path / "other", **values)).endswith(reason)


def test_a_single_image_that_was_exchanged_is_noticed(tmp_path):
    targets = [0, 1, 2] * 50
    one, other = (results(tmp_path / name, targets, targets) for name in ("one", "other"))
    assert (tmp_path / "one" / SAMPLES_FILE).samefile(tmp_path / "other" / SAMPLES_FILE)
    assert why(one, other) == ""
    path = tmp_path / "other" / SAMPLES_FILE
    content = bytearray(path.read_bytes())
    path.unlink()
    path.write_bytes(content)
    assert why(one, results(tmp_path / "other", targets, targets)) == "", "in another file"
    content[-1] ^= 1
    path.write_bytes(content)
    exchanged = read_results(tmp_path / "other", (other.evaluated,))
    assert other_images(one, exchanged) == "different test images"


def test_images_of_which_only_the_first_are_stored_are_compared_with_that_said(tmp_path):
    one = results(tmp_path / "one", [0, 1, 2], [0, 1, 2])
    other = results(tmp_path / "other", [0, 1, 2], [0, 1, 1], images=2)
    assert why(one, other) == ""
    said = "only the first 2 of 3 test images are known to be the same"
    assert images_compared(one, other) == images_compared(other, one) == said


def test_images_in_one_file_are_not_read_to_be_compared(tmp_path, monkeypatch):
    one, other = (results(tmp_path / name, [0, 1, 2], [0, 1, 2]) for name in ("one", "other"))
    monkeypatch.setattr(os, "pread", None)
    assert other_images(one, other) == ""


def test_images_that_cannot_be_read_any_more_are_not_compared(tmp_path):
    one = results(tmp_path / "one", [0, 1, 2], [0, 1, 2])
    other = results(tmp_path / "other", [0, 1, 2], [0, 1, 2], pixels=1)
    os.truncate(tmp_path / "other" / SAMPLES_FILE, 300)
    assert "cannot be read any more (the file of the test images has become shorter)" in why(one, other)


def test_a_run_without_predictions_is_named(tmp_path):
    one = results(tmp_path / "one", [0, 1, 2], [0, 1, 2])
    assert why(one, None).startswith("other has no stored predictions")
    assert why(None, one).startswith("one has no stored predictions")


@pytest.mark.parametrize(
    ("files", "different"),
    [
        (("a.png", "b.png", "c.png"), ""),
        (("a.png", "b.png", "d.png"), "test images of 64×64 and 96×96 pixels, not known to be the same"),
        ((), "test images of 64×64 and 96×96 pixels, not known to be the same"),
    ],
)
def test_runs_on_the_same_files_at_different_sizes_are_compared(tmp_path, files, different):
    found = []
    for size, names in ((64, files and ("a.png", "b.png", "c.png")), (96, files)):
        folder = tmp_path / str(size)
        folder.mkdir()
        write_config(folder, TrainConfig(model="resnet18", image_size=size))
        write_test_files(folder, Path("/photos") if names else None, names)
        found.append(results(folder, [0, 1, 2], [0, 1, 2], pixels=size))
    assert other_images(*found) == different
