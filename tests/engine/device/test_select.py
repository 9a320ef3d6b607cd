"""Device and threads."""

import threading
from contextlib import nullcontext

import pytest
import torch

from cifar_tui.engine.device.select import (
    available_threads,
    current_device,
    fastest_convolutions,
    intra_op_threads,
    select_device,
    training_threads,
)
from cifar_tui.engine.errors import ConfigError


def test_auto_takes_a_device_that_is_there():
    torch.zeros(1, device=select_device("auto"))


def test_a_gpu_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert select_device("cuda") == torch.device("cuda", 0)
    with pytest.raises(ConfigError, match="'cuda:1' is not there: torch sees 1 CUDA device;"):
        select_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="torch sees 0 CUDA devices;"):
        select_device("cuda")


def test_an_apple_gpu_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="'mps' is not there"):
        select_device("mps")


def test_a_gpu_is_made_the_threads_own_and_a_processor_needs_nothing(monkeypatch):
    made = []
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext(made.append(device)))
    with current_device(torch.device("cpu")), current_device(torch.device("cuda", 1)):
        assert made == [torch.device("cuda", 1)]


def test_a_tiny_batch_on_the_cpu_gets_one_thread():
    cpu = torch.device("cpu")
    assert training_threads(cpu, 4) == 1
    assert training_threads(cpu, 512) == available_threads()
    assert training_threads(torch.device("cuda", 0), 4) == available_threads()


def test_threads_are_set_for_a_block_and_put_back():
    seen = []

    def work():
        before = torch.get_num_threads()
        with intra_op_threads(1):
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads() == before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1, True]


@pytest.mark.parametrize(("device", "inside"), [("cuda", True), ("cpu", False)])
def test_convolutions_are_tried_on_a_gpu_for_a_block(device, inside):
    assert not torch.backends.cudnn.benchmark
    with fastest_convolutions(torch.device(device)):
        assert torch.backends.cudnn.benchmark is inside
    assert not torch.backends.cudnn.benchmark
