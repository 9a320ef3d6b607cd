"""The best epoch is chosen on training images held out, and on nothing else."""

import shutil

import pytest
import torch

from cifar_tui.engine.checkpoint.files import load_training_state
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import split_validation
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import (
    Alert,
    CheckpointSaved,
    EpochFinished,
    Message,
    TrainingFinished,
    Validated,
)
from cifar_tui.engine.session import Session


def train(image_folder, folder, *, stop_at_end_of=None, state=None, **settings):
    """Events of a training that may be stopped once an epoch has ended, before it is validated."""
    folder.mkdir(exist_ok=True)
    events, control = [], RunControl()

    def emit(event):
        events.append(event)
        if isinstance(event, EpochFinished) and event.epoch == stop_at_end_of:
            control.request("stop")

    config = TrainConfig(
        data=str(image_folder),
        data_dir=str(folder.parent / "data"),
        device="cpu",
        **{"learning_rate": 0.01, "epochs": 6, **settings},
    )
    Session(config=config, emit=emit, control=control).train(
        lambda: RunFolder(folder), interactive=False, resume_from=state
    )
    return events


def test_best_pt_has_the_weights_of_the_best_epoch(image_folder, tmp_path):
    events = train(image_folder, tmp_path / "run", val_size=8)
    validated = [event for event in events if isinstance(event, Validated)]
    assert [event.epoch for event in validated] == [1, 2, 3, 4, 5, 6]
    best = max(validated, key=lambda event: (event.correct, -event.epoch))
    assert [event.epoch for event in validated if event.best][-1] == best.epoch
    assert all(event.total == 8 for event in validated)
    train(image_folder, tmp_path / "short", val_size=8, epochs=best.epoch)
    expected = torch.load(tmp_path / "short" / "cifar_net.pth", weights_only=True)
    found = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def results(events):
    """What the epochs came to on the images held out."""
    return [
        (event.epoch, event.step, event.correct, event.loss, event.best)
        for event in events
        if isinstance(event, Validated)
    ]


@pytest.mark.parametrize("epoch", [2, 6])
def test_a_validation_that_a_stop_cancelled_is_made_up_for(image_folder, tmp_path, epoch):
    whole = train(image_folder, tmp_path / "whole", val_size=8)
    settings = {"val_size": 8}
    first = train(image_folder, tmp_path / "run", stop_at_end_of=epoch, **settings)
    assert [event.epoch for event in first if isinstance(event, Validated)] == list(range(1, epoch))
    (finished,) = [event for event in first if isinstance(event, TrainingFinished)]
    assert not finished.completed
    state = load_training_state(tmp_path / "run" / "last.pt")
    second = train(image_folder, tmp_path / "run", state=state, **settings)
    assert results(first + second) == results(whole)
    expected = torch.load(tmp_path / "whole" / "best.pt", weights_only=True)
    found = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_without_a_validation_split_nothing_is_chosen(image_folder, tmp_path):
    events = train(image_folder, tmp_path / "run")
    assert not any(isinstance(event, Validated) for event in events)
    assert not (tmp_path / "run" / "best.pt").exists()
    assert any(isinstance(event, CheckpointSaved) for event in events)


def test_what_is_held_out_is_drawn_by_the_seed_and_not_trained_on(noise_dataset):
    kept, held = split_validation(noise_dataset.train, 100, seed=3)
    assert (len(kept), len(held)) == (740, 100)
    both = torch.cat([kept.images, held.images]).flatten(1).sum(dim=1).sort().values
    assert torch.equal(both, noise_dataset.train.images.flatten(1).sum(dim=1).sort().values)
    again, other = (split_validation(noise_dataset.train, 100, seed=seed)[1] for seed in (3, 4))
    assert torch.equal(held.images, again.images)
    assert not torch.equal(held.images, other.images)
    assert split_validation(noise_dataset.train, 0, seed=3) == (noise_dataset.train, None)


def test_some_images_must_be_left_to_train_on(noise_dataset):
    with pytest.raises(ConfigError, match="must be below the number of training images, 840"):
        split_validation(noise_dataset.train, 840, seed=0)


@pytest.fixture
def folder_with_val(image_folder):
    """The folder of images with a validation split: a third image in a row is a copy of a test image."""
    (image_folder / "Val").mkdir()
    for name in ("red", "green", "blue"):
        (image_folder / "Val" / name).mkdir()
        first, *_ = sorted((image_folder / "test" / name).iterdir())
        shutil.copy(first, image_folder / "Val" / name)
    return image_folder


def test_a_folder_brings_its_own_validation_split(folder_with_val, tmp_path):
    events = train(folder_with_val, tmp_path / "run", epochs=2)
    validated = [event for event in events if isinstance(event, Validated)]
    assert [event.total for event in validated] == [3, 3]
    assert (tmp_path / "run" / "best.pt").exists()
    said = [event.text for event in events if isinstance(event, Message)]
    assert "train/ 24 images of 3 classes, Val/ 3 (for validation), test/ 12" in said


def test_two_validation_sets_are_refused(folder_with_val, tmp_path):
    with pytest.raises(ConfigError, match="has one of 3 images; set val_size to 0") as refused:
        train(folder_with_val, tmp_path / "run", val_size=8)
    assert refused.value.field == "val_size"


def test_val_that_is_used_as_test_is_no_validation_set(folder_with_val, tmp_path):
    shutil.rmtree(folder_with_val / "test")
    events = train(folder_with_val, tmp_path / "run", epochs=1, val_size=8)
    assert [event.total for event in events if isinstance(event, Validated)] == [8]
    said = [event.text for event in events if isinstance(event, Message)]
    assert "train/ 24 images of 3 classes, Val/ 3 (used as test)" in said


def test_a_class_that_cannot_be_learnt_is_an_alert_before_the_first_step(image_folder, tmp_path):
    shutil.move(image_folder / "test" / "blue", image_folder / "test" / "pink")
    events = train(image_folder, tmp_path / "run", epochs=1)
    alerts = [event.text for event in events if isinstance(event, Alert)]
    assert alerts == [
        (
            "class 'pink' has no training images (train/): it cannot be learnt, "
            "and its 4 test images count as wrong"
        ),
        "class 'blue' has no test images (test/): its accuracy is not measured",
    ]
    kinds = [type(event).__name__ for event in events]
    assert max(i for i, kind in enumerate(kinds) if kind == "Alert") < kinds.index("TrainingStarted")


def test_a_run_that_gets_a_validation_split_is_resumed_and_chooses_from_then_on(folder_with_val, tmp_path):
    val = (folder_with_val / "Val").rename(tmp_path / "Val")
    train(folder_with_val, tmp_path / "run", stop_at_end_of=1, epochs=2)
    val.rename(folder_with_val / "Val")
    state = load_training_state(tmp_path / "run" / "last.pt")
    assert state["best"] == {}
    events = train(folder_with_val, tmp_path / "run", state=state, epochs=2)
    assert [(event.epoch, event.best) for event in events if isinstance(event, Validated)] == [(2, True)]
    assert (tmp_path / "run" / "best.pt").exists()


def test_a_run_whose_validation_split_is_gone_is_resumed_to_its_end(folder_with_val, tmp_path):
    train(folder_with_val, tmp_path / "run", stop_at_end_of=2, epochs=2)
    state = load_training_state(tmp_path / "run" / "last.pt")
    assert state["validation_due"]
    shutil.rmtree(folder_with_val / "Val")
    events = train(folder_with_val, tmp_path / "run", state=state, epochs=2)
    assert [event.completed for event in events if isinstance(event, TrainingFinished)] == [True]
    assert not any(isinstance(event, Validated) for event in events)
