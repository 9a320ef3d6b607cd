"""An evaluation of weights in a file: where its report goes, and what may end it."""

import json

import pytest
import torch

from cifar_tui.engine.config.schema import TrainConfig
from cifar_tui.engine.control import RunControl
from cifar_tui.engine.disk.run_folder import RunFolder
from cifar_tui.engine.errors import RunFailedError
from cifar_tui.engine.events import Phase, PhaseChanged
from cifar_tui.engine.models.registry import create_model
from cifar_tui.engine.session import Session


@pytest.fixture
def folder(tmp_path):
    """The folder of a run that has saved its weights."""
    (tmp_path / "run").mkdir()
    torch.save(create_model("net", num_classes=3).state_dict(), tmp_path / "run" / "cifar_net.pth")
    return RunFolder(tmp_path / "run")


def session(image_folder, tmp_path, *, emit=lambda _: None, device="cpu"):
    config = TrainConfig(data=str(image_folder), data_dir=str(tmp_path / "data"), device=device)
    return Session(config=config, emit=emit, control=RunControl())


def test_the_report_follows_a_run_that_is_renamed_meanwhile(image_folder, tmp_path, folder):
    def rename(event):
        if isinstance(event, PhaseChanged) and event.phase is Phase.EVALUATING:
            (tmp_path / "run").rename(tmp_path / "mine")

    evaluating = session(image_folder, tmp_path, emit=rename)
    report = evaluating.evaluate_file(folder.path / "cifar_net.pth", step=7, report_to=folder)
    written = json.loads((tmp_path / "mine" / "report.json").read_text())
    assert (written["step"], written["test"]) == (7, report.to_dict())
    assert not (tmp_path / "run").exists()


def test_a_gpu_without_memory_even_to_look_at_it_is_one_sentence(image_folder, tmp_path, folder, monkeypatch):
    def fail(_):
        raise torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported")

    monkeypatch.setattr("cifar_tui.engine.session.select_device", fail)
    with pytest.raises(RunFailedError, match=r"^out of memory on the GPU: end other programs that use it"):
        session(image_folder, tmp_path, device="auto").evaluate_file(folder.path / "cifar_net.pth")
