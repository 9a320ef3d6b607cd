"""Settings that the device does not support are rejected, with the reason and a valid value."""

import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.device.capabilities import check_compiler_cache, check_device, compiles
from cifar_tui.engine.errors import ConfigError


def rejection(device, **settings):
    with pytest.raises(ConfigError) as raised:
        check_device(TrainConfig(**settings), torch.device(device))
    assert raised.value.field in str(raised.value)
    return raised.value


@pytest.mark.parametrize("device", ["cpu", "mps"])
@pytest.mark.parametrize("precision", ["tf32", "fp16"])
def test_tf32_and_fp16_need_a_cuda_gpu(device, precision):
    error = rejection(device, model="airbench-tiny", precision=precision)
    assert error.field == "precision"
    assert (
        str(error)
        == f"precision '{precision}' needs a CUDA GPU, and the device is {device}; set precision to auto"
    )


def test_mps_supports_neither_bf16_nor_compile():
    assert rejection("mps", precision="bf16").field == "precision"
    assert rejection("mps", compile="yes").field == "compile"


def test_compile_needs_a_compiler(monkeypatch):
    check_device(TrainConfig(compile="yes"), torch.device("cpu"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    assert "needs a C++ compiler" in str(rejection("cpu", compile="yes"))


def test_the_compiler_cache_is_created_or_its_path_is_in_the_error(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "deep" / "cache"))
    check_compiler_cache()
    assert (tmp_path / "deep" / "cache").is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(ConfigError, match=r"cannot create .*file/cache' \(.*TORCHINDUCTOR_CACHE_DIR"):
        check_compiler_cache()


def test_the_defaults_and_auto_are_supported_everywhere():
    assert not compiles(TrainConfig(compile="auto"), torch.device("cpu"))
    assert compiles(TrainConfig(compile="yes"), torch.device("cpu"))
    for device in ("cpu", "mps"):
        check_device(TrainConfig(), torch.device(device))
        check_device(TrainConfig(precision="auto", channels_last=True, compile="auto"), torch.device(device))
    check_device(TrainConfig(precision="bf16"), torch.device("cpu"))
