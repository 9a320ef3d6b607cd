"""The best epoch is chosen on training images held out, and on nothing else."""

import pytest
import torch

from cifar_tui.engine.checkpoint.files import load_training_state
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import split_validation
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.events import CheckpointSaved, EpochFinished, TrainingFinished, Validated
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
        lambda: folder, interactive=False, resume_from=state
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
