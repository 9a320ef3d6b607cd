"""Training ends early by the validation images, beside a plain loop that does so."""

import dataclasses

import pytest
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

from cifar_tui.engine.checkpoint.files import load_training_state
from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.data.dataset import normalize, validation_split
from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import ConfigError
from cifar_tui.engine.evaluation.evaluate import evaluate
from cifar_tui.engine.events import (
    EpochFinished,
    Evaluated,
    Message,
    Resumed,
    TrainingFinished,
    Validated,
)
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.session import Session

pytestmark = pytest.mark.usefixtures("one_thread")  # for both loops

EPOCHS = 30
VAL_SIZE = 8
LEARNING_RATE = 0.02
"""With it there is a better epoch after one that is no better, and patience 2 ends the training later."""


def train(image_folder, folder, *, stop_at_end_of=None, state=None, **settings):
    """Events of a training that may be stopped once an epoch has ended, before it is validated."""
    events, control = [], RunControl()

    def emit(event):
        events.append(event)
        if isinstance(event, EpochFinished) and event.epoch == stop_at_end_of:
            control.request("stop")

    def create():
        folder.mkdir(exist_ok=True)
        return RunFolder(folder)

    settings = {
        "learning_rate": LEARNING_RATE,
        "epochs": EPOCHS,
        "val_size": VAL_SIZE,
        "patience": 2,
        **settings,
    }
    config = TrainConfig(
        data=str(image_folder), data_dir=str(folder.parent / "data"), device="cpu", **settings
    )
    Session(config=config, emit=emit, control=control).train(create, interactive=False, resume_from=state)
    return events


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def validations(events):
    return [(event.epoch, event.correct, event.loss, event.best) for event in of(Validated, events)]


def weights(path):
    return torch.load(path, weights_only=True)


def assert_same_weights(found, expected):
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def plain_loop(image_folder, data_dir, *, patience):
    """The correct validation images after each epoch, the last weights and the best ones."""
    dataset = load_dataset(
        str(image_folder), data_dir=data_dir, seed=0, report=lambda _: None, cancelled=lambda: False
    )
    kept, held = validation_split(dataset, VAL_SIZE, seed=0)
    torch.manual_seed(0)
    net = create_model("net", num_classes=3)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=0.9)
    loader = DataLoader(TensorDataset(normalize(kept.images), kept.targets), batch_size=4, shuffle=True)
    counts, best, waited = [], {}, 0
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            optimizer.zero_grad()
            criterion(net(inputs), labels).backward()
            optimizer.step()
        with torch.no_grad():
            correct = int((net(normalize(held.images)).argmax(1) == held.targets).sum())
        if correct > max(counts, default=-1):
            best, waited = {name: tensor.clone() for name, tensor in net.state_dict().items()}, 0
        else:
            waited += 1
        counts.append(correct)
        if waited == patience:
            break
    return counts, net.state_dict(), best


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_a_training_ends_where_a_plain_loop_does(image_folder, tmp_path, patience):
    counts, last, best = plain_loop(image_folder, tmp_path / "data", patience=patience)
    assert len(counts) == {1: 2, 2: 5, 3: 9}[patience]
    events = train(image_folder, tmp_path / "run", patience=patience)
    assert [event.correct for event in of(Validated, events)] == counts
    assert_same_weights(weights(tmp_path / "run" / "cifar_net.pth"), last)
    assert_same_weights(weights(tmp_path / "run" / "best.pt"), best)


def test_a_run_that_stops_early_says_why_and_is_evaluated_once(image_folder, tmp_path):
    events = train(image_folder, tmp_path / "run")
    epoch, best = of(Validated, events)[-1].epoch, max(e.epoch for e in of(Validated, events) if e.best)
    assert epoch == best + 2
    why = (
        f"stopped early after epoch {epoch}: no better validation accuracy for 2 epochs; "
        f"the best is epoch {best} (best.pt)"
    )
    (finished,) = of(TrainingFinished, events)
    assert (finished.completed, finished.epoch, finished.early_stop) == (True, epoch, why)
    texts = [event.text for event in of(Message, events)]
    assert texts.index(why) + 1 == texts.index("Finished Training")
    evaluated = [(event.step // 4, event.final) for event in of(Evaluated, events)]
    assert evaluated == [*((number, False) for number in range(1, epoch)), (epoch, True)]


def test_the_last_epoch_is_not_an_early_stop(image_folder, tmp_path):
    stopped_after = of(TrainingFinished, train(image_folder, tmp_path / "early"))[0].epoch
    (finished,) = of(TrainingFinished, train(image_folder, tmp_path / "run", epochs=stopped_after))
    assert (finished.completed, finished.epoch, finished.early_stop) == (True, stopped_after, "")


def test_test_images_have_no_say(image_folder, tmp_path):
    often = train(image_folder, tmp_path / "often", eval_every=1)
    never = train(image_folder, tmp_path / "never", eval_every=0)
    assert validations(often) == validations(never)
    for path in (image_folder / "test").glob("*/*.png"):
        path.write_bytes((image_folder / "train" / "red" / "00.png").read_bytes())
    assert validations(train(image_folder, tmp_path / "other")) == validations(often)


@pytest.mark.parametrize("before_the_end", [0, 1, 2, 3])
def test_a_resumed_run_stops_where_an_uninterrupted_one_does(image_folder, tmp_path, before_the_end):
    whole = train(image_folder, tmp_path / "whole")
    epoch = of(TrainingFinished, whole)[0].epoch - before_the_end
    first = train(image_folder, tmp_path / "run", stop_at_end_of=epoch)
    assert not of(TrainingFinished, first)[0].completed
    state = load_training_state(tmp_path / "run" / "last.pt")
    second = train(image_folder, tmp_path / "run", state=state)
    assert validations(first + second) == validations(whole)
    assert of(TrainingFinished, second)[0].early_stop == of(TrainingFinished, whole)[0].early_stop
    for name in ("cifar_net.pth", "best.pt"):
        assert_same_weights(weights(tmp_path / "run" / name), weights(tmp_path / "whole" / name))


def test_a_run_killed_before_its_last_evaluation_is_evaluated_and_trains_no_further(image_folder, tmp_path):
    whole = train(image_folder, tmp_path / "run")
    state = load_training_state(tmp_path / "run" / "last.pt")
    again = train(image_folder, tmp_path / "run", state=state)
    assert not of(EpochFinished, again)
    assert not of(Validated, again)
    assert of(TrainingFinished, again)[0].early_stop == of(TrainingFinished, whole)[0].early_stop
    final = [event for event in of(Evaluated, again) if event.final]
    assert [event.loss for event in final] == [of(Evaluated, whole)[-1].loss]


@pytest.mark.parametrize("patience", [3, 0])
def test_more_patience_continues_as_if_there_had_always_been(image_folder, tmp_path, patience):
    whole = train(image_folder, tmp_path / "whole", patience=patience, epochs=12)
    first = train(image_folder, tmp_path / "run", epochs=12)
    assert of(TrainingFinished, first)[0].epoch < of(TrainingFinished, whole)[0].epoch
    state = load_training_state(tmp_path / "run" / "last.pt")
    second = train(image_folder, tmp_path / "run", state=state, patience=patience, epochs=12)
    assert validations(first + second) == validations(whole)
    made_up = [event.step for event in of(Evaluated, first + second) if not event.final]
    assert made_up == [event.step for event in of(Evaluated, whole) if not event.final]
    assert_same_weights(
        weights(tmp_path / "run" / "cifar_net.pth"), weights(tmp_path / "whole" / "cifar_net.pth")
    )


def test_less_patience_ends_a_resumed_run_at_once_if_it_has_waited_that_long(image_folder, tmp_path):
    epoch = of(TrainingFinished, train(image_folder, tmp_path / "whole"))[0].epoch
    train(image_folder, tmp_path / "run", stop_at_end_of=epoch)
    state = load_training_state(tmp_path / "run" / "last.pt")
    events = train(image_folder, tmp_path / "run", state=state, patience=1)
    assert of(Resumed, events)
    assert not of(EpochFinished, events)
    assert of(TrainingFinished, events)[0].early_stop


def test_without_validation_images_it_is_refused_before_a_folder_is_made(image_folder, tmp_path):
    with pytest.raises(ConfigError) as refused:
        train(image_folder, tmp_path / "run", val_size=0)
    assert str(refused.value) == "patience 2 needs validation images: set val_size, or patience to none"
    assert refused.value.field == "patience"
    assert not (tmp_path / "run").exists()


def test_outputs_that_are_not_finite_are_no_better_accuracy(image_folder, tmp_path, monkeypatch):
    def broken(net, split, *arguments, **named):
        report = evaluate(net, split, *arguments, **named)
        return dataclasses.replace(report, loss=float("nan")) if len(split) == VAL_SIZE else report

    monkeypatch.setattr("cifar_tui.engine.session.evaluate", broken)
    events = train(image_folder, tmp_path / "run", patience=3)
    (finished,) = of(TrainingFinished, events)
    assert finished.early_stop == "stopped early after epoch 3: no better validation accuracy for 3 epochs"
