"""A `last.pt` that no run has saved is one sentence, whatever is in it."""

import math
import os
import random

import pytest
import torch

from cifar_tui.engine.checkpoint.files import load_training_state, serialized
from cifar_tui.engine.checkpoint.state import check_optimizer, check_position, has_trained, hyperparameters
from cifar_tui.engine.device.random_state import restore_random_states
from cifar_tui.engine.errors import ConfigError
from tests.engine.checkpoint.made_state import sound_state

METRICS = sound_state()["metrics"]


def refusal(path):
    with pytest.raises(ConfigError) as refused:
        load_training_state(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", -1),
        ("step", True),
        ("step", 1.0),
        ("step", 10**300),
        ("step", "7"),
        ("epoch", 0),
        ("epoch", torch.tensor(1)),
        ("batch", None),
        ("train_seconds", math.inf),
        ("train_seconds", -1.0),
        ("train_seconds", "1"),
        ("epoch_done", 1),
        ("model", []),
        ("model", {"weight": 1.0}),
        ("model", {1: torch.zeros(1)}),
        ("optimizer", None),
        ("steps", "eager"),
        ("config", []),
        ("provenance", None),
        ("provenance", {}),
        ("provenance", {"backend": None}),
        ("class_names", 0),
        ("class_names", ["a", "a"]),
        ("scales", None),
        ("scales", {"more than 8 bits": [0.0]}),
        ("scales", {"more than 8 bits": [0.0, math.nan]}),
        ("scales", {"more than 8 bits": [1.0, 0.0]}),
        ("epoch_images", -1),
        ("rng_state", torch.zeros(3)),
        ("rng_state", [1, 2]),
        ("epoch_rng_state", 0),
        ("cuda_rng_states", {}),
        ("other_rng_states", []),
        ("cuda_rng_states", [0]),
        ("best", {"best_correct": "many"}),
        ("metrics", {}),
        ("metrics", METRICS | {"window_loss": {"total": "x", "count": 1}}),
        ("metrics", METRICS | {"unread_losses": ["x"]}),
        ("metrics", METRICS | {"unread_images": 0}),
        ("metrics", METRICS | {"epoch_correct": -1}),
    ],
)
def test_a_value_of_another_type_or_range_is_named(tmp_path, name, value):
    path = tmp_path / "last.pt"
    path.write_bytes(serialized(sound_state(**{name: value})))
    assert f"its {name} is not" in refusal(path)


def test_a_missing_value_is_named(tmp_path):
    state = sound_state()
    del state["metrics"]
    (tmp_path / "last.pt").write_bytes(serialized(state))
    assert "it has no metrics" in refusal(tmp_path / "last.pt")


def test_a_checkpoint_from_before_the_other_generators_were_saved_is_complete(tmp_path):
    state = sound_state()
    del state["other_rng_states"]
    (tmp_path / "last.pt").write_bytes(serialized(state))
    assert load_training_state(tmp_path / "last.pt").keys() == state.keys()
    drawn = random.getstate()
    restore_random_states(state, torch.device("cpu"))
    assert random.getstate() == drawn


@pytest.mark.timeout(30)
def test_what_is_no_file_of_the_run_is_not_read_and_not_waited_for(tmp_path):
    path, theirs = tmp_path / "last.pt", tmp_path / "theirs.pt"
    theirs.write_bytes(serialized(sound_state()))
    path.symlink_to(theirs)
    assert "it is a symbolic link" in refusal(path)
    path.unlink()
    os.mkfifo(path)
    assert "not a regular file" in refusal(path)
    path.unlink()
    path.mkdir()
    assert "it is a folder" in refusal(path)
    path.rmdir()
    with path.open("wb") as file:
        file.truncate(1 << 42)
    assert "larger than the memory" in refusal(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"epoch": 4}, "in epoch 4 of 3"),
        ({"rng_state": torch.zeros(7, dtype=torch.uint8)}, "rng_state has 7 bytes"),
        ({"epoch_rng_state": torch.zeros(0, dtype=torch.uint8)}, "epoch_rng_state has 0 bytes"),
    ],
)
def test_a_position_beyond_the_run_is_refused(changes, says):
    run = {"epochs": 3, "steps_per_epoch": 5, "generator_bytes": torch.get_rng_state().numel()}
    check_position(sound_state(), **run)
    with pytest.raises(ValueError, match=says):
        check_position(sound_state(**changes), **run)


@pytest.mark.parametrize(
    ("position", "fits"),
    [
        ({"epoch": 1, "batch": 4, "step": 4}, True),
        ({"epoch": 1, "batch": 5, "step": 5}, True),  # memory ran out after the last batch
        ({"epoch": 1, "batch": 5, "step": 5, "epoch_done": True}, True),
        ({"epoch": 1, "batch": 4, "step": 4, "epoch_done": True}, False),
        ({"epoch": 1, "batch": 6, "step": 6}, False),
        ({"epoch": 1, "batch": 6, "step": 6, "epoch_done": True}, False),
        ({"epoch": 2, "batch": 1, "step": 6}, True),
        ({"epoch": 2, "batch": 1, "step": 7}, False),
        ({"epoch": 2, "batch": 1, "step": 4}, False),
    ],
)
def test_a_position_that_its_epoch_does_not_have_is_refused(position, fits):
    run = {"epochs": 3, "steps_per_epoch": 5, "generator_bytes": torch.get_rng_state().numel()}
    if fits:
        check_position(sound_state(**position), **run)
    else:
        with pytest.raises(ValueError, match=r"it is at step \d, in batch \d of 5 of epoch"):
            check_position(sound_state(**position), **run)


@pytest.mark.parametrize(
    ("changes", "trained"),
    [
        ({}, True),
        ({"epoch": 2}, False),
        ({"epoch_done": False}, False),
        ({"validation_due": True}, False),
        ({"evaluation_due": True}, True),
    ],
)
def test_a_run_has_trained_when_no_step_and_no_validation_is_left(changes, trained):
    assert has_trained(sound_state(**({"epoch": 3, "epoch_done": True} | changes)), 3) is trained


@pytest.fixture
def optimizer():
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return optimizer


@pytest.mark.parametrize(("name", "value"), [("lr", 5.0), ("momentum", 0.5), ("weight_decay", 1.0)])
def test_an_optimizer_trains_with_the_settings_and_not_with_what_is_in_a_file(optimizer, name, value):
    expected = hyperparameters(optimizer, with_lr=True)
    state = optimizer.state_dict()
    check_optimizer(optimizer, expected)
    state["param_groups"][0][name] = value
    optimizer.load_state_dict(state)
    with pytest.raises(ValueError, match=f"its optimizer has {name} {value}"):
        check_optimizer(optimizer, expected)


def test_a_rate_that_a_schedule_changes_is_not_compared(optimizer):
    expected = hyperparameters(optimizer, with_lr=False)
    optimizer.param_groups[0]["lr"] = 0.05
    check_optimizer(optimizer, expected)


def test_buffers_of_another_shape_are_refused(optimizer):
    expected = hyperparameters(optimizer, with_lr=True)
    parameter = optimizer.param_groups[0]["params"][0]
    optimizer.state[parameter]["momentum_buffer"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"momentum_buffer has shape \(3,\), not \(2, 2\)"):
        check_optimizer(optimizer, expected)


@pytest.mark.parametrize(("batch", "fits"), [(5, True), (6, False)])
def test_a_run_may_have_been_saved_after_the_last_batch_of_an_unfinished_epoch(batch, fits):
    """Where memory ran out before the end of the epoch was reported."""
    state = sound_state(epoch=1, batch=batch, step=batch)
    run = {"epochs": 3, "steps_per_epoch": 5, "generator_bytes": torch.get_rng_state().numel()}
    if fits:
        check_position(state, **run)
    else:
        with pytest.raises(ValueError, match="at step 6, in batch 6 of 5 of epoch 1"):
            check_position(state, **run)
