"""The nearest training images of a run of this process, of one that ended, and of a file of weights."""

import asyncio
import os
import shutil
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cifar_tui.engine.errors import ConfigError, DataUnavailableError, RunFailedError
from cifar_tui.engine.evaluation import training_index
from cifar_tui.runs.disk.run_lock import RunLock
from cifar_tui.runs.nearest import MOST_NEAREST, NearestFinder, NearestSearch
from cifar_tui.runs.results import Results


@pytest.fixture(scope="module")
def finder():
    return NearestFinder()


@pytest.fixture
def built(monkeypatch):
    """The searches that computed features, and whether they were gentle."""
    made = []
    index_training_images = training_index.index_training_images

    def counted(*arguments, gently, **others):
        made.append(gently)
        return index_training_images(*arguments, gently=gently, **others)

    monkeypatch.setattr(training_index, "index_training_images", counted)
    return made


def search_in(run, finder, *, is_training=False):
    return NearestSearch(finder, run, lambda: is_training)


def labels(found):
    return [(found.class_names[near.target], near.file) for near in found.images]


async def test_a_run_of_this_process_and_its_folder_have_the_same(finished_run, attach, finder, built):
    live = await search_in(finished_run, finder).find(finished_run.results(), 3)
    assert built == [False]
    assert len(live.images) == MOST_NEAREST
    assert all(file.startswith(f"train/{name}/") for name, file in labels(live))
    assert live.notes == (), "the final weights made the predictions"

    attached = attach(finished_run.folder)
    again = await search_in(attached, finder).find(attached.results(), 3)
    assert built == [False], "the features are in memory"
    assert labels(again) == labels(live)

    loaded = await search_in(attached, NearestFinder()).find(attached.results(), 3)
    assert built == [False, False]
    assert labels(loaded) == labels(live)
    assert loaded.notes == ()
    assert np.array_equal(loaded.images[0].image, live.images[0].image)


async def test_a_file_of_weights_finds_them_as_well(finished_run, make_run, finder):
    run = make_run()
    run.start_evaluation(finished_run.folder / "cifar_net.pth", any_model=True)
    assert run.wait(60)
    found = await search_in(run, finder).find(run.results(), 3)
    of_run = await search_in(finished_run, finder).find(finished_run.results(), 3)
    assert labels(found) == labels(of_run)
    assert found.notes == ()


async def test_the_next_image_uses_the_same_features_and_another_run_replaces_them(finished_run, built):
    finder = NearestFinder()
    search = search_in(finished_run, finder, is_training=True)
    assert not search.is_cheap
    for position in (0, 1, 0):
        await search.find(finished_run.results(), position)
    assert len(built) == 1
    assert search.is_cheap, "the features are in memory"
    finder.forget()
    assert not search.is_cheap
    await search.find(finished_run.results(), 0)
    assert len(built) == 2


async def test_a_training_of_another_process_is_not_slowed_down_either(finished_run, built, tmp_path):
    folder = shutil.copytree(finished_run.folder, tmp_path / "another")
    lock = RunLock(folder)
    lock.acquire()
    await search_in(finished_run, NearestFinder(tmp_path)).find(finished_run.results(), 0)
    lock.release()
    await search_in(finished_run, NearestFinder(tmp_path)).find(finished_run.results(), 0)
    assert built == [True, False]


async def test_weights_of_another_step_than_the_predictions_are_said(finished_run, finder):
    results = finished_run.results()
    earlier = SimpleNamespace(
        images=results.images, predictions=SimpleNamespace(step=results.predictions.step - 5)
    )
    found = await search_in(finished_run, finder).find(earlier, 0)
    assert found.notes == ("by the weights saved at step 12; the prediction is of step 7",)


async def test_what_is_missing_is_said_in_one_sentence(finished_run, attach, finder, tmp_path):
    results = finished_run.results()
    folder = shutil.copytree(finished_run.folder, tmp_path / "copy")
    (folder / "cifar_net.pth").unlink()
    with pytest.raises(ConfigError, match=r"cannot read '.*cifar_net\.pth'"):
        await search_in(attach(folder), finder).find(results, 0)

    nothing = Results(class_names=results.class_names, predictions=results.predictions, images=())
    with pytest.raises(DataUnavailableError, match="no picture of this image"):
        await search_in(finished_run, finder).find(nothing, 0)

    for live, words in ((False, "no weights of the run are saved"), (True, "saved yet: save a checkpoint")):
        unsaved = SimpleNamespace(live=live, saved_weights=lambda: None)
        with pytest.raises(ConfigError, match=words):
            await search_in(unsaved, finder).find(results, 0)


async def test_training_images_that_have_changed_since_are_said(image_folder, finished_run, attach, tmp_path):
    folder = shutil.copytree(finished_run.folder, tmp_path / "copy")
    config = (folder / "config.toml").read_text()
    data = finished_run.config.data
    assert data in config
    (folder / "config.toml").write_text(config.replace(data, str(image_folder)))
    run = attach(folder)
    assert (await search_in(run, NearestFinder()).find(run.results(), 0)).notes == ()
    next((image_folder / "train" / "red").iterdir()).unlink()
    found = await search_in(run, NearestFinder()).find(run.results(), 0)
    assert found.notes == ("the training images have changed since the training",)


async def test_a_cancelled_search_ends_its_work_and_makes_room_for_the_next(finished_run, monkeypatch):
    finder, computing, ended = NearestFinder(), threading.Event(), threading.Event()
    last_features = training_index.last_features

    def endless(net, images, *, progress=None):
        if progress is None:
            return last_features(net, images)
        computing.set()
        try:
            while True:
                progress(1)
        finally:
            ended.set()

    monkeypatch.setattr(training_index, "last_features", endless)
    search, results = search_in(finished_run, finder), finished_run.results()
    task = asyncio.create_task(search.find(results, 0))
    assert await asyncio.to_thread(computing.wait, 60)
    assert finder.progress.stage == "computing features"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 60)
    monkeypatch.setattr(training_index, "last_features", last_features)
    assert len((await search.find(results, 0)).images) == MOST_NEAREST
    assert finder.progress is None


async def test_beside_a_training_the_work_has_the_lowest_priority(finished_run, monkeypatch, built):
    priorities = []
    last_features = training_index.last_features

    def noted(*arguments, **others):
        priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return last_features(*arguments, **others)

    monkeypatch.setattr(training_index, "last_features", noted)
    for is_training in (True, False):
        finder = NearestFinder()
        await search_in(finished_run, finder, is_training=is_training).find(finished_run.results(), 0)
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    assert priorities == [19, 19, usual, usual]
    assert built == [True, False]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            RuntimeError("CUDA error: unspecified launch failure\nmore"),
            r"the GPU failed \(CUDA error: uns",
        ),
        (ImportError("libtorch_cuda.so: failed to map segment from shared object"), "out of memory"),
        (KeyError("fc3"), r"internal error \(KeyError: 'fc3'\)"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_any_failure_is_said_in_one_sentence(finished_run, finder, monkeypatch, error, said):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(training_index.TrainingIndex, "nearest", fail)
    with pytest.raises(RunFailedError, match=rf"^(the )?.*{said}"):
        await search_in(finished_run, finder).find(finished_run.results(), 0)


async def test_what_a_search_finds_is_not_kept_when_it_was_to_be_forgotten(finished_run, monkeypatch):
    finder, last_features = NearestFinder(), training_index.last_features

    def forgotten(*arguments, **others):
        if "progress" in others:  # of the training images
            finder.forget()
        return last_features(*arguments, **others)

    monkeypatch.setattr(training_index, "last_features", forgotten)
    await search_in(finished_run, finder).find(finished_run.results(), 0)
    assert not finder.knows(finished_run.saved_weights())


async def test_each_search_takes_the_weights_that_are_saved_by_then(finished_run, finder):
    saved, results = [finished_run.saved_weights()], finished_run.results()
    step = saved[0].step
    run = SimpleNamespace(live=True, saved_weights=lambda: saved[-1])
    search = search_in(run, finder)
    finder.forget()
    with pytest.raises(DataUnavailableError):
        await search.find(replace(results, images=()), 0)
    assert (await search.find(results, 0)).notes == ()
    saved.append(replace(saved[0], step=step + 50))
    assert (await search.find(results, 1)).notes == (), "those that are in memory serve all images"
    finder.forget()
    assert (await search.find(results, 1)).notes[0].startswith(f"by the weights saved at step {step + 50}")
    assert not finder.knows(replace(saved[-1], saved_at=0.0)), "another resume saved the same step"
