"""Settings that the device does not support are rejected, with the reason and a valid value."""

import sysconfig

import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.device.capabilities import (
    check_compiler_cache,
    check_device,
    compiles,
    missing_for_compiling,
)
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


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """Makes a machine with only the compilers that are named."""
    for variable in ("CC", "CXX"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(*names):
        for name in names:
            (tmp_path / name).touch(mode=0o755)

    return make


@pytest.mark.parametrize(
    ("device", "there", "enough"),
    [
        ("cpu", ["g++"], True),
        ("cpu", ["clang++"], True),
        ("cpu", ["gcc"], False),
        ("cuda", ["gcc"], True),
        ("cuda", ["clang"], True),
        ("cuda", ["g++"], False),
        ("cuda", ["cc"], False),  # Triton does not look for it
    ],
)
def test_compiling_needs_c_for_triton_and_cpp_for_a_cpu(tools, device, there, enough):
    tools(*there)
    missing = missing_for_compiling(torch.device(device))
    assert (missing is None) is enough
    assert compiles(TrainConfig(compile="auto"), torch.device(device)) is (enough and device == "cuda")
    if not enough:
        language, install = ("C++", "g++") if device == "cpu" else ("C", "gcc")
        assert str(rejection(device, compile="yes")) == (
            f"compile 'yes' needs a {language} compiler, and none was found; install {install}, or set "
            "compile to 'no'"
        )


@pytest.mark.parametrize(("device", "variable"), [("cpu", "CXX"), ("cuda", "CC")])
def test_the_compiler_that_a_variable_names_is_the_only_one(tools, monkeypatch, device, variable):
    tools("gcc", "g++", "mine")
    monkeypatch.setenv(variable, "mine")
    assert missing_for_compiling(torch.device(device)) is None
    monkeypatch.setenv(variable, "gone")
    assert f"'gone', set in {variable}, was not found" in str(rejection(device, compile="yes"))


def test_triton_needs_the_headers_of_python(tools, monkeypatch, tmp_path):
    tools("gcc", "g++")
    monkeypatch.setattr(sysconfig, "get_path", lambda name, scheme: str(tmp_path / "include"))
    assert missing_for_compiling(torch.device("cpu")) is None
    assert "Python.h; install python3-dev" in str(rejection("cuda", compile="yes"))


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
