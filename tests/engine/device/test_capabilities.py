"""What a device cannot do is refused before anything is loaded, with the reason and a way out."""

import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.device.capabilities import check_device, compiles
from cifar_tui.engine.errors import ConfigError


def refusal(device, **settings):
    with pytest.raises(ConfigError) as refused:
        check_device(TrainConfig(**settings), torch.device(device))
    assert refused.value.field in str(refused.value)
    return refused.value


@pytest.mark.parametrize("device", ["cpu", "mps"])
@pytest.mark.parametrize("precision", ["tf32", "fp16"])
def test_what_only_a_cuda_gpu_computes_in(device, precision):
    error = refusal(device, model="airbench-tiny", precision=precision)
    assert error.field == "precision"
    assert str(error) == f"precision {precision} needs a CUDA GPU and this runs on {device}: try auto"


def test_bf16_and_compiling_where_they_are_not():
    assert refusal("mps", precision="bf16").field == "precision"
    assert refusal("mps", compile="yes").field == "compile"


def test_compiling_without_a_compiler(monkeypatch):
    check_device(TrainConfig(compile="yes"), torch.device("cpu"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    assert "needs a C++ compiler" in str(refusal("cpu", compile="yes"))


def test_the_defaults_and_what_is_chosen_by_itself_run_anywhere():
    assert not compiles(TrainConfig(compile="auto"), torch.device("cpu"))
    assert compiles(TrainConfig(compile="yes"), torch.device("cpu"))
    for device in ("cpu", "mps"):
        check_device(TrainConfig(), torch.device(device))
        check_device(TrainConfig(precision="auto", channels_last=True, compile="auto"), torch.device(device))
    check_device(TrainConfig(precision="bf16"), torch.device("cpu"))
