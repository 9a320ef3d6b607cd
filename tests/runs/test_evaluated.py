"""The test images and predictions in the folder of a run: the samples and the results that they give."""

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_tui.engine.data.dataset import ImageSplit
from cifar_tui.engine.events import Message, Phase, PhaseChanged, Resumed
from cifar_tui.runs.disk import samples
from cifar_tui.runs.disk.samples import write_predictions, write_samples
from cifar_tui.runs.evaluated import EvaluatedImages
from cifar_tui.runs.followed import FollowedRuns
from cifar_tui.runs.listing import list_run
from cifar_tui.runs.results import ImageFilter
from tests.runs.control.helpers import log, texts, wait_until
from tests.runs.made_events import STARTED


def test_a_finished_run_shows_the_samples_of_its_own_process(attach, finished_run):
    run = attach(finished_run.folder)
    for number in range(-1, 4):
        batch, expected = run.sample_batch(number), finished_run.sample_batch(number)
        assert (batch.number, batch.count, batch.step) == (expected.number, expected.count, expected.step)
        for sample, known in zip(batch.samples, expected.samples, strict=True):
            assert (sample.index, sample.ground_truth, sample.predicted) == (
                known.index,
                known.ground_truth,
                known.predicted,
            )
            assert sample.confidence == known.confidence
            assert np.array_equal(sample.image, known.image)


def test_images_that_are_predicted_wrong_are_known_here_and_in_the_folder(attach, finished_run):
    wrong = finished_run.results().selected(ImageFilter(wrong_only=True)).tolist()
    assert finished_run.wrong_samples() == attach(finished_run.folder).wrong_samples() == wrong
    assert wrong
    for run in (finished_run, attach(finished_run.folder)):
        batch = run.sample_batch(-1, wrong)
        assert [sample.index for sample in batch.samples] == wrong[-(len(wrong) % 4 or 4) :]
        assert batch.count == -(-len(wrong) // 4)
        assert all(sample.predicted != sample.ground_truth for sample in batch.samples)


def test_a_finished_run_has_the_results_of_its_own_process(attach, finished_run):
    run = attach(finished_run.folder)
    results, expected = run.results(), finished_run.results()
    assert run.results() is results, "until there is another evaluation"
    assert results.class_names == expected.class_names
    assert (results.root, results.files) == (expected.root, expected.files)
    assert [evaluated.step for evaluated in results.history] == [6, 12]
    assert results.history == expected.history
    for name in ("targets", "losses", "top_classes", "top_confidences"):
        found, known = (getattr(each.predictions, name) for each in (results, expected))
        assert np.array_equal(found, known), name
    assert len(results.images) == len(expected.images) == 12
    for number in range(12):
        assert np.array_equal(results.images[number], expected.images[number])
        assert Path(results.files[number]).parts[:2] == (
            "test",
            results.class_names[results.predictions.targets[number]],
        )
        assert (results.root / results.files[number]).is_file()


def test_predictions_of_another_evaluation_than_the_log_has_are_no_results(attach, finished_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished_run.folder, copy, ignore=shutil.ignore_patterns("lock", "*.sock"))
    (copy / "predictions.npz").unlink()
    assert attach(copy).results() is None
    write_predictions(copy, replace(finished_run.results().predictions, step=7))
    assert attach(copy).results() is None
    write_predictions(copy, finished_run.results().predictions)
    assert len(attach(copy).results().images) == 12


@pytest.mark.parametrize("others", [False, True])
def test_results_without_their_images_have_none(attach, finished_run, tmp_path, others):
    copy = tmp_path / "copy"
    shutil.copytree(finished_run.folder, copy, ignore=shutil.ignore_patterns("lock", "*.sock"))
    (copy / "samples.bin").unlink()
    if others:
        images = torch.zeros(12, 3, 32, 32, dtype=torch.uint8)
        write_samples(copy, ImageSplit(images=images, targets=torch.zeros(12, dtype=torch.int64)))
    results = attach(copy).results()
    assert len(results.images) == 0
    assert np.array_equal(results.confusion, finished_run.results().confusion)


@pytest.mark.parametrize("content", [None, b"", b"a picture"])
def test_a_run_whose_samples_are_missing_or_damaged_shows_none(attach, folder, content):
    if content is not None:
        (folder / "samples.bin").write_bytes(content)
    log(folder, STARTED, PhaseChanged(phase=Phase.DONE))
    assert attach(folder).sample_batch(0) is None


@pytest.fixture
def readers(monkeypatch):
    """Notes which threads read the files of an evaluation."""
    names = set()

    def noting(read):
        def read_and_note(*arguments, **options):
            names.add(threading.current_thread().name)
            return read(*arguments, **options)

        return read_and_note

    for name in ("open_regular", "read_regular"):
        monkeypatch.setattr(samples, name, noting(getattr(samples, name)))
    monkeypatch.setattr(os, "pread", noting(os.pread))
    return names


def test_no_screen_waits_for_the_disk(attach, finished_run, readers):
    run = attach(finished_run.folder)
    for number in range(3):
        assert len(run.sample_batch(number).samples) == 4
    assert run.results().confusion.sum() == len(run.results().files) == 12
    assert all(run.results().images[number].any() for number in range(12))
    assert readers == {"cifar-tui-follow"}


def test_of_runs_that_are_compared_no_images_are_read_until_they_are_shown(finished_run, readers):
    runs = FollowedRuns([list_run(finished_run.folder)])
    runs.start()
    wait_until(lambda: runs.runs[0].source is not None)
    assert len(runs.runs[0].source.curves().test_accuracy) == 2
    assert runs.runs[0].source.results() is None
    assert readers == set()
    runs.close()


def test_results_stay_until_the_log_has_the_next_evaluation(finished_run):
    images, snapshot = EvaluatedImages(), finished_run.snapshot()
    images.session = finished_run.session
    images.keep(snapshot.evaluated.step)
    before = images.results(snapshot)
    assert before is not None
    images.keep(snapshot.evaluated.step + 1)
    assert images.results(snapshot) is before


def test_of_evaluations_whose_predictions_are_not_stored_the_one_before_is_shown(
    attach, finished_run, tmp_path
):
    folder = shutil.copytree(finished_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("lock"))
    run = attach(folder)
    before = run.results()
    log(folder, replace(before.evaluated, step=18))
    wait_until(lambda: run.snapshot().evaluated.step == 18)
    log(folder, Message(text="later"))
    wait_until(lambda: texts(run)[-1] == "later")
    assert run.results().evaluated == attach(folder).results().evaluated == before.evaluated


def test_a_new_evaluation_of_another_process_is_shown(attach, finished_run, tmp_path):
    folder = shutil.copytree(finished_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("lock"))
    run = attach(folder)
    before = run.results()
    write_predictions(folder, replace(before.predictions, step=18))
    assert run.results() is before, "until it is logged"
    log(folder, replace(before.evaluated, step=18))
    wait_until(lambda: run.results().predictions.step == 18)
    assert [past.step for past in run.results().history] == [6, 12, 18]
    log(folder, STARTED, Resumed(step=12, epoch=2, batch=6, train_seconds=1.0))
    wait_until(lambda: run.results() is None)


def test_samples_that_somebody_writes_over_while_they_are_viewed_are_in_memory(
    attach, finished_run, tmp_path
):
    folder = shutil.copytree(finished_run.folder, tmp_path / "run")
    run = attach(folder)
    os.truncate(folder / "samples.bin", 300)  # a mapped file would kill the process
    known = finished_run.sample_batch(1).samples
    for sample, expected in zip(run.sample_batch(1).samples, known, strict=True):
        assert np.array_equal(sample.image, expected.image)


def test_samples_for_which_there_is_no_memory_are_shown_while_they_can_be_read(
    attach, finished_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(samples, "_MOST_AHEAD_BYTES", 0)
    folder = shutil.copytree(finished_run.folder, tmp_path / "run")
    run = attach(folder)
    assert run.sample_batch(0) is not None
    os.truncate(folder / "samples.bin", 300)
    assert run.sample_batch(1) is None
    shutil.copy(finished_run.folder / "samples.bin", folder)
    assert run.sample_batch(1) is not None
