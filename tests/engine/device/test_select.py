"""Which device and how many threads a run gets, and what happens if the device is not available."""

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


def test_auto_takes_an_available_device():
    torch.zeros(1, device=select_device("auto"))


def test_a_missing_apple_gpu_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="'mps' is not available"):
        select_device("mps")


def test_a_gpu_becomes_the_current_device_of_the_thread(monkeypatch):
    made = []
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext(made.append(device)))
    with current_device(torch.device("cpu")), current_device(torch.device("cuda", 1)):
        assert made == [torch.device("cuda", 1)]


def test_a_small_batch_on_the_cpu_gets_one_thread():
    cpu = torch.device("cpu")
    assert training_threads(cpu, 4) == 1
    assert training_threads(cpu, 512) == available_threads()
    assert training_threads(torch.device("cuda", 0), 4) == available_threads()


def test_threads_are_set_for_a_block_and_restored():
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
def test_convolutions_are_benchmarked_on_a_gpu_only(device, inside):
    assert not torch.backends.cudnn.benchmark
    with fastest_convolutions(torch.device(device)):
        assert torch.backends.cudnn.benchmark is inside
    assert not torch.backends.cudnn.benchmark
