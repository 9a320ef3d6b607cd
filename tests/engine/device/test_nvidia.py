"""A GPU that PyTorch cannot use is explained, with the way out; what torch answers is made up."""

import pytest
import torch

from cifar_tui.engine.device import nvidia
from cifar_tui.engine.device.nvidia import unused_gpu
from cifar_tui.engine.device.select import select_device
from cifar_tui.engine.errors import ConfigError

DRIVER_470 = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.223.02  Sat Oct  7 15:39:11 UTC 2023\n"
    "GCC version:  gcc version 9.4.0 (Ubuntu 9.4.0-1ubuntu1~20.04.2) \n"
)
DRIVER_580 = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder)\n"
)
TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by "
    "downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx "
    "Alternatively, go to: https://pytorch.org to install a PyTorch version that has been compiled with your "
    "version of the CUDA driver."
)
BUSY = (
    "CUDA error: CUDA-capable device(s) is/are busy or unavailable\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below "
    "might be incorrect."
)
KERNELS = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes a machine of torch's answers: its driver's file, the GPUs that are usable and those counted."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    def make(*, driver=DRIVER_580, cards=(), available=None, kernels=KERNELS, says=None):
        path = tmp_path / "version"
        if driver is not None:
            path.write_text(driver)
        monkeypatch.setattr(nvidia, "_DRIVER", path)
        usable = bool(cards) if available is None else available

        def capability(index):
            if isinstance(cards[index], Exception):
                raise cards[index]
            return cards[index]

        def zeros(*_, **__):
            raise RuntimeError(says)

        monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
        monkeypatch.setattr(torch.cuda, "get_device_capability", capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"NVIDIA number {index}")
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: kernels)
        if says is not None:
            monkeypatch.setattr(torch, "zeros", zeros)

    return make


def refusal(name):
    with pytest.raises(ConfigError) as refused:
        select_device(name)
    assert refused.value.field == "device"
    return str(refused.value)


def test_a_gpu_that_can_be_used_is_taken(machine):
    machine(cards=[(9, 0), (8, 0)])
    assert select_device("auto") == select_device("cuda") == torch.device("cuda", 0)
    assert select_device("cuda:1") == torch.device("cuda", 1)
    assert unused_gpu() is None


def test_a_machine_without_a_gpu_takes_the_cpu_without_a_word(machine):
    machine(driver=None)
    assert select_device("auto") == torch.device("cpu")
    assert unused_gpu() is None
    assert refusal("cuda") == "device 'cuda' is not available (found 0 CUDA devices); set device to auto"


@pytest.mark.parametrize("name", ["cuda:1", "cuda:128", "cuda:999"])
def test_a_number_that_no_gpu_has_is_refused_with_the_last_one(machine, name):
    machine(cards=[(9, 0)])
    assert refusal(name) == (
        f"device '{name}' is not available (found 1 CUDA device); set it to cuda:0, or set device to auto"
    )


@pytest.mark.parametrize("counted", [0, 1])
def test_a_driver_that_is_too_old_is_named_with_the_one_it_needs(machine, counted):
    machine(driver=DRIVER_470, cards=[(8, 0)] * counted, available=False)
    reason = "the NVIDIA driver 470.223.02 is too old for this PyTorch: CUDA 13.0 needs 580 or newer"
    assert reason in refusal("cuda")
    assert "update the driver" in refusal("cuda")
    assert select_device("auto") == torch.device("cpu")
    assert unused_gpu().startswith(f"{reason}; update the driver, install a PyTorch for an older CUDA")


@pytest.mark.parametrize("hidden", ["", "-1", "7", "GPU-0"])
def test_a_variable_that_hides_every_gpu_is_named(machine, monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    machine()
    reason = f"CUDA_VISIBLE_DEVICES is '{hidden}', which leaves no GPU"
    assert refusal("cuda:0") == (
        f"device 'cuda:0' is not available ({reason}); unset CUDA_VISIBLE_DEVICES, or set device to auto"
    )
    assert unused_gpu() == f"{reason}; unset CUDA_VISIBLE_DEVICES"


def test_a_pytorch_without_cuda_is_named(machine, monkeypatch):
    machine()
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "is built without CUDA); install one with CUDA from https://pytorch.org" in refusal("cuda")


def test_what_torch_says_is_the_last_resort(machine):
    machine(says=TOO_OLD)
    assert unused_gpu() == (
        "PyTorch cannot use the GPU: The NVIDIA driver on your system is too old (found version 11040)"
    )


@pytest.mark.parametrize(
    ("card", "kernels", "usable"),
    [
        ((7, 0), KERNELS, False),  # V100
        ((6, 0), KERNELS, False),  # P100
        ((7, 5), KERNELS, True),
        ((8, 9), KERNELS, True),
        ((12, 1), KERNELS, True),
        ((13, 0), KERNELS, False),
        ((13, 0), [*KERNELS, "compute_120"], True),
        ((9, 0), ["sm_90a"], True),
        ((9, 0), ["gfx942"], True),  # AMD
    ],
)
def test_a_card_needs_kernels_of_its_major_version(machine, card, kernels, usable):
    machine(cards=[card], kernels=kernels)
    assert select_device("auto") == torch.device(*("cuda", 0) if usable else ("cpu",))
    assert (unused_gpu() is None) is usable


def test_a_card_without_kernels_is_named_and_another_one_is_taken(machine):
    machine(cards=[(7, 0), (9, 0)])
    assert select_device("auto") == torch.device("cuda", 1)
    assert refusal("cuda") == (
        "device 'cuda' is not available (this PyTorch has no kernels for the NVIDIA number 0, sm_70, only "
        "sm_75, sm_80, sm_86, sm_90, sm_100, sm_120); install a PyTorch with them from "
        "https://pytorch.org/get-started/locally, or set device to auto"
    )


def test_a_card_that_another_program_has_for_itself_is_one_sentence(machine):
    machine(cards=[torch.AcceleratorError(BUSY)])
    assert refusal("cuda") == (
        "device 'cuda' is not available (CUDA error: CUDA-capable device(s) is/are busy or unavailable); "
        "set device to auto"
    )


def test_a_card_without_memory_to_look_at_it_is_not_called_unavailable(machine):
    machine(cards=[torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be")])
    with pytest.raises(torch.AcceleratorError, match="out of memory"):
        select_device("auto")


def test_a_variable_that_leaves_a_gpu_is_not_blamed(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    machine(cards=[(8, 0)], available=False, says=BUSY)
    assert refusal("cuda") == (
        "device 'cuda' is not available (PyTorch cannot use the GPU: CUDA error: CUDA-capable device(s) "
        "is/are busy or unavailable); set device to auto"
    )
