"""Running out of memory is recognized by what torch, its libraries, Python and the system really say."""

import resource

import pytest
import torch

from cifar_tui.engine.device import memory
from cifar_tui.engine.device.memory import (
    free_memory,
    is_out_of_memory,
    memory_advice,
    out_of_memory_error,
    out_of_memory_explained,
    release_gpu_memory,
)
from cifar_tui.engine.errors import CancelledError, ConfigError, RunFailedError

OUT_OF_MEMORY = [
    torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.18 GiB of which "
        "12.00 MiB is free."
    ),
    torch.AcceleratorError(
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API "
        "call, so the stacktrace below might be incorrect.\nFor debugging consider passing "
        "CUDA_LAUNCH_BLOCKING=1\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
    ),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
        "to allocate 40000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("could not create a primitive"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("unable to mmap 280 bytes from file </torch_59534_1208885928>: Cannot allocate memory (12)"),
    MemoryError(),
    MemoryError("std::bad_alloc"),
    OSError(12, "Cannot allocate memory"),
    ImportError("libtorch_cuda.so: failed to map segment from shared object"),
]
ANOTHER_ERROR = [
    RuntimeError("could not create a primitive descriptor iterator"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object: Operation not permitted"),
    ValueError("out of memory"),
    ZeroDivisionError("division by zero"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=repr)
def test_what_says_that_memory_ran_out_is_one_sentence(error):
    with (
        pytest.raises(RunFailedError, match=r"^out of memory \([^)]* GiB[^)]*\): lower it$") as failed,
        out_of_memory_explained("cpu", "lower it"),
    ):
        raise error
    assert failed.value.__cause__ is error


@pytest.mark.parametrize("error", [*ANOTHER_ERROR, ConfigError("x"), CancelledError()], ids=repr)
def test_another_error_passes(error):
    with pytest.raises(type(error)) as passed, out_of_memory_explained("cpu", "lower it"):
        raise error
    assert passed.value is error


def test_an_error_after_one_of_memory_is_one_of_memory():
    """The end of a capture raises its own error over that of a step in it."""
    error = torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")
    assert not is_out_of_memory(error)
    error.__context__ = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")
    assert is_out_of_memory(error)


def test_a_gpu_says_what_was_free_if_it_still_answers(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (400 << 20, 80 << 30))
    error = out_of_memory_error(torch.device("cuda", 1), "lower batch_size (now 2,000)")
    assert str(error) == "out of memory on cuda:1 (0.4 of 80.0 GiB free): lower batch_size (now 2,000)"

    def fail(device):
        raise torch.AcceleratorError("CUDA error: out of memory")

    monkeypatch.setattr(torch.cuda, "mem_get_info", fail)
    assert str(out_of_memory_error("cuda:1", "lower it")) == "out of memory on cuda:1: lower it"
    assert str(out_of_memory_error("auto", "lower it")) == "out of memory on the GPU: lower it"


def test_a_limit_of_the_shell_is_named(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (3 << 29, 3 << 29))
    assert free_memory("cpu") == "ulimit -v allows 1.5 GiB"


def test_what_was_free_is_asked_before_the_rescue_which_begins_the_advice(monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "free_memory", lambda device: asked.append("free") or "1 GiB free")

    def rescue(error):
        asked.append(str(error))
        return "saved at step 50; "

    with (
        pytest.raises(RunFailedError, match=r"\(1 GiB free\): saved at step 50; lower it$"),
        out_of_memory_explained("cpu", "lower it", rescue=rescue),
    ):
        raise MemoryError("no room")
    assert asked == ["free", "no room"]


def test_the_innermost_advice_is_given_and_the_rescue_begins_it():
    error = torch.OutOfMemoryError("CUDA out of memory")
    with (
        pytest.raises(RunFailedError, match=r": saved; take fewer$") as failed,
        out_of_memory_explained("cpu", "lower it", rescue=lambda _: "saved; "),
        memory_advice("end others"),
        memory_advice("take fewer"),
    ):
        raise error
    assert failed.value.__cause__ is error
    with pytest.raises(ZeroDivisionError), memory_advice("take fewer"):
        raise ZeroDivisionError


def test_memory_is_given_back_to_a_gpu_only_where_one_was_used(monkeypatch):
    called = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: called.append("emptied"))
    monkeypatch.setattr(
        torch._C, "_cuda_clearCublasWorkspaces", lambda: called.append("workspaces"), raising=False
    )
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    release_gpu_memory()
    assert called == []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    release_gpu_memory()
    assert called == ["workspaces", "emptied"]
