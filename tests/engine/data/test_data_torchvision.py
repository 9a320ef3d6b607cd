import builtins
from pathlib import Path

import pytest

from cifar_tui.engine.data.sources import load_dataset
from cifar_tui.engine.errors import ConfigError


@pytest.mark.parametrize(
    "error",
    [RuntimeError("operator torchvision::nms does not exist"), ImportError("No module named 'torchvision'")],
)
def test_torchvision_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    real_import = builtins.__import__

    def broken_import(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("torchvision"):
            raise error
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken_import)
    with pytest.raises(ConfigError, match=r"torchvision cannot be imported.*--data synthetic") as caught:
        load_dataset("auto", data_dir=tmp_path, seed=0, report=[].append, cancelled=lambda: False)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
