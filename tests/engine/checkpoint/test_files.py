"""Checkpoint files: interchangeable with those of the tutorial, and strict about everything else."""

import os
import pickle

import pytest
import torch

from cifar_tui.engine.checkpoint.files import (
    Checkpoint,
    load_file,
    load_training_state,
    serialized,
    write_checkpoint,
)
from cifar_tui.engine.errors import ConfigError, RunFailedError
from cifar_tui.engine.models.registry import create_model
from tests.engine.checkpoint.made_state import sound_state


@pytest.fixture
def net():
    torch.manual_seed(0)
    return create_model("net", num_classes=10)


def rejection(path):
    with pytest.raises(ConfigError) as caught:
        load_file(path)
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
    assert "it holds cifar_tui.engine.models.net.Net, which could run code" in rejection(tmp_path / "net.pth")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_rejected(net, tmp_path, share):
    (tmp_path / "whole.pth").write_bytes(serialized(net.state_dict()))
    content = (tmp_path / "whole.pth").read_bytes()
    path = tmp_path / "part.pth"
    path.write_bytes(content[: int(len(content) * share)])
    assert "damaged or truncated" in rejection(path)


def test_a_missing_file_and_a_folder_are_rejected(tmp_path):
    assert "No such file" in rejection(tmp_path / "none.pth")
    assert "it is a folder" in rejection(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_sentence(net, tmp_path):
    with pytest.raises(RunFailedError, match=r"cannot save .*No such file"):
        write_checkpoint(tmp_path / "none", Checkpoint(state=b"", weights=b"", step=1, reason="a test"))


STATE = sound_state()


@pytest.mark.parametrize(
    "content",
    [
        {"model": {}},
        [1, 2],
        "text",
        {name: value for name, value in STATE.items() if name != "provenance"},
        {name: value for name, value in STATE.items() if name != "steps"},
    ],
)
def test_a_file_without_training_state_is_rejected(tmp_path, content):
    path = tmp_path / "last.pt"
    path.write_bytes(serialized(content))
    with pytest.raises(ConfigError, match="is not a training checkpoint"):
        load_training_state(path)


@pytest.mark.parametrize("name", ["class_names", "epoch_images"])
def test_a_checkpoint_of_another_version_is_named_as_such(tmp_path, name):
    path = tmp_path / "last.pt"
    path.write_bytes(serialized({key: value for key, value in STATE.items() if key != name}))
    with pytest.raises(ConfigError, match=rf"saved by another version of .* \(it has no {name}\)"):
        load_training_state(path)


def test_the_state_of_a_run_is_loaded_as_it_was_saved(tmp_path):
    path = tmp_path / "last.pt"
    path.write_bytes(serialized(STATE))
    loaded = load_training_state(path)
    assert loaded.keys() == STATE.keys()
    assert (loaded["step"], loaded["metrics"]) == (STATE["step"], STATE["metrics"])


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")],
    ids=repr,
)
def test_a_file_that_there_is_no_memory_for_is_not_called_damaged(net, tmp_path, monkeypatch, error):
    (tmp_path / "whole.pth").write_bytes(serialized(net.state_dict()))

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(type(error)) as passed:
        load_file(tmp_path / "whole.pth")
    assert passed.value is error
