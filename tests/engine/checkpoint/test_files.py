"""Checkpoint files: interchangeable with those of the tutorial, and strict about everything else."""

import os
import pickle

import pytest
import torch
from torch import nn

from cifar_tui.engine.checkpoint.files import (
    REQUIRED_STATE,
    Checkpoint,
    load_into,
    load_training_state,
    load_weights,
    serialized,
    write_checkpoint,
)
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.models.registry import create_model


@pytest.fixture
def net():
    torch.manual_seed(0)
    return create_model("net", num_classes=10)


def rejection(path):
    with pytest.raises(ConfigError) as caught:
        load_weights(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def test_saved_weights_are_a_plain_state_dict(net, tmp_path):
    (tmp_path / "cifar_net.pth").write_bytes(serialized(net.state_dict()))
    loaded = torch.load(tmp_path / "cifar_net.pth", weights_only=True)
    assert list(loaded) == [
        f"{n}.{p}" for n in ("conv1", "conv2", "fc1", "fc2", "fc3") for p in ("weight", "bias")
    ]
    fresh = create_model("net", num_classes=10)
    load_into(fresh, load_weights(tmp_path / "cifar_net.pth"), tmp_path / "cifar_net.pth")
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), fresh.parameters(), strict=True))


def test_a_file_saved_by_the_bare_tutorial_loads(net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "tutorial.pth")
    assert list(load_weights(tmp_path / "tutorial.pth")) == list(net.state_dict())


def test_the_weights_inside_a_training_state_load(net, tmp_path):
    (tmp_path / "last.pt").write_bytes(serialized({"model": net.state_dict(), "step": 3}))
    assert list(load_weights(tmp_path / "last.pt")) == list(net.state_dict())


def test_a_text_file_is_rejected(tmp_path):
    path = tmp_path / "text.pth"
    path.write_text("these are not weights\n" * 50)
    assert "not a PyTorch checkpoint" in rejection(path)


@pytest.mark.parametrize("content", [b"", b"\x80", b"PK\x03\x04", b"\x00" * 9, b"\xff" * 9])
def test_garbage_is_rejected(tmp_path, content):
    path = tmp_path / "garbage.pth"
    path.write_bytes(content)
    assert "not a PyTorch checkpoint" in rejection(path)


class RunsCode:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize(
    "save",
    [lambda value, path: torch.save(value, path), lambda value, path: path.write_bytes(pickle.dumps(value))],
)
def test_a_pickle_that_runs_code_is_rejected_and_does_not_run(tmp_path, save):
    path = tmp_path / "code.pth"
    save({"conv1.weight": RunsCode(tmp_path / "ran")}, path)
    assert "could run code" in rejection(path)
    assert not (tmp_path / "ran").exists()


def test_a_whole_pickled_net_is_rejected(net, tmp_path):
    torch.save(net, tmp_path / "net.pth")
    assert "could run code" in rejection(tmp_path / "net.pth")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_rejected(net, tmp_path, share):
    (tmp_path / "whole.pth").write_bytes(serialized(net.state_dict()))
    content = (tmp_path / "whole.pth").read_bytes()
    path = tmp_path / "part.pth"
    path.write_bytes(content[: int(len(content) * share)])
    assert "damaged or truncated" in rejection(path)


@pytest.mark.parametrize(
    "value", [{}, [1, 2], torch.zeros(3), {"a": 1}, {"model": {"a": "text"}}, {1: torch.zeros(1)}]
)
def test_a_checkpoint_of_something_else_is_rejected(tmp_path, value):
    torch.save(value, tmp_path / "other.pth")
    assert "contains no state_dict" in rejection(tmp_path / "other.pth")


def test_a_missing_file_and_a_folder_are_rejected(tmp_path):
    assert "No such file" in rejection(tmp_path / "none.pth")
    assert "directory" in rejection(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("fc3.bias"), "missing fc3.bias"),
        (
            lambda s: s.update({"fc3.bias": torch.zeros(7)}),
            "fc3.bias has shape (7,), expected (10,)",
        ),
        (lambda s: s.update({"fc4.bias": torch.zeros(7)}), "unexpected fc4.bias"),
        (
            lambda s: s.update({"fc3.bias": torch.zeros(10).double()}),
            "fc3.bias is torch.float64, expected torch.float32",
        ),
    ],
)
def test_another_architecture_is_rejected_with_the_first_difference(net, tmp_path, change, says):
    state_dict = net.state_dict()
    change(state_dict)
    before = [p.clone() for p in net.parameters()]
    with pytest.raises(ConfigError) as caught:
        load_into(net, state_dict, tmp_path / "file.pth")
    assert says in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_another_net_is_rejected(net, tmp_path):
    with pytest.raises(ConfigError, match="does not match the model"):
        load_into(net, nn.Linear(3, 3).state_dict(), tmp_path / "file.pth")


def test_a_folder_that_cannot_be_written_is_one_sentence(net, tmp_path):
    with pytest.raises(RunFailedError, match=r"cannot save .*No such file"):
        write_checkpoint(tmp_path / "none", Checkpoint(state=b"", weights=b"", step=1, reason="a test"))


STATE = dict.fromkeys(REQUIRED_STATE, 0) | {"config": {}, "steps": {}, "provenance": {"backend": "eager"}}


@pytest.mark.parametrize(
    "content",
    [
        {"model": {}},
        [1, 2],
        "text",
        {name: value for name, value in STATE.items() if name != "provenance"},
        {name: value for name, value in STATE.items() if name != "steps"},
        STATE | {"provenance": {}},
        STATE | {"provenance": {"backend": None}},
        STATE | {"provenance": None},
        STATE | {"config": []},
        STATE | {"steps": "eager"},
    ],
)
def test_a_file_without_training_state_is_rejected(tmp_path, content):
    path = tmp_path / "last.pt"
    path.write_bytes(serialized(content))
    with pytest.raises(ConfigError, match="is not a training checkpoint"):
        load_training_state(path)


def test_the_state_of_a_run_is_loaded_as_it_was_saved(tmp_path):
    path = tmp_path / "last.pt"
    path.write_bytes(serialized(STATE))
    assert load_training_state(path) == STATE
